// The events as they are written, some at a time.

import { useEffect, useRef, useState } from "preact/hooks";
import { selectRow } from "./actions.ts";
import { Empty } from "./empty.tsx";
import { Json } from "./json.tsx";
import { useStore } from "./state.ts";
import { count, counted } from "./words.ts";

const STEP = 20;

export function Events() {
  const sample = useStore((state) => state.report?.sample ?? state.result?.report.sample);
  const input = useStore((state) => state.input);
  const selected = useStore((state) => state.selection?.key);
  const [shown, show] = useState(STEP);
  const end = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (end.current !== null) {
      const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && show((before) => before + STEP), { rootMargin: "400px" });
      observer.observe(end.current);
      return () => observer.disconnect();
    }
    return undefined;
  }, [shown, sample]);

  if (!sample || sample.rows.length === 0) {
    return <Empty />;
  }
  const rows = sample.rows.slice(0, shown);
  return (
    <>
      <p class="note">
        <SampleNote every={sample.every} tooLong={sample.too_long} rows={sample.rows.length} />
      </p>
      <ol class="events" id="events">
        {rows.map((row, index) => {
          const isSelected = selected === `event ${index}`;
          return (
            <li key={index} class={isSelected ? "event selected" : "event"} onClick={() => selectRow(row, index)}>
              <button type="button" class="event-line" aria-pressed={isSelected} aria-label={`Explain ${input.length > 1 ? `${input[row.file]?.name} ` : "line "}${count(row.line)}`}>
                {input.length > 1 && <span>{input[row.file]?.name} </span>}
                {count(row.line)}
              </button>
              <Json json={row.event} />
            </li>
          );
        })}
      </ol>
      {shown < sample.rows.length && (
        <div ref={end} class="more">
          <button type="button" onClick={() => show(shown + STEP)}>
            Show more
          </button>
        </div>
      )}
    </>
  );
}

export function SampleNote({ every, tooLong, rows }: { every: number; tooLong: number; rows: number }) {
  return (
    <>
      {every > 1 ? `A sample: one of every ${count(every)} events, ${counted(rows, "event")}` : counted(rows, "event")}
      {tooLong > 0 && `; ${counted(tooLong, "event")} too long to be shown`}
    </>
  );
}
