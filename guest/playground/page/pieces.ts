// Has a file read by another worker while the parser is at work: reading takes a third as long as parsing.

import type { Reading } from "../generated/parser.js";
import type { Piece } from "./types.ts";

const PIECE_BYTES = 4 << 20;

/** Started for the first large file. */
let reader: Worker | null = null;
let isMissing = false;
/** A port whose other end is closed. */
const { port1: nobody, port2: closed } = new MessageChannel();
closed.close();
/** Who waits for pieces, in the order of the requests. */
const waiting: ((piece: ArrayBuffer | null) => void)[] = [];

/** The pieces of a file, each of which is read while the one before it is transformed. */
export class Pieces {
  private readonly file: File;
  private next: { start: number; piece: Promise<ArrayBuffer | null> } | null = null;

  constructor(file: File) {
    this.file = file;
  }

  /** Gives the parser its next piece, if it wants one. What is too small or cannot be read is left to the parser. */
  async give(reading: Reading) {
    const start = reading.wanted();
    if (start === undefined || start >= this.file.size || this.file.size <= PIECE_BYTES || isMissing) {
      return;
    }
    const piece = await (this.next?.start === start ? this.next.piece : this.request(start));
    if (piece === null) {
      return;
    }
    const end = start + piece.byteLength;
    reading.offer(start, new Uint8Array(piece));
    // Given away to nobody, it is freed at once. Else the browser keeps it until it collects garbage, which beside a
    // busy worker it hardly does.
    nobody.postMessage(piece, [piece]);
    this.next = end < this.file.size ? { start: end, piece: this.request(end) } : null;
  }

  private request(start: number): Promise<ArrayBuffer | null> {
    if (reader === null) {
      reader = new Worker(new URL("reader.js", import.meta.url), { type: "module" });
      reader.onmessage = ({ data }) => waiting.shift()?.(data);
      // It cannot be loaded: the parser reads everything.
      reader.onerror = () => {
        isMissing = true;
        waiting.splice(0).forEach((give) => give(null));
      };
    }
    const end = Math.min(start + PIECE_BYTES, this.file.size);
    reader.postMessage({ file: this.file, start, end } satisfies Piece);
    return new Promise((resolve) => waiting.push(resolve));
  }
}
