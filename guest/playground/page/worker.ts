// Runs the parser beside the page, so that the page never waits for it.

import init, { describe, Explainer, Reading } from "../generated/parser.js";
import { Pieces } from "./pieces.ts";
import type { Answer, Databases, Exported, Failure, Progress, Request, Result, Settings } from "./types.ts";

const ready = init({ module_or_path: new URL("parser_bg.wasm", import.meta.url) }).catch((error: Error) => {
  throw new Error(`the parser cannot be loaded: ${error.message}`);
});

/** Requests that shall stop. */
const cancelled = new Set<number>();
let databases: Databases = {};
/** Kept for the next line, since a database of some 60 MB is copied into each explainer. */
let explaining: { settings: string; explainer: Explainer } | null = null;
/** How long the parser works before messages are looked for, in milliseconds. */
const TURN_MILLIS = 30;
const PROGRESS_MILLIS = 200;
/** Events are handed on in pieces of this size, in bytes. */
const PIECE_BYTES = 1 << 20;

addEventListener("message", async ({ data }: MessageEvent<Request>) => {
  if (data.kind === "cancel") {
    cancelled.add(data.id);
    return;
  }
  try {
    await ready;
    answer({ id: data.id, kind: "done", value: await value(data) });
  } catch (error) {
    answer({ id: data.id, kind: "failed", message: message(error), isCrash: isCrash(error) });
  } finally {
    cancelled.delete(data.id);
  }
});

function answer(answer: Answer) {
  postMessage(answer);
}

/** After a panic in Rust nothing in its memory can be relied on: the page starts another worker. */
function isCrash(error: unknown): boolean {
  return error instanceof WebAssembly.RuntimeError;
}

function message(error: unknown): string {
  if (isCrash(error)) {
    return "the parser has crashed over this input, which it should not; please report it";
  }
  return error instanceof Error ? error.message : String(error);
}

async function value(request: Exclude<Request, { kind: "cancel" }>): Promise<unknown> {
  switch (request.kind) {
    case "describe":
      return JSON.parse(describe());
    case "databases":
      databases = request.databases;
      forgetExplainer();
      return null;
    case "read":
      return read(request.id, request.files, request.settings);
    case "export":
      return write(request);
    case "explain":
      return JSON.parse(explainer(JSON.stringify(request.settings)).explain(request.before, request.line));
  }
}

function explainer(settings: string): Explainer {
  if (explaining?.settings !== settings) {
    forgetExplainer();
    explaining = { settings, explainer: new Explainer(settings, databases.city, databases.asn) };
  }
  return explaining!.explainer;
}

function forgetExplainer() {
  explaining?.explainer.free();
  explaining = null;
}

async function read(id: number, files: File[], settings: Settings): Promise<Result> {
  const began = performance.now();
  const reading = new Reading(JSON.stringify(settings), databases.city, databases.asn);
  const totalBytes = files.reduce((sum, file) => sum + file.size, 0);
  const progress = (readBytes: number, withSample: boolean): Progress => ({
    readBytes,
    totalBytes,
    seconds: (performance.now() - began) / 1000,
    report: JSON.parse(reading.report(withSample)),
  });
  let told = began;
  let before = 0;
  const failures: Failure[] = [];
  try {
    for (const file of files) {
      try {
        reading.open(file, file.name);
        for await (const _ of steps(id, reading, file)) {
          if (performance.now() - told > PROGRESS_MILLIS) {
            answer({ id, kind: "progress", progress: progress(before + reading.bytesRead(), false) });
            told = performance.now();
          }
        }
      } catch (error) {
        failures.push(failureOf(file, error));
      }
      if (cancelled.has(id)) {
        return { ...progress(before + reading.bytesRead(), true), failures, isCancelled: true };
      }
      before += file.size;
    }
    return { ...progress(totalBytes, true), failures, isCancelled: false };
  } finally {
    release(reading);
  }
}

/** What is whole before a corrupt place has been read; only a crash ends everything. */
function failureOf(file: File, error: unknown): Failure {
  if (isCrash(error)) {
    throw error;
  }
  return { file: file.name, message: message(error) };
}

function release(reading: Reading) {
  try {
    reading.free();
  } catch {
    // It is in use still where it has crashed, and goes away with the worker.
  }
}

/** When messages were handled last: of many small files, none takes long enough by itself. */
let turn = 0;

/** Transforms the file at hand batch by batch, and gives way to messages now and then. */
async function* steps(id: number, reading: Reading, file: File) {
  const pieces = new Pieces(file);
  while (!cancelled.has(id)) {
    if (performance.now() - turn > TURN_MILLIS) {
      await messages();
      turn = performance.now();
      continue;
    }
    await pieces.give(reading);
    if (!reading.step()) {
      return;
    }
    yield;
  }
}

/** Lets messages that have come be handled. A timer would wait for some milliseconds each time. */
function messages(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Transforms all files again and writes every event: to a file, or to a blob, which the browser keeps on disk. */
async function write(request: Extract<Request, { kind: "export" }>): Promise<Exported> {
  const { id, files, gzip, to } = request;
  const began = performance.now();
  const settings = { ...request.settings, writesAll: true };
  const reading = new Reading(JSON.stringify(settings), databases.city, databases.asn);
  const totalBytes = files.reduce((sum, file) => sum + file.size, 0);
  let told = began;
  let before = 0;
  const failures: Failure[] = [];
  let pieces: Uint8Array[] = [];
  let bytes = 0;
  async function* events() {
    for (const file of files) {
      try {
        reading.open(file, file.name);
        for await (const _ of steps(id, reading, file)) {
          const piece = reading.events();
          // Of a batch of which the filter takes nothing, nothing is handed on: the stream would wait for more.
          if (piece.length > 0) {
            pieces.push(piece);
            bytes += piece.length;
          }
          if (performance.now() - told > PROGRESS_MILLIS) {
            told = performance.now();
            const readBytes = before + reading.bytesRead();
            const report = JSON.parse(reading.report(false));
            answer({ id, kind: "progress", progress: { readBytes, totalBytes, seconds: (told - began) / 1000, report } });
          }
          if (bytes >= PIECE_BYTES) {
            yield* pieces;
            pieces = [];
            bytes = 0;
          }
        }
      } catch (error) {
        failures.push(failureOf(file, error));
      }
      if (cancelled.has(id)) {
        throw new Error("cancelled");
      }
      before += file.size;
    }
    yield* pieces;
  }
  const generator = events();
  // The browser makes another error of it, which says nothing.
  let cause: unknown;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const { done, value } = await generator.next().catch((error) => {
        cause = error;
        throw error;
      });
      if (done) {
        controller.close();
      } else {
        controller.enqueue(value as Uint8Array<ArrayBuffer>);
      }
    },
  });
  try {
    const out = gzip ? stream.pipeThrough(new CompressionStream("gzip")) : stream;
    const blob = to === undefined ? await new Response(out).blob() : null;
    if (to !== undefined) {
      await out.pipeTo(await to.createWritable());
    }
    return { blob, failures };
  } catch (error) {
    throw cause ?? error;
  } finally {
    release(reading);
  }
}
