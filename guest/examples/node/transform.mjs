// Turns a flow log into events with the component, from Node.
//
//     npm ci
//     vpcflow module component --output vpcflow.wasm
//     node transform.mjs vpcflow.wasm flow.log > events.ndjson
//
// The file is plain or gzip. A third argument is the schema: sekoia, elastic, snare. Rejects go to
// standard error. A line is held whole.

import { once } from "node:events";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";

import { transpileBytes } from "@bytecodealliance/jco-transpile";

const INTERFACE = "vpcflow:ecs/transform@0.1.0";
const PIECE_BYTES = 128 << 10;

/** Makes JavaScript and core modules of the component, in memory, and gives its interface. */
async function load(path) {
  const component = await readFile(path);
  try {
    const { files } = await transpileBytes(component, { name: "module", instantiation: "async" });
    const script = Buffer.from(files["module.js"]).toString("base64");
    const { instantiate } = await import(`data:text/javascript;base64,${script}`);
    const exports = await instantiate((name) => WebAssembly.compile(files[name]), {});
    if (exports[INTERFACE]) return exports[INTERFACE];
  } catch (error) {
    throw new Error(`${path} cannot be loaded: ${error.message ?? error}`);
  }
  throw new Error(`${path} does not export ${INTERFACE}`);
}

/** Opens a file and decompresses what it holds. */
async function open(path) {
  const file = createReadStream(path, { highWaterMark: PIECE_BYTES });
  await once(file, "readable");
  const magic = file.read(2);
  if (magic) file.unshift(magic);
  const isGzip = magic?.equals(Buffer.from([0x1f, 0x8b]));
  return isGzip ? [file, createGunzip({ chunkSize: PIECE_BYTES })] : [file];
}

/** Cuts pieces at line ends; the last line may lack its line feed. */
async function* wholeLines(pieces) {
  let rest = [];
  for await (const piece of pieces) {
    const end = piece.lastIndexOf("\n") + 1;
    if (end) {
      yield Buffer.concat([...rest, piece.subarray(0, end)]);
      rest = [];
    }
    rest.push(piece.subarray(end));
  }
  const last = Buffer.concat(rest);
  if (last.length) yield last;
}

async function transform(module, path, schema) {
  const { Transformer } = await load(module);
  // What is left out is absent.
  const options = { schema, maxLineBytes: 8 << 20, eventId: false };
  const transformer = Transformer.open(options);
  async function* events(pieces) {
    let offset = 0n;
    let linesBefore = 0n;
    for await (const piece of pieces) {
      const batch = transformer.transform(piece, { origin: path, offset });
      yield batch.events;
      for (const { line, fault } of batch.rejects) {
        const field = fault.field ? `${fault.field}: ` : "";
        const reason = fault.reason.val ?? fault.reason.tag;
        const place = `${path}:${linesBefore + BigInt(line) + 1n}`;
        console.error(`${place}: ${field}found ${JSON.stringify(fault.found)}, wanted ${fault.wanted} (${reason})`);
      }
      offset += BigInt(piece.length);
      linesBefore += batch.counts.lines;
    }
  }
  await pipeline(...(await open(path)), wholeLines, events, process.stdout, { end: false });
}

const [module, path, schema, ...more] = process.argv.slice(2);
if (!path || more.length) {
  console.error("usage: transform.mjs MODULE FILE [SCHEMA]");
  process.exit(2);
}
try {
  await transform(module, path, schema);
} catch (error) {
  if (error.code !== "EPIPE") {
    const place = error.syscall === "read" || error.code?.startsWith("Z_") ? `${path}: ` : "";
    // An `open-error` of the interface is thrown as it is.
    console.error(`transform.mjs: ${place}${error.message ?? error.val}`);
    process.exitCode = 2;
  }
}
