// The choices as the address has them, behind its #: never the data.

import type { Settings } from "./types.ts";

export const TABS = ["traffic", "table", "events", "rejects"] as const;
export type Tab = (typeof TABS)[number];

/** An empty text is the parser's own choice. */
export interface Choices {
  schema: string;
  format: string;
  eventId: boolean;
  message: "" | "keep" | "leave";
  time: "" | "start" | "end";
  tab: Tab;
}

export const NO_CHOICES: Choices = { schema: "", format: "", eventId: false, message: "", time: "", tab: "traffic" };

/** `sample` is null where the text is the reader's own. */
export interface Address {
  choices: Choices;
  sample: string | null;
}

export function readAddress(fragment: string): Address {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const oneOf = <T extends string>(name: string, allowed: readonly T[], otherwise: T): T =>
    allowed.find((value) => value === given.get(name)) ?? otherwise;
  return {
    choices: {
      schema: given.get("schema") ?? "",
      format: given.get("format") ?? "",
      eventId: given.get("ids") === "yes",
      message: oneOf("message", ["", "keep", "leave"], ""),
      time: oneOf("time", ["", "start", "end"], ""),
      tab: oneOf("tab", TABS, NO_CHOICES.tab),
    },
    sample: given.get("sample"),
  };
}

export function writeAddress({ choices, sample }: Address): string {
  const parts = new URLSearchParams();
  const add = (name: string, value: string | null) => value && parts.set(name, value);
  add("sample", sample);
  add("schema", choices.schema);
  add("format", choices.format);
  add("ids", choices.eventId ? "yes" : "");
  add("message", choices.message);
  add("time", choices.time);
  add("tab", choices.tab);
  return `#${parts}`;
}

export function settingsOf(choices: Choices): Settings {
  return {
    schema: choices.schema || undefined,
    format: choices.format.trim() || undefined,
    eventId: choices.eventId,
    keepMessage: choices.message === "" ? undefined : choices.message === "keep",
    timeField: choices.time || undefined,
  };
}
