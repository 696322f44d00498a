// Where the input is no flow log: what it seems to be, and what was looked for.

import { useEffect, useRef, useState } from "preact/hooks";
import { useStore } from "./state.ts";
import type { Reject } from "./types.ts";
import { counted } from "./words.ts";

interface Hint {
  text: string;
  command?: string;
}

const LOOK_BYTES = 4096;

const USUAL_LINE = "2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK";

/** By how a file begins, what to do about it. */
const HINTS: [beginning: RegExp, hint: string, command?: string][] = [
  [/^PK\x03\x04/, "This is a ZIP archive (or an Office file). Unpack it, and open the files in it."],
  [/^%PDF/, "This is a PDF, not a log."],
  [/^(\x89PNG|\xff\xd8\xff|GIF8|RIFF....WEBP|BM|II\*\0|MM\0\*)/s, "This is a picture, not a log."],
  [/^BZh/, "This is a bzip2 file: unpack it first. gzip and zstd are unpacked here."],
  [/^\xfd7zXZ/, "This is an xz file: unpack it first. gzip and zstd are unpacked here."],
  [/^7z\xbc\xaf/, "This is a 7-Zip archive. Unpack it, and open the files in it."],
  [/^(\xff\xfe|\xfe\xff)/, "This is text in UTF-16. Save it as UTF-8."],
  [/^\s*<(!doctype|html|\?xml)/i, "This is a web page or XML, not a log."],
  [/^\s*\[\s*\{/, "This is one JSON array. Make it one object a line:", "jq -c '.[]' file"],
  [/^\s*\{\s*\n/, "This is JSON spread over lines. Make it one object a line:", "jq -c . file"],
  [/^[\x20-\x7e]*[^\s,]+(,[\x20-\x7e]*){5,}/, "The columns are separated by commas. Flow logs have blanks:", "tr ',' ' ' < file"],
  [/^[\x20-\x7e]*[^\s;]+(;[\x20-\x7e]*){5,}/, "The columns are separated by semicolons. Flow logs have blanks:", "tr ';' ' ' < file"],
];

export function Message() {
  const result = useStore((state) => state.result);
  const input = useStore((state) => state.input);
  /** Undefined until the input has been looked at. */
  const [hint, setHint] = useState<Hint | null>();
  const isNoFlowLog = result !== null && !result.isCancelled && result.report.totals.events === 0 && (result.report.totals.rejects > 0 || input.some((file) => file.name !== "text"));
  const failures = result?.failures ?? [];

  useEffect(() => {
    setHint(undefined);
    if (!isNoFlowLog) {
      return;
    }
    let isCurrent = true;
    // What cannot be read has its message already.
    const found = hintOf(input).catch(() => null);
    void found.then((hint) => isCurrent && setHint(hint));
    return () => {
      isCurrent = false;
    };
  }, [result]);

  const isShown = isNoFlowLog || failures.length > 0;
  const place = useRef<HTMLElement>(null);
  const hasFiles = useStore((state) => state.files.length > 0);
  // Files may be dropped far below; whoever types looks at the line.
  useEffect(() => {
    if (isShown && hasFiles) {
      place.current!.scrollIntoView({ block: "nearest" });
    }
  }, [isShown, result]);

  if (!isShown) {
    return null;
  }
  const [reject] = result!.report.rejects.rows;
  return (
    <section class="message" ref={place} role="alert" id="message" aria-labelledby="message-heading">
      <h2 id="message-heading">{isNoFlowLog ? "No flow log record was found" : `${counted(failures.length, "file")} could not be read to the end`}</h2>
      {hint && (
        <p>
          <strong>{hint.text}</strong> {hint.command !== undefined && <code>{hint.command}</code>}
        </p>
      )}
      {failures.length > 0 && (
        <ul>
          {failures.map(({ file, message }, index) => (
            <li key={index}>
              {file}: {message}
            </li>
          ))}
        </ul>
      )}
      {isNoFlowLog && hint === null && reject !== undefined && <FirstLine reject={reject} />}
    </section>
  );
}

function FirstLine({ reject: { line, text, fault } }: { reject: Reject }) {
  const whole = text.join("");
  return (
    <>
      <p>
        Line {line} begins <code>{whole.slice(0, 120)}</code>
        {whole.length > 120 && "…"}
      </p>
      <p>
        Wanted{fault.field !== null && ` in ${fault.field}`}: {fault.wanted}.
      </p>
      {fault.reason === "unknown-format" && (
        <>
          <p>
            A flow log’s line looks like <code>{USUAL_LINE}</code>
          </p>
          <p>
            If yours have other columns and no header line, name the columns under “Format of the lines”, as <code>srcaddr dstaddr srcport dstport bytes</code>.
          </p>
        </>
      )}
    </>
  );
}

async function hintOf(files: File[]): Promise<Hint | null> {
  for (const file of files) {
    if (file.size === 0) {
      return { text: `${file.name} is empty.` };
    }
    const bytes = new Uint8Array(await file.slice(0, LOOK_BYTES).arrayBuffer());
    // Byte by byte, so that the patterns may name bytes.
    const beginning = String.fromCharCode(...bytes);
    const [, text, command] = HINTS.find(([pattern]) => pattern.test(beginning)) ?? [];
    if (text !== undefined) {
      return { text: files.length > 1 ? `${file.name}: ${text}` : text, command };
    }
  }
  return null;
}
