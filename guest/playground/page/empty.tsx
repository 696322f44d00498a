// What stands where there is nothing to show.

import { useStore } from "./state.ts";

/** `otherwise` is said of what no filter takes from. */
export function Empty({ otherwise }: { otherwise?: string }) {
  const isReading = useStore((state) => state.isReading || state.description === null);
  const isFiltered = useStore((state) => Object.keys(state.filter).length > 0 && (state.report?.totals.events ?? 0) > 0);
  return <p class="empty">{isReading ? "Reading …" : (otherwise ?? (isFiltered ? "No event matches the filter." : "There are no events."))}</p>;
}
