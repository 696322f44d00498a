// How one record was read: its line, its columns, and the event, of which each part points to the others.

import { useEffect, useRef, useState } from "preact/hooks";
import { MemberText, members } from "./json.tsx";
import { Dock } from "./dock.tsx";
import { useStore } from "./state.ts";
import type { Column, Explanation as ExplanationType } from "./types.ts";

/** What is pointed at: columns by their place in the list, and paths of members. */
interface Pointed {
  columns: number[];
  paths: string[];
  /** Where the pointer is, which is not scrolled to. */
  by: "line" | "table" | "event";
}

const MOST_FOUND = 240;
const NOTHING: Pointed = { columns: [], paths: [], by: "line" };

export function Explanation() {
  const selection = useStore((state) => state.selection);
  const explanations = useStore((state) => state.explanations);
  const [number, setNumber] = useState(0);
  useEffect(() => setNumber(0), [selection]);
  const explanation = explanations[Math.min(number, explanations.length - 1)];
  return (
    <Dock
      heading={selection?.title ?? "Explanation"}
      summary={explanation === undefined ? "Choose a record to see how it is read" : outcome(explanation)}
      isEmpty={explanation === undefined}
      mood={explanation?.rejected ? "bad" : explanation?.event ? "good" : ""}
    >
      {explanations.length > 1 && (
        <label class="record-chooser">
          Record{" "}
          <select id="record" value={Math.min(number, explanations.length - 1)} onChange={(event) => setNumber(Number(event.currentTarget.value))}>
            {explanations.map((_, index) => (
              <option key={index} value={index}>
                {index + 1} of {explanations.length}
              </option>
            ))}
          </select>
        </label>
      )}
      {explanation !== undefined && selection !== null && <Details key={`${selection.key} ${number}`} line={selection.record} explanation={explanation} />}
    </Dock>
  );
}

function outcome({ summary, rejected, skipped }: ExplanationType): string {
  const sentence = summary.charAt(0).toUpperCase() + summary.slice(1);
  if (rejected !== null) {
    return `${sentence}: refused, ${rejected.field === null ? "" : `${rejected.field}: `}wanted ${rejected.wanted}`;
  }
  return skipped === null ? sentence : `${sentence}: skipped, ${skipped}`;
}

function Details({ line, explanation }: { line: string; explanation: ExplanationType }) {
  const [pointed, point] = useState(NOTHING);
  const { columns, event } = explanation;
  const toColumn = (index: number, by: Pointed["by"]) => point({ columns: [index], paths: columns[index]!.members, by });
  const toPath = (path: string, by: Pointed["by"]) =>
    point({ paths: [path], columns: columns.flatMap((column, index) => (column.members.includes(path) ? [index] : [])), by });
  return (
    <>
      <Line line={line} columns={columns} pointed={pointed} onPoint={(index) => toColumn(index, "line")} />
      <div class="reading">
        {columns.length > 0 && <Columns columns={columns} pointed={pointed} onColumn={(index) => toColumn(index, "table")} onPath={(path) => toPath(path, "table")} />}
        {event === null ? <NoEvent explanation={explanation} /> : <Event event={event} columns={columns} pointed={pointed} onPath={(path) => toPath(path, "event")} />}
      </div>
    </>
  );
}

/** Arrow keys go from stop to stop; the tab key goes past all but one. */
function moveFocus(event: KeyboardEvent) {
  const stops = [...(event.currentTarget as Element).querySelectorAll<HTMLElement>("[data-stop]")];
  const at = stops.indexOf(document.activeElement as HTMLElement);
  const last = stops.length - 1;
  const next = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last }[event.key];
  if (at >= 0 && next !== undefined) {
    event.preventDefault();
    const stop = stops[Math.min(last, Math.max(0, next))]!;
    stops[at]!.tabIndex = -1;
    stop.tabIndex = 0;
    stop.focus();
  }
}

interface LineProps {
  line: string;
  columns: Column[];
  pointed: Pointed;
  onPoint: (index: number) => void;
}

function Line({ line, columns, pointed, onPoint }: LineProps) {
  const parts = [];
  let end = 0;
  for (const [index, { range, found, name, number, wanted }] of columns.entries()) {
    if (range !== null) {
      parts.push(line.slice(end, range[0]));
      const mood = `${wanted === null ? "" : " wrong"}${pointed.columns.includes(index) ? " pointed" : ""}`;
      parts.push(
        <button
          type="button"
          key={index}
          class={`column${mood}`}
          data-stop
          tabIndex={end === 0 ? 0 : -1}
          aria-label={`${found}, column ${number}, ${name || "one too many"}`}
          onMouseEnter={() => onPoint(index)}
          onFocus={() => onPoint(index)}
        >
          {line.slice(...range)}
        </button>,
      );
      end = range[1];
    }
  }
  if (line === "") {
    return null;
  }
  return (
    <div class="line" role="group" aria-label="The line" onKeyDown={moveFocus} id="explained-line">
      {parts}
      {line.slice(end, end + 4000)}
      {line.length > end + 4000 && "…"}
    </div>
  );
}

interface ColumnsProps {
  columns: Column[];
  pointed: Pointed;
  onColumn: (index: number) => void;
  onPath: (path: string) => void;
}

function Columns({ columns, pointed, onColumn, onPath }: ColumnsProps) {
  const fields = useStore((state) => state.description?.fields);
  const body = useScrollTo(pointed, "table");
  return (
    <div class="columns-frame" ref={body} role="region" aria-label="Columns" tabIndex={0}>
      <table class="columns" id="explained-columns">
        <caption class="visually-hidden">The columns of the record</caption>
        <thead>
          <tr>
            <th scope="col" class="narrow">
              <span class="visually-hidden">Number</span>
            </th>
            <th scope="col">Field</th>
            <th scope="col">Found</th>
            <th scope="col">Read as</th>
            <th scope="col">Members of the event</th>
          </tr>
        </thead>
        <tbody>
          {columns.map(({ number, name, found, reading, wanted, members: paths }, index) => (
            <tr key={index} class={pointed.columns.includes(index) ? "pointed" : ""} onMouseEnter={() => onColumn(index)}>
              <td class="narrow numerals">{number}</td>
              <th scope="row" title={fields?.find((field) => field.name === name)?.meaning}>
                {name || "–"}
              </th>
              <td class="found">{found || "–"}</td>
              <td class={wanted === null ? "" : "wrong"}>{wanted === null ? reading : `✗ wanted ${wanted}`}</td>
              <td>
                {paths.map((path) => (
                  <span
                    key={path}
                    class={pointed.paths.includes(path) ? "member pointed" : "member"}
                    onMouseEnter={() => onPath(path)}
                    onMouseLeave={() => onColumn(index)}
                  >
                    {path}
                  </span>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface EventProps {
  event: string;
  columns: Column[];
  pointed: Pointed;
  onPath: (path: string) => void;
}

function Event({ event, columns, pointed, onPath }: EventProps) {
  const body = useScrollTo(pointed, "event");
  const used = new Set(columns.flatMap((column) => column.members));
  const lines = members(event);
  const firstUsed = lines.findIndex(({ path, kind }) => used.has(path) && kind !== "close");
  return (
    <div class="event-frame" ref={body} role="group" aria-label="The event" onKeyDown={moveFocus} id="explained-event">
      {lines.map((member, index) =>
        used.has(member.path) && member.kind !== "close" ? (
          <button
            type="button"
            key={index}
            class={pointed.paths.includes(member.path) ? "json-line pointed" : "json-line"}
            data-stop
            tabIndex={index === firstUsed ? 0 : -1}
            onMouseEnter={() => onPath(member.path)}
            onFocus={() => onPath(member.path)}
          >
            <MemberText member={member} />
          </button>
        ) : (
          <div key={index} class="json-line">
            <MemberText member={member} />
          </div>
        ),
      )}
    </div>
  );
}

function NoEvent({ explanation: { rejected, skipped } }: { explanation: ExplanationType }) {
  if (rejected === null) {
    return <div class="no-event">{skipped === null ? <p>A record this long is not explained.</p> : <p><strong>Skipped:</strong> {skipped}.</p>}</div>;
  }
  const { reason, column, field, found, wanted } = rejected;
  return (
    <div class="no-event">
      <p>
        <strong class="wrong">Refused</strong> <code>{reason}</code>
      </p>
      <p>
        {column !== null && `Column ${column}, `}
        {field !== null && (
          <>
            <code>{field}</code>:{" "}
          </>
        )}
        {found !== "" && (
          <>
            found <code class="wrong">{found.slice(0, MOST_FOUND)}</code>,{" "}
          </>
        )}
        wanted {wanted}.
      </p>
    </div>
  );
}

/** Brings what is pointed at from elsewhere into view. */
function useScrollTo(pointed: Pointed, own: Pointed["by"]) {
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const target = pointed.by === own ? null : frame.current?.querySelector(".pointed");
    if (target) {
      const inner = target.getBoundingClientRect();
      const outer = frame.current!.getBoundingClientRect();
      if (inner.top < outer.top + 30) {
        frame.current!.scrollTop += inner.top - outer.top - 40;
      } else if (inner.bottom > outer.bottom) {
        frame.current!.scrollTop += inner.bottom - outer.bottom + 20;
      }
    }
  }, [pointed]);
  return frame;
}
