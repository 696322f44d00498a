// The worker as functions that promise what it answers.

import type { Answer, Databases, Description, Explanation, Exported, Progress, Request, Result, Settings } from "./types.ts";

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
  onProgress?: (progress: Progress) => void;
}

const waiting = new Map<number, Waiting>();
let lastId = 0;
let worker: Worker | null = null;
/** What the worker has got. */
let sent: Databases = {};

function start(): Worker {
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  worker.addEventListener("message", take);
  worker.addEventListener("error", (event) => fail(event.message || "the parser cannot be loaded"));
  return worker;
}

function take({ data }: MessageEvent<Answer>) {
  const request = waiting.get(data.id);
  if (data.kind === "progress") {
    request?.onProgress?.(data.progress);
    return;
  }
  waiting.delete(data.id);
  if (data.kind === "done") {
    request?.resolve(data.value);
  } else {
    request?.reject(new Error(data.message));
    if (data.isCrash) {
      fail(data.message);
    }
  }
}

/** The worker itself has failed: nothing that was asked of it will be answered, and what comes next gets another one. */
function fail(message: string) {
  worker?.terminate();
  worker = null;
  sent = {};
  for (const request of waiting.values()) {
    request.reject(new Error(message));
  }
  waiting.clear();
}

type Body<R> = R extends { id: number } ? Omit<R, "id"> : never;

export interface Watch {
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

function ask<T>(body: Body<Request>, { onProgress, signal }: Watch = {}): Promise<T> {
  const id = ++lastId;
  worker ??= start();
  worker.postMessage({ ...body, id });
  signal?.addEventListener("abort", () => waiting.has(id) && worker?.postMessage({ id, kind: "cancel" }));
  return new Promise((resolve, reject) => {
    waiting.set(id, { resolve: resolve as (value: unknown) => void, reject, onProgress });
  });
}

function send(databases: Databases) {
  if (databases !== sent) {
    sent = databases;
    // Where it fails, so does what is asked next.
    ask({ kind: "databases", databases }).catch(() => {});
  }
}

export function describe(): Promise<Description> {
  return ask({ kind: "describe" });
}

/** Reads all files; a signal ends it early with what has been found so far. */
export function read(files: File[], settings: Settings, databases: Databases, watch: Watch): Promise<Result> {
  send(databases);
  return ask({ kind: "read", files, settings }, watch);
}

/** Explains `line`, before which the whole lines of `before` stand. */
export function explain(
  before: string,
  line: string,
  settings: Settings,
  databases: Databases,
): Promise<Explanation[]> {
  send(databases);
  return ask({ kind: "explain", before, line, settings });
}

/** Writes the events of all files to a file, or gives them as a blob, up to where a file cannot be read; fails if a signal ends it. */
export function exportEvents(
  files: File[],
  settings: Settings,
  databases: Databases,
  gzip: boolean,
  to: FileSystemFileHandle | undefined,
  watch: Watch,
): Promise<Exported> {
  send(databases);
  return ask({ kind: "export", files, settings, gzip, to }, watch);
}
