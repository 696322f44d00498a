// A panel along the lower edge of the window, so that a record's explanation is in view wherever it was chosen.

import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { useStore } from "./state.ts";

interface DockProps {
  heading: string;
  summary: string;
  mood: string;
  /** Whether there is nothing to open it for. */
  isEmpty: boolean;
  children: ComponentChildren;
}

export function Dock({ heading, summary, mood, isEmpty, children }: DockProps) {
  // In a small window it would hide the rest.
  const [isWanted, setWanted] = useState(() => innerWidth >= 1000 && innerHeight >= 640);
  const isOpen = isWanted && !isEmpty;
  const selection = useStore((state) => state.selection);
  useEffect(() => {
    if (selection?.from === "results" && !selection.isFirst) {
      setWanted(true);
    }
  }, [selection]);
  return (
    <section class={isOpen ? "dock open" : "dock"} id="explanation" aria-labelledby="explanation-heading">
      <div class="dock-bar">
        <h2 id="explanation-heading" data-testid="explanation-title">
          {heading}
        </h2>
        <p class={`dock-summary ${mood}`} data-testid="explanation-summary">
          {summary}
        </p>
        <p class="dock-help">Point at a column or a member to see what belongs together</p>
        <button type="button" id="explanation-toggle" aria-expanded={isOpen} aria-controls="explanation-body" disabled={isEmpty} onClick={() => setWanted(!isWanted)}>
          {isOpen ? "Hide" : "Explain"}
        </button>
      </div>
      <div class="dock-body" id="explanation-body" hidden={!isOpen}>
        {children}
      </div>
    </section>
  );
}
