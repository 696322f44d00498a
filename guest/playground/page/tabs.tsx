// The results in tabs, by the ARIA pattern: arrow keys go from tab to tab.

import type { ComponentType } from "preact";
import { useRef } from "preact/hooks";
import { choose } from "./actions.ts";
import { TABS, type Tab } from "./address.ts";
import { Events } from "./events.tsx";
import { Rejects } from "./rejects.tsx";
import { useStore } from "./state.ts";
import { Table } from "./table.tsx";
import { Traffic } from "./traffic.tsx";
import { count } from "./words.ts";

const TITLES: Record<Tab, string> = { traffic: "Traffic", table: "Table", events: "Events", rejects: "Rejects" };
const PANELS: Record<Tab, ComponentType> = { traffic: Traffic, table: Table, events: Events, rejects: Rejects };

export function Tabs() {
  const tab = useStore((state) => state.choices.tab);
  const rejects = useStore((state) => state.report?.totals.rejects ?? 0);
  const list = useRef<HTMLDivElement>(null);
  const Panel = PANELS[tab];

  function move(event: KeyboardEvent) {
    const last = TABS.length - 1;
    const at = TABS.indexOf(tab);
    const next = { ArrowRight: at === last ? 0 : at + 1, ArrowLeft: at === 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (next !== undefined) {
      event.preventDefault();
      void choose({ tab: TABS[next]! });
      list.current!.querySelectorAll<HTMLElement>("[role=tab]")[next]!.focus();
    }
  }

  return (
    <>
      <div class="tabs" role="tablist" aria-label="Results" ref={list} onKeyDown={move}>
        {TABS.map((name) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={tab === name}
            aria-controls="tab-panel"
            tabIndex={tab === name ? 0 : -1}
            onClick={() => void choose({ tab: name })}
          >
            {TITLES[name]}
            {name === "rejects" && rejects > 0 && <span class="badge">{count(rejects)}</span>}
          </button>
        ))}
      </div>
      <div class="tab-panel" role="tabpanel" id="tab-panel" aria-labelledby={`tab-${tab}`} tabIndex={0}>
        <Panel />
      </div>
    </>
  );
}
