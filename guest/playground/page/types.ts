// What crosses between page, worker and parser. The Rust side has the same types: `settings.rs`, `filter.rs`,
// `reading.rs`, `traffic.rs`, `timeline.rs`, `sample.rs`, `rejects.rs`, `explainer.rs`.

/** What is absent is as the parser has it. */
export interface Settings {
  schema?: string;
  /** Field names, separated by blanks or commas. */
  format?: string;
  maxLineBytes?: number;
  keepMessage?: boolean;
  timeField?: "start" | "end";
  eventId?: boolean;
  /** Unix seconds and nanoseconds. */
  collectedAt?: [number, number];
  filter?: Filter;
}

export type Verdict = "accepted" | "rejected" | "unknown";
export type Direction = "ingress" | "egress" | "unknown";

/** An event is taken if it agrees in everything that is named. */
export interface Filter {
  source?: string;
  destination?: string;
  /** The destination's. */
  port?: number;
  protocol?: number;
  verdict?: Verdict;
  direction?: Direction;
  /** Unix milliseconds: flows that began then or later … */
  from?: number;
  /** … and before this. */
  until?: number;
}

/** Databases in MaxMind DB format. */
export interface Databases {
  city?: Uint8Array;
  asn?: Uint8Array;
}

export interface Description {
  /** The default first. */
  schemas: string[];
  fields: Field[];
}

export interface Field {
  name: string;
  since: number | null;
  kind: string;
  meaning: string;
  /** For each schema the paths of the members that depend on it, as `source.ip`. */
  members: string[][];
}

export interface Report {
  /** Over all files, whatever the filter. */
  totals: { lines: number; events: number; rejects: number; skips: number; bytes: number };
  /** Of the events that the filter takes. */
  traffic: Traffic;
  rejects: { rows: Reject[]; by_reason: Record<string, number> };
  /** Absent in reports of progress. */
  sample: Sample | null;
}

export interface Volume {
  flows: number;
  bytes: number;
}

export interface Traffic {
  total: Volume;
  timeline: { widthMillis: number; buckets: Bucket[]; undated: Volume };
  sources: Ranking;
  destinations: Ranking;
  /** Destination ports. */
  ports: Ranking;
  protocols: Ranking;
  directions: ({ direction: Direction; verdict: Verdict } & Volume)[];
}

export interface Bucket extends Record<Verdict, Volume> {
  startMillis: number;
}

export interface Ranking {
  /** The largest first. */
  rows: ({ key: string; name?: string } & Volume)[];
  /** How many keys there are. */
  keys: number;
  /** No row has more missing than this: of very many keys the small ones are forgotten. */
  missing: Volume;
}

export interface Sample {
  rows: Row[];
  /** One of so many events is kept. */
  every: number;
  /** Events that would have been kept, but for their length. */
  too_long: number;
}

export interface Row {
  /** Index of the file. */
  file: number;
  /** From 1. */
  line: number;
  /** The header line in force. */
  header: string | null;
  record: string;
  /** The event as the parser wrote it. */
  event: string;
}

export interface Fault {
  reason: string;
  column: number | null;
  field: string | null;
  found: string;
  wanted: string;
}

export interface Reject {
  /** Index of the file. */
  file: number;
  /** From 1. */
  line: number;
  /** The header line in force. */
  header: string | null;
  /** Where it begins in the decompressed file. */
  byteOffset: number;
  /** Which record of an envelope it is, from 1. */
  eventNumber: number | null;
  fault: Fault;
  /** The line in three parts; the second is what is wrong, and empty if that is not known. */
  text: [string, string, string];
  /** Whether the line goes on. */
  isCut: boolean;
}

/** Of one record: an envelope has several. */
export interface Explanation {
  summary: string;
  columns: Column[];
  /** One of these three. */
  event: string | null;
  rejected: Fault | null;
  skipped: string | null;
}

export interface Column {
  number: number | null;
  /** Where it stands in the line, of a text line only. */
  range: [number, number] | null;
  name: string;
  found: string;
  /** What it was read as … */
  reading: string | null;
  /** … or else what was wanted. */
  wanted: string | null;
  /** Paths of the members of the event that depend on it, as `source.ip`. */
  members: string[];
}

export interface Progress {
  /** Of all files, before decompression. */
  readBytes: number;
  totalBytes: number;
  /** Since the reading began. */
  seconds: number;
  report: Report;
}

/** A file that could not be read to its end. */
export interface Failure {
  file: string;
  message: string;
}

export interface Result extends Progress {
  failures: Failure[];
  isCancelled: boolean;
}

export interface Exported {
  /** The events, unless they have been written to a file. */
  blob: Blob | null;
  failures: Failure[];
}

/** What the page asks of the worker. */
export type Request = { id: number } & (
  | { kind: "describe" }
  /** For all requests that follow; they may be large, and so are sent once. */
  | { kind: "databases"; databases: Databases }
  | { kind: "read"; files: File[]; settings: Settings }
  | { kind: "export"; files: File[]; settings: Settings; gzip: boolean; to?: FileSystemFileHandle }
  | { kind: "explain"; before: string; line: string; settings: Settings }
  | { kind: "cancel" }
);

/** What the worker answers. */
export type Answer = { id: number } & (
  | { kind: "progress"; progress: Progress }
  | { kind: "done"; value: unknown }
  | { kind: "failed"; message: string; isCrash: boolean }
);

/** What the worker that only reads is asked for. */
export interface Piece {
  file: File;
  start: number;
  end: number;
}
