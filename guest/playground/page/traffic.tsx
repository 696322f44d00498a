// What went where and when. A bar that is clicked is what is asked for from then on.

import { useState } from "preact/hooks";
import { setFilter } from "./actions.ts";
import { ChartCard } from "./chart.tsx";
import { Empty } from "./empty.tsx";
import { current, useStore } from "./state.ts";
import type { Direction, Filter, Ranking, Traffic as TrafficType, Verdict, Volume } from "./types.ts";
import { bytes, count, counted, dayAndTime, portName, span, time } from "./words.ts";

type Unit = "bytes" | "flows";

const VERDICTS: Verdict[] = ["accepted", "rejected", "unknown"];
const DIRECTIONS: Direction[] = ["ingress", "egress", "unknown"];
const VERDICT_NAMES: Record<Verdict, string> = { accepted: "Accepted", rejected: "Rejected", unknown: "Not stated" };
const NONE: Volume = { flows: 0, bytes: 0 };
const CHART_ROWS = 10;
const DAY_MILLIS = 86_400_000;

function shower(unit: Unit): (value: number) => string {
  return unit === "bytes" ? bytes : (value) => (Number.isInteger(value) ? count(value) : "");
}

function narrow(filter: Filter) {
  void setFilter({ ...current().filter, ...filter });
}

export function Traffic() {
  const traffic = useStore((state) => state.report?.traffic);
  if (traffic === undefined || traffic.total.flows === 0) {
    return <Empty />;
  }
  const unit: Unit = traffic.total.bytes > 0 ? "bytes" : "flows";
  return (
    <div class="traffic" id="traffic">
      <Timeline traffic={traffic} unit={unit} />
      <RankingCard id="sources" title="Sources" what="source" ranking={traffic.sources} unit={unit} filter={(key) => ({ source: key })} />
      <RankingCard id="destinations" title="Destinations" what="destination" ranking={traffic.destinations} unit={unit} filter={(key) => ({ destination: key })} />
      <RankingCard id="ports" title="Destination ports" what="port" ranking={traffic.ports} unit={unit} filter={(key) => ({ port: Number(key) })} />
      <RankingCard id="protocols" title="Protocols" what="protocol" ranking={traffic.protocols} unit={unit} filter={(key) => ({ protocol: Number(key) })} />
      <Directions traffic={traffic} unit={unit} />
    </div>
  );
}

function Timeline({ traffic, unit: usual }: { traffic: TrafficType; unit: Unit }) {
  const [chosen, choose] = useState<Unit>("flows");
  const unit = usual === "bytes" ? chosen : "flows";
  const { buckets, widthMillis, undated } = traffic.timeline;
  if (buckets.length === 0) {
    return <p class="note wide">These records have no times.</p>;
  }
  const show = shower(unit);
  const isOfDays = buckets.length * widthMillis > DAY_MILLIS;
  const used = VERDICTS.filter((verdict) => verdict !== "unknown" || buckets.some((bucket) => bucket.unknown.flows > 0));
  const pick = (index: number) => {
    const { startMillis } = buckets[index]!;
    narrow({ from: startMillis, until: startMillis + widthMillis });
  };
  const dated = buckets.map((bucket, index) => ({ bucket, index })).filter(({ bucket }) => VERDICTS.some((verdict) => bucket[verdict].flows > 0));
  return (
    <ChartCard
      id="timeline"
      title={`Traffic ${span(buckets[0]!.startMillis, buckets.at(-1)!.startMillis + widthMillis)} UTC`}
      note={undated.flows > 0 ? `${counted(undated.flows, "event")} without a time.` : undefined}
      control={usual === "bytes" && <UnitSwitch unit={unit} onChange={choose} />}
      labels={buckets.map(({ startMillis }) => time(startMillis, widthMillis, isOfDays))}
      series={used.map((verdict) => ({ name: VERDICT_NAMES[verdict], color: `--${verdict}`, values: buckets.map((bucket) => bucket[verdict][unit]) }))}
      show={show}
      onPick={pick}
      heads={["From (UTC)", ...used.map((verdict) => VERDICT_NAMES[verdict])]}
      rows={dated.map(({ bucket, index }) => ({
        cells: [dayAndTime(bucket.startMillis), ...used.map((verdict) => show(bucket[verdict][unit]))],
        onPick: () => pick(index),
      }))}
    />
  );
}

function UnitSwitch({ unit, onChange }: { unit: Unit; onChange: (unit: Unit) => void }) {
  return (
    <div class="switch" role="radiogroup" aria-label="Show">
      {(["bytes", "flows"] as const).map((one) => (
        <label key={one} class={one === unit ? "chosen" : ""}>
          <input type="radio" name="unit" value={one} checked={one === unit} onChange={() => onChange(one)} />
          {one === "bytes" ? "Bytes" : "Flows"}
        </label>
      ))}
    </div>
  );
}

interface RankingCardProps {
  id: string;
  title: string;
  what: string;
  ranking: Ranking;
  unit: Unit;
  filter: (key: string) => Filter;
}

function RankingCard({ id, title, what, ranking, unit, filter }: RankingCardProps) {
  const { rows, keys, missing } = ranking;
  if (rows.length === 0) {
    return null;
  }
  const name = (row: Ranking["rows"][number]) => {
    const known = row.name ?? (what === "port" ? portName(Number(row.key)) : undefined);
    return known === undefined ? row.key : `${row.key} ${known}`;
  };
  const charted = rows.slice(0, CHART_ROWS);
  const notes = [
    keys > charted.length ? `The largest ${charted.length} of ${missing.flows > 0 ? "more than " : ""}${counted(keys, what)}.` : "",
    missing.flows > 0 ? `Of so many, small ones are forgotten: at most ${shower(unit)(missing[unit])} are missing from each.` : "",
  ];
  return (
    <ChartCard
      id={id}
      title={`${title} by ${unit}`}
      note={notes.join(" ").trim() || undefined}
      isLying
      labels={charted.map(name)}
      series={[{ name: unit === "bytes" ? "Bytes" : "Flows", color: "--bar", values: charted.map((row) => row[unit]) }]}
      show={shower(unit)}
      onPick={(index) => narrow(filter(charted[index]!.key))}
      heads={[what.charAt(0).toUpperCase() + what.slice(1), "Bytes", "Flows"]}
      rows={rows.map((row) => ({
        cells: [name(row), bytes(row.bytes), count(row.flows)],
        onPick: () => narrow(filter(row.key)),
      }))}
    />
  );
}

function Directions({ traffic, unit }: { traffic: TrafficType; unit: Unit }) {
  const { directions } = traffic;
  const shown = DIRECTIONS.filter((direction) => directions.some((row) => row.direction === direction));
  const used = VERDICTS.filter((verdict) => directions.some((row) => row.verdict === verdict));
  const volume = (direction: Direction, verdict: Verdict) => directions.find((row) => row.direction === direction && row.verdict === verdict) ?? NONE;
  const name = (direction: Direction) => (direction === "unknown" ? "not stated" : direction);
  return (
    <ChartCard
      id="directions"
      title={`Directions and verdicts by ${unit}`}
      isLying
      isWide
      labels={shown.map(name)}
      series={used.map((verdict) => ({
        name: VERDICT_NAMES[verdict],
        color: `--${verdict}`,
        values: shown.map((direction) => volume(direction, verdict)[unit]),
      }))}
      show={shower(unit)}
      onPick={(index, series) => narrow({ direction: shown[index]!, ...(series === null ? {} : { verdict: used[series]! }) })}
      heads={["Direction", "Verdict", "Bytes", "Flows"]}
      rows={directions.map((row) => ({
        cells: [name(row.direction), VERDICT_NAMES[row.verdict], bytes(row.bytes), count(row.flows)],
        onPick: () => narrow({ direction: row.direction, verdict: row.verdict }),
      }))}
    />
  );
}
