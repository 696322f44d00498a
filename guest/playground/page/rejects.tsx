// What was refused: how often, where, and why.

import { useState } from "preact/hooks";
import { selectReject } from "./actions.ts";
import { Empty } from "./empty.tsx";
import { useStore } from "./state.ts";
import type { Reject } from "./types.ts";
import { count } from "./words.ts";

const STEP = 50;
/** Of a long line what stands around the mistake. */
const AROUND = 240;

const REASONS: Record<string, string> = {
  "line-too-long": "The line is longer than the limit",
  "not-utf8": "The line is not UTF-8",
  "unknown-format": "Neither a header line nor a known order of columns",
  "column-count": "More or fewer columns than the format has",
  "bad-value": "A value that its field does not allow",
  "bad-json": "Unfinished or ill-formed JSON",
  "not-a-record": "JSON that is no flow log record",
  "bad-envelope": "An envelope that cannot be unpacked",
};

export function Rejects() {
  const rejects = useStore((state) => state.report?.rejects);
  const total = useStore((state) => state.report?.totals.rejects ?? 0);
  const [reason, setReason] = useState<string | null>(null);
  const [shown, show] = useState(STEP);
  if (rejects === undefined || total === 0) {
    return <Empty otherwise="Nothing was refused." />;
  }
  const isKnown = reason !== null && reason in rejects.by_reason;
  const indices = rejects.rows.map((_, index) => index).filter((index) => !isKnown || rejects.rows[index]!.fault.reason === reason);
  return (
    <>
      <ul class="reasons" id="reasons" aria-label="Rejects by reason">
        {Object.entries(rejects.by_reason).map(([name, number]) => (
          <li key={name}>
            <button type="button" aria-pressed={isKnown && reason === name} title={REASONS[name]} onClick={() => setReason(reason === name ? null : name)}>
              {name} <strong>{count(number)}</strong>
            </button>
          </li>
        ))}
      </ul>
      {rejects.rows.length < total && (
        <p class="note">
          The first {count(rejects.rows.length)} of {count(total)}.
        </p>
      )}
      <ol class="rejects" id="rejects">
        {indices.slice(0, shown).map((index) => (
          <RejectItem key={index} reject={rejects.rows[index]!} index={index} />
        ))}
      </ol>
      {shown < indices.length && (
        <div class="more">
          <button type="button" onClick={() => show(shown + STEP)}>
            Show more
          </button>
        </div>
      )}
    </>
  );
}

function RejectItem({ reject, index }: { reject: Reject; index: number }) {
  const input = useStore((state) => state.input);
  const isSelected = useStore((state) => state.selection?.key) === `reject ${index}`;
  const { fault, line, byteOffset, eventNumber, text, isCut } = reject;
  const [ahead, wrong, behind] = text;
  return (
    <li class={isSelected ? "reject selected" : "reject"} onClick={() => selectReject(reject, index)}>
      <p class="reject-place">
        <button type="button" class="plain" aria-pressed={isSelected}>
          {input.length > 1 ? `${input[reject.file]?.name}, line` : "Line"} {count(line)}
        </button>
        <span class="soft">
          byte {count(byteOffset)}
          {eventNumber !== null && `, record ${eventNumber} of the envelope`}
        </span>
        <span class="reason" title={REASONS[fault.reason]}>
          {fault.reason}
        </span>
      </p>
      <p>
        {fault.column !== null && `Column ${fault.column}, `}
        {fault.field !== null && (
          <>
            <code>{fault.field}</code>:{" "}
          </>
        )}
        {fault.field === null ? "Found" : "found"} {fault.found === "" ? "nothing" : <code class="wrong">{shortened(fault.found, AROUND)}</code>}, wanted {fault.wanted}
      </p>
      <pre class="reject-line">
        {ahead.length > AROUND ? `…${ahead.slice(-AROUND)}` : ahead}
        {wrong !== "" && <mark>{shortened(wrong, AROUND)}</mark>}
        {shortened(behind, AROUND)}
        {isCut && behind.length <= AROUND && "…"}
      </pre>
    </li>
  );
}

function shortened(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}
