// What the page knows, in one place. Components read it by `useStore`; `actions.ts` changes it.

import { useEffect, useReducer, useRef } from "preact/hooks";
import { NO_CHOICES, type Choices } from "./address.ts";
import type { Databases, Description, Explanation, Fault, Filter, Progress, Report, Result } from "./types.ts";

/** The record that is explained. */
export interface Selection {
  /** A line of the editor, or a record out of a list of results. */
  from: "editor" | "results";
  /** Tells it from others: of a line its number, of a record its place in the list. */
  key: string;
  title: string;
  /** From 1. */
  line: number;
  /** What stands before it, of which the last header line counts. */
  before: string;
  record: string;
  /** The event that it became, where that is known. */
  event?: string | undefined;
  /** Why it is refused, where it cannot be read again. */
  fault?: Fault;
  /** Nobody has chosen it: it is the first of a file. */
  isFirst?: boolean;
}

export interface State {
  description: Description | null;
  choices: Choices;
  /** Whose text is in the editor, until it is edited. */
  sample: string | null;
  text: string;
  /** A text that the editor shall take over. */
  replacement: { text: string };
  /** Read instead of the text, if there are any. */
  files: File[];
  databases: Databases;
  databaseNames: { city?: string; asn?: string };
  filter: Filter;
  /** While something is read. */
  progress: Progress | null;
  isReading: boolean;
  /** The last that is known, also while reading goes on. */
  report: Report | null;
  /** Of the last reading that has ended, and what it read. */
  result: Result | null;
  input: File[];
  /** Why the parser does not take the choices. */
  refusal: string;
  selection: Selection | null;
  explanations: Explanation[];
  isDark: boolean;
  /** Files are dragged over the page. */
  isDragging: boolean;
}

let state: State = {
  description: null,
  choices: NO_CHOICES,
  sample: null,
  text: "",
  replacement: { text: "" },
  files: [],
  databases: {},
  databaseNames: {},
  filter: {},
  progress: null,
  isReading: false,
  report: null,
  result: null,
  input: [],
  refusal: "",
  selection: null,
  explanations: [],
  isDark: false,
  isDragging: false,
};

const listeners = new Set<() => void>();

export function current(): State {
  return state;
}

export function change(changes: Partial<State>) {
  state = { ...state, ...changes };
  for (const listener of listeners) {
    listener();
  }
}

/** A part of the state; the component is rendered again when it changes. */
export function useStore<T>(select: (state: State) => T): T {
  const [, render] = useReducer((count: number, _: void) => count + 1, 0);
  const value = select(state);
  const last = useRef(value);
  last.current = value;
  useEffect(() => {
    const look = () => {
      if (select(state) !== last.current) {
        render();
      }
    };
    listeners.add(look);
    look();
    return () => {
      listeners.delete(look);
    };
  }, []);
  return value;
}
