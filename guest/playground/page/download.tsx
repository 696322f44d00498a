// All events of the input as a file.

import { useState } from "preact/hooks";
import { settingsOf } from "./address.ts";
import { exportEvents } from "./parser.ts";
import { current, useStore } from "./state.ts";
import { bytes } from "./words.ts";

/** Events of a larger input go straight to a file, where the browser can do that: they take ten times its room. */
const LARGE_BYTES = 64_000_000;

interface SavingWindow {
  showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

export function Download() {
  const hasEvents = useStore((state) => (state.result?.report.traffic.total.flows ?? 0) > 0);
  const isReading = useStore((state) => state.isReading && state.files.length > 0);
  const [isGzip, setGzip] = useState(false);
  const [control, setControl] = useState<AbortController | null>(null);
  const [part, setPart] = useState(0);
  const [message, setMessage] = useState("");

  async function download() {
    const { input, sample, files, choices, filter, databases } = current();
    const source = files.length === 0 ? (sample ?? "flow-logs") : input[0]!.name;
    const name = `${source.replace(/(\.(gz|zst|log|txt|json|jsonl|ndjson|parquet))+$/i, "")}.events.ndjson${isGzip ? ".gz" : ""}`;
    const size = input.reduce((sum, file) => sum + file.size, 0);
    const { showSaveFilePicker } = window as SavingWindow;
    const abort = new AbortController();
    setMessage("");
    setPart(0);
    try {
      const to = size > LARGE_BYTES && showSaveFilePicker ? await showSaveFilePicker({ suggestedName: name }) : undefined;
      setControl(abort);
      const { blob, failures } = await exportEvents(input, { ...settingsOf(choices), filter }, databases, isGzip, to, {
        signal: abort.signal,
        onProgress: ({ readBytes, totalBytes }) => setPart(readBytes / Math.max(1, totalBytes)),
      });
      if (blob !== null) {
        save(blob, name);
      }
      const cut = failures.map(({ file }) => `, but for the rest of ${file}`).join("");
      setMessage(`${blob === null ? "Written" : `${bytes(blob.size)} written`}${cut}`);
    } catch (error) {
      // Whoever closes the browser's dialog wants nothing to happen.
      const isClosed = error instanceof DOMException && error.name === "AbortError";
      setMessage(isClosed || abort.signal.aborted ? "" : `Not written: ${(error as Error).message}`);
    } finally {
      setControl(null);
    }
  }

  if (control !== null) {
    return (
      <div class="download" role="group" aria-label="Download">
        <progress aria-label="Writing the events" value={part} max={1} />
        <button type="button" id="cancel-download" onClick={() => control.abort()}>
          Cancel
        </button>
      </div>
    );
  }
  return (
    <div class="download" role="group" aria-label="Download">
      <span class="note" role="status" id="download-message">
        {message}
      </span>
      <button type="button" id="download" disabled={!hasEvents || isReading} onClick={() => void download()}>
        Download
      </button>
      <select id="download-kind" aria-label="Kind of file" value={isGzip ? "gzip" : "ndjson"} onChange={(event) => setGzip(event.currentTarget.value === "gzip")}>
        <option value="ndjson">NDJSON</option>
        <option value="gzip">gzip</option>
      </select>
    </div>
  );
}

function save(blob: Blob, name: string) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser may take its time to begin.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
