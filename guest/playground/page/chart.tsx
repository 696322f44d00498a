// A chart in a card, with its numbers as a table.

import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { draw, type Series } from "./charts.ts";
import { useStore } from "./state.ts";

interface ChartCardProps {
  id: string;
  title: string;
  note?: string;
  /** Beside the title. */
  control?: ComponentChildren;
  labels: string[];
  series: Series[];
  isLying?: boolean;
  isWide?: boolean;
  show: (value: number) => string;
  onPick: (index: number, series: number | null) => void;
  heads: string[];
  rows: { cells: string[]; onPick: () => void }[];
}

export function ChartCard({ id, title, note, control, labels, series, isLying = false, isWide = !isLying, show, onPick, heads, rows }: ChartCardProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const isDark = useStore((state) => state.isDark);
  // What is drawn is compared as text: an input that is read again often gives the same numbers.
  const drawn = JSON.stringify([labels, series, title, isDark]);
  const pick = useRef(onPick);
  pick.current = onPick;
  // Together with `pick` and the table: a bar that is clicked is always the one that is seen.
  useLayoutEffect(() => {
    const chart = draw(canvas.current!, { labels, series, isLying, show, onPick: (...picked) => pick.current(...picked) });
    return () => chart.destroy();
  }, [drawn]);
  const pixels = isLying ? 34 + labels.length * 24 : 220;
  return (
    <section class={isWide ? "card wide" : "card"} aria-labelledby={`${id}-heading`} id={id}>
      <div class="card-bar">
        <h3 id={`${id}-heading`}>{title}</h3>
        {series.length > 1 && (
          <ul class="legend" aria-hidden="true">
            {series.map(({ name, color }) => (
              <li key={name} class={`legend-item ${color.slice(2)}`}>
                {name}
              </li>
            ))}
          </ul>
        )}
        {control}
      </div>
      <div class="canvas-frame" style={{ height: `${pixels}px` }}>
        <canvas ref={canvas} role="img" aria-label={`${title}: a bar chart. The table after it has its numbers.`} />
      </div>
      {note !== undefined && <p class="note">{note}</p>}
      <details class="numbers-table">
        <summary>Numbers</summary>
        <div class="numbers-frame">
          <table>
            <caption class="visually-hidden">{title}. Choose a row to see only its events.</caption>
            <thead>
              <tr>
                {heads.map((head) => (
                  <th key={head} scope="col">
                    {head}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(({ cells, onPick: pickRow }) => (
                <tr key={cells.slice(0, 2).join()} onClick={pickRow}>
                  {cells.map((cell, at) =>
                    at === 0 ? (
                      <th key={at} scope="row">
                        <button type="button" class="plain" title="Only these">
                          {cell}
                        </button>
                      </th>
                    ) : (
                      <td key={at} class="numerals">
                        {cell}
                      </td>
                    ),
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </section>
  );
}
