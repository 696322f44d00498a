// How many lines there were and what became of them.

import { useEffect, useState } from "preact/hooks";
import { choose, setFilter } from "./actions.ts";
import { useStore } from "./state.ts";
import type { Filter } from "./types.ts";
import { count, counted, duration, portName, rate, span } from "./words.ts";

/** Screen readers hear of new numbers when they have stood still for a while. */
const ANNOUNCE_MILLIS = 900;

/** Of less, the speed says nothing. */
const LEAST_BYTES = 100_000;

export function Numbers() {
  const report = useStore((state) => state.report);
  const result = useStore((state) => state.result);
  const isReading = useStore((state) => state.isReading);
  const filter = useStore((state) => state.filter);
  const isFiltered = Object.keys(filter).length > 0;
  const totals = report?.totals;
  const matching = report?.traffic.total.flows ?? 0;
  return (
    <div class={`numbers${isReading ? " is-reading" : ""}`}>
      <dl id="numbers">
        <Number name="Lines" value={totals?.lines} />
        <Number name="Events" value={totals?.events} isGood />
        {isFiltered && <Number name="Matching" value={matching} />}
        <Number name="Rejects" value={totals?.rejects} isBad onClick={() => void choose({ tab: "rejects" })} />
        <Number name="Skips" value={totals?.skips} />
        <div class="number">
          <dt>Read in</dt>
          <dd data-testid="throughput">
            {result === null ? "–" : duration(result.seconds)}{" "}
            {result !== null && result.report.totals.bytes >= LEAST_BYTES && <small>{rate(result.report.totals.bytes, result.seconds)}</small>}
          </dd>
        </div>
      </dl>
      <Announcement text={totals === undefined || isReading ? "" : announcement(totals, isFiltered ? matching : null)} />
    </div>
  );
}

function announcement(totals: { lines: number; events: number; rejects: number }, matching: number | null): string {
  const rejects = totals.rejects === 0 ? "no rejects" : counted(totals.rejects, "reject");
  const match = matching === null ? "" : `, ${count(matching)} match the filter`;
  return `${counted(totals.lines, "line")}: ${counted(totals.events, "event")}${match}, ${rejects}.`;
}

interface NumberProps {
  name: string;
  value: number | undefined;
  isGood?: boolean;
  isBad?: boolean;
  onClick?: () => void;
}

function Number({ name, value, isGood, isBad, onClick }: NumberProps) {
  const text = value === undefined ? "–" : count(value);
  const mood = value ? (isBad ? " bad" : isGood ? " good" : "") : "";
  return (
    <div class={`number${mood}`}>
      <dt>{name}</dt>
      <dd data-testid={name.toLowerCase()}>
        {onClick && value ? (
          <button type="button" class="plain" aria-label={`${text} ${name.toLowerCase()}: show them`} onClick={onClick}>
            {text}
          </button>
        ) : (
          text
        )}
      </dd>
    </div>
  );
}

function Announcement({ text }: { text: string }) {
  const [said, say] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => say((before) => text || before), ANNOUNCE_MILLIS);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <p class="visually-hidden" aria-live="polite" id="announcement">
      {said}
    </p>
  );
}

const PARTS: [keyof Filter, (filter: Filter, protocolName: string) => string][] = [
  ["source", ({ source }) => `from ${source}`],
  ["destination", ({ destination }) => `to ${destination}`],
  ["port", ({ port }) => `port ${port}${portName(port!) === undefined ? "" : ` ${portName(port!)}`}`],
  ["protocol", ({ protocol }, name) => `protocol ${name || protocol}`],
  ["verdict", ({ verdict }) => (verdict === "unknown" ? "verdict not stated" : verdict!)],
  ["direction", ({ direction }) => (direction === "unknown" ? "direction not stated" : direction!)],
  ["from", ({ from, until }) => `${span(from!, until!)} UTC`],
];

/** What is asked for, to be taken back part by part. */
export function Filters() {
  const filter = useStore((state) => state.filter);
  const protocolName = useStore(({ filter: { protocol }, report }) => report?.traffic.protocols.rows.find((row) => row.key === String(protocol))?.name ?? "");
  const shown = PARTS.filter(([part]) => filter[part] !== undefined);
  const without = (part: keyof Filter): Filter => {
    const { [part]: _, until, ...rest } = filter;
    return part === "from" || until === undefined ? rest : { ...rest, until };
  };
  if (shown.length === 0) {
    return null;
  }
  return (
    <div class="filters" role="group" aria-label="Filter" id="filters">
      <span class="soft">Only</span>
      {shown.map(([part, text]) => (
        <span class="chip" key={part}>
          {text(filter, protocolName)}
          <button type="button" aria-label={`Remove the filter ${text(filter, protocolName)}`} onClick={() => void setFilter(without(part))}>
            ×
          </button>
        </span>
      ))}
      {shown.length > 1 && (
        <button type="button" class="plain" onClick={() => void setFilter({})}>
          Show all
        </button>
      )}
    </div>
  );
}
