// Files instead of the editor's text: what they are, how far they are read; and dropping them onto the page.

import { useEffect } from "preact/hooks";
import { cancel, selectRow, takeFiles } from "./actions.ts";
import { change, useStore } from "./state.ts";
import { bytes, count, counted, duration, rate } from "./words.ts";

const FIRST_RECORDS = 100;

export function Files() {
  const files = useStore((state) => state.files);
  const result = useStore((state) => state.result);
  const isReading = useStore((state) => state.isReading);
  const total = files.reduce((sum, file) => sum + file.size, 0);
  return (
    <div class="files" id="file-panel">
      <ul class="file-list">
        {files.map((file, index) => (
          <li key={index}>
            <span class="file-name">{file.name}</span> <span class="soft">{bytes(file.size)}</span>
          </li>
        ))}
      </ul>
      {isReading ? <ReadingProgress /> : null}
      {!isReading && result !== null && (
        <p class="file-speed" id="file-speed">
          {result.isCancelled ? "Stopped: " : ""}
          <strong>{bytes(result.report.totals.bytes)}</strong> of lines in <strong>{duration(result.seconds)}</strong>,{" "}
          <strong>{rate(result.report.totals.bytes, result.seconds)}</strong>
          {result.isCancelled && `. ${bytes(result.readBytes)} of ${bytes(total)} were read; the numbers are of these.`}
        </p>
      )}
      <FirstRecords />
    </div>
  );
}

function ReadingProgress() {
  const progress = useStore((state) => state.progress);
  const part = progress === null || progress.totalBytes === 0 ? 0 : progress.readBytes / progress.totalBytes;
  return (
    <div class="progress">
      <progress id="progress" aria-label="Reading" value={part} max={1} />
      <div class="progress-row">
        <span class="numerals">
          {progress === null
            ? "Opening …"
            : `${Math.floor(part * 100)} % · ${bytes(progress.readBytes)} of ${bytes(progress.totalBytes)} · ` +
              `${rate(progress.report.totals.bytes, progress.seconds)} · ${counted(progress.report.totals.lines, "line")}`}
        </span>
        <button type="button" id="cancel" onClick={cancel}>
          Cancel
        </button>
      </div>
    </div>
  );
}

function FirstRecords() {
  const sample = useStore((state) => state.result?.report.sample);
  const selected = useStore((state) => state.selection?.key);
  if (!sample || sample.rows.length === 0) {
    return null;
  }
  const rows = sample.rows.slice(0, FIRST_RECORDS);
  return (
    <>
      <h3 class="small-heading">
        {sample.every > 1 ? `One of every ${count(sample.every)} records` : "Records"}
        {sample.rows.length > rows.length && `, the first ${rows.length} of them`}
      </h3>
      <ol class="first-records" aria-label="First records">
        {rows.map((row, index) => (
          <li key={index}>
            <button type="button" class="record" aria-pressed={selected === `event ${index}`} onClick={() => selectRow(row, index)}>
              <span class="line-number">{row.line}</span>
              {row.record.slice(0, 400)}
            </button>
          </li>
        ))}
      </ol>
    </>
  );
}

/** Files may be dropped anywhere; the editor would take their text over, so it does not get to see them. */
export function DropZone() {
  const isDragging = useStore((state) => state.isDragging);
  useEffect(() => {
    let depth = 0;
    const withFiles = (act: (event: DragEvent) => void) => (event: DragEvent) => {
      if (event.dataTransfer?.types.includes("Files")) {
        event.preventDefault();
        event.stopPropagation();
        act(event);
      }
    };
    const handlers = {
      dragenter: withFiles(() => {
        depth += 1;
        change({ isDragging: true });
      }),
      dragover: withFiles((event) => (event.dataTransfer!.dropEffect = "copy")),
      dragleave: withFiles(() => {
        depth -= 1;
        change({ isDragging: depth > 0 });
      }),
      drop: withFiles((event) => {
        depth = 0;
        change({ isDragging: false });
        void takeFiles([...event.dataTransfer!.files]);
      }),
    };
    const kinds = Object.keys(handlers) as (keyof typeof handlers)[];
    kinds.forEach((kind) => addEventListener(kind, handlers[kind], true));
    return () => kinds.forEach((kind) => removeEventListener(kind, handlers[kind], true));
  }, []);
  return isDragging ? (
    <div class="drop" aria-hidden="true">
      <p>Drop flow logs to read them here</p>
      <p class="drop-kinds">text, JSON, gzip, zstd, Parquet, or MaxMind databases. Nothing leaves this page.</p>
    </div>
  ) : null;
}
