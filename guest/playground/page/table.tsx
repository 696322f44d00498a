// The events as a table: a column for each member. Only the rows in view are in the document.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { selectRow } from "./actions.ts";
import { Empty } from "./empty.tsx";
import { SampleNote } from "./events.tsx";
import { members, plain } from "./json.tsx";
import { useStore } from "./state.ts";
import type { Description, Row } from "./types.ts";
import { count } from "./words.ts";

const ROW_PIXELS = 30;
const SPARE_ROWS = 8;
/** What most people look for first. */
const FIRST_FIELDS = ["start", "srcaddr", "srcport", "dstaddr", "dstport", "protocol", "action", "packets", "bytes"];

interface Record {
  row: Row;
  index: number;
  cells: Map<string, string>;
}

interface Order {
  path: string;
  isDown: boolean;
}

const collator = new Intl.Collator("en", { numeric: true });

export function Table() {
  const sample = useStore((state) => state.report?.sample ?? state.result?.report.sample);
  const description = useStore((state) => state.description);
  const schema = useStore((state) => state.choices.schema);
  const [chosen, setChosen] = useState<string[] | null>(null);
  const [order, setOrder] = useState<Order | null>(null);
  const [wanted, setWanted] = useState("");

  useEffect(() => setChosen(null), [schema]);
  const records = useMemo(() => (sample?.rows ?? []).map(record), [sample]);
  const paths = useMemo(() => [...new Set(records.flatMap(({ cells }) => [...cells.keys()]))].sort(collator.compare), [records]);
  const usual = useMemo(() => usualColumns(description, schema, paths), [description, schema, paths]);
  const columns = chosen?.filter((path) => paths.includes(path)) ?? usual;
  const shown = useMemo(() => arranged(records, columns, wanted, order), [records, columns.join(), wanted, order]);

  if (!sample || records.length === 0) {
    return <Empty />;
  }
  return (
    <>
      <div class="table-bar">
        <input type="search" id="table-search" aria-label="Find in the table" placeholder="Find in the table" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        <ColumnChooser paths={paths} columns={columns} onChange={setChosen} />
        <span class="note">
          {wanted === "" ? <SampleNote every={sample.every} tooLong={sample.too_long} rows={records.length} /> : `${count(shown.length)} of ${count(records.length)} rows`}
        </span>
      </div>
      <Rows records={shown} columns={columns} order={order} onOrder={setOrder} />
    </>
  );
}

function record(row: Row, index: number): Record {
  const cells = new Map<string, string>();
  for (const member of members(row.event)) {
    if (member.kind !== "open" && member.kind !== "close") {
      cells.set(member.path, plain(member));
    }
  }
  return { row, index, cells };
}

/** Of each field the member that depends on few others and has a short name: `source.ip`, not `related.ip`. */
function usualColumns(description: Description | null, schema: string, paths: string[]): string[] {
  const at = Math.max(0, description?.schemas.indexOf(schema) ?? 0);
  const fields = new Map(description?.fields.map((field) => [field.name, field.members[at] ?? []]));
  const users = new Map<string, number>();
  for (const path of [...fields.values()].flat()) {
    users.set(path, (users.get(path) ?? 0) + 1);
  }
  return FIRST_FIELDS.flatMap((name) => {
    const own = (fields.get(name) ?? []).filter((path) => paths.includes(path));
    own.sort((one, other) => users.get(one)! - users.get(other)! || Number(/event\.type/.test(one)) - Number(/event\.type/.test(other)) || one.length - other.length);
    return own.slice(0, 1);
  });
}

function arranged(records: Record[], columns: string[], wanted: string, order: Order | null): Record[] {
  const text = wanted.trim().toLowerCase();
  const found = text === "" ? [...records] : records.filter(({ cells }) => columns.some((path) => cells.get(path)?.toLowerCase().includes(text)));
  if (order !== null) {
    const { path, isDown } = order;
    // What has no value stands at the end, whichever way the others go.
    found.sort((one, other) => {
      const [a, b] = [one.cells.get(path), other.cells.get(path)];
      return a === undefined || b === undefined ? Number(a === undefined) - Number(b === undefined) : (isDown ? -1 : 1) * collator.compare(a, b);
    });
  }
  return found;
}

function ColumnChooser({ paths, columns, onChange }: { paths: string[]; columns: string[]; onChange: (columns: string[] | null) => void }) {
  const menu = useRef<HTMLDetailsElement>(null);
  const close = () => menu.current!.removeAttribute("open");
  return (
    <details
      class="menu"
      ref={menu}
      onFocusOut={(event) => event.relatedTarget !== null && !menu.current!.contains(event.relatedTarget as Node) && close()}
      onKeyDown={(event) => {
        if (event.key === "Escape") {
          close();
          menu.current!.querySelector("summary")!.focus();
        }
      }}
    >
      <summary id="columns">Columns</summary>
      <div class="menu-body">
        <button type="button" class="plain" onClick={() => onChange(null)}>
          The usual ones
        </button>
        {paths.map((path) => (
          <label class="check" key={path}>
            <input
              type="checkbox"
              checked={columns.includes(path)}
              onChange={(event) => onChange(event.currentTarget.checked ? [...columns, path] : columns.filter((one) => one !== path))}
            />
            {path}
          </label>
        ))}
      </div>
    </details>
  );
}

interface RowsProps {
  records: Record[];
  columns: string[];
  order: Order | null;
  onOrder: (order: Order | null) => void;
}

function Rows({ records, columns, order, onOrder }: RowsProps) {
  const selected = useStore((state) => state.selection?.key);
  const input = useStore((state) => state.input);
  const frame = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  /** The row whose button the tab key reaches. */
  const [active, setActive] = useState(0);
  const moved = useRef(false);
  // Keys may come faster than the table is drawn.
  const latest = useRef(active);
  latest.current = active;

  useEffect(() => {
    const observer = new ResizeObserver(() => setHeight(frame.current?.clientHeight ?? 600));
    observer.observe(frame.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => setActive(0), [records]);
  // At once, before the next key is pressed and the row that has the focus goes out of the document.
  useLayoutEffect(() => {
    if (moved.current) {
      moved.current = false;
      frame.current!.querySelector<HTMLElement>("button[tabindex='0'].line-button")?.focus({ preventScroll: true });
    }
  });

  function move(event: KeyboardEvent) {
    const page = Math.max(1, Math.floor(height / ROW_PIXELS) - 2);
    const last = records.length - 1;
    const at = latest.current;
    const goal = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: last }[event.key];
    if (goal === undefined || !(event.target as Element).matches(".line-button")) {
      return;
    }
    event.preventDefault();
    const next = Math.min(last, Math.max(0, goal));
    setActive(next);
    latest.current = next;
    const view = frame.current!;
    const head = ROW_PIXELS + 8;
    if (next * ROW_PIXELS < view.scrollTop) {
      view.scrollTop = next * ROW_PIXELS;
    } else if ((next + 1) * ROW_PIXELS + head > view.scrollTop + height) {
      view.scrollTop = (next + 1) * ROW_PIXELS + head - height;
    }
    // Else nothing is drawn, and the focus stays where it is.
    moved.current = next !== at || view.scrollTop !== top;
    setTop(view.scrollTop);
  }

  // Of fewer records than before, the table may still be scrolled beyond the last one.
  const shown = Math.min(top, Math.max(0, records.length * ROW_PIXELS - height));
  const first = Math.max(0, Math.floor(shown / ROW_PIXELS) - SPARE_ROWS);
  const end = Math.min(records.length, Math.ceil((shown + height) / ROW_PIXELS) + SPARE_ROWS);
  // The row that was reached last may have been scrolled out of the table.
  const reached = Math.max(first, Math.min(active, end - 1));
  const turn = (path: string) => onOrder(order?.path !== path ? { path, isDown: false } : order.isDown ? null : { path, isDown: true });
  const isNumber = (text: string | undefined) => text !== undefined && /^-?\d+(\.\d+)?$/.test(text);
  return (
    <div class="table-frame" ref={frame} onScroll={(event) => setTop(event.currentTarget.scrollTop)} onKeyDown={move}>
      <table class="table" id="table" aria-rowcount={records.length + 1}>
        <caption class="visually-hidden">Events. Choose a line number for the explanation of its record.</caption>
        <thead>
          <tr aria-rowindex={1}>
            <th scope="col">Line</th>
            {columns.map((path) => (
              <th key={path} scope="col" aria-sort={order?.path !== path ? "none" : order.isDown ? "descending" : "ascending"}>
                <button type="button" class="plain" onClick={() => turn(path)}>
                  {path}
                  <span aria-hidden="true">{order?.path !== path ? "" : order.isDown ? " ↓" : " ↑"}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {first > 0 && <Spacer rows={first} columns={columns.length + 1} />}
          {records.slice(first, end).map(({ row, index, cells }, offset) => (
            <tr
              key={index}
              aria-rowindex={first + offset + 2}
              class={selected === `event ${index}` ? "selected" : ""}
              onClick={() => {
                setActive(first + offset);
                selectRow(row, index);
              }}
            >
              <th scope="row">
                <button
                  type="button"
                  class="plain line-button"
                  tabIndex={first + offset === reached ? 0 : -1}
                  aria-pressed={selected === `event ${index}`}
                  aria-label={`Explain ${input.length > 1 ? `${input[row.file]?.name} ` : "line "}${row.line}`}
                >
                  {input.length > 1 && `${input[row.file]?.name} `}
                  {row.line}
                </button>
              </th>
              {columns.map((path) => (
                <td key={path} class={isNumber(cells.get(path)) ? "numerals" : ""}>
                  {cells.get(path)}
                </td>
              ))}
            </tr>
          ))}
          {end < records.length && <Spacer rows={records.length - end} columns={columns.length + 1} />}
        </tbody>
      </table>
    </div>
  );
}

function Spacer({ rows, columns }: { rows: number; columns: number }) {
  return (
    <tr aria-hidden="true">
      <td colSpan={columns} style={{ height: `${rows * ROW_PIXELS}px`, padding: 0, border: 0 }} />
    </tr>
  );
}
