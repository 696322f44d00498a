// Reads pieces of files, beside the worker that transforms them.

import type { Piece } from "./types.ts";

addEventListener("message", ({ data: { file, start, end } }: MessageEvent<Piece>) => {
  let piece: ArrayBuffer | null = null;
  try {
    piece = new FileReaderSync().readAsArrayBuffer(file.slice(start, end));
  } catch {
    // Whoever wants it gets the same error.
  }
  postMessage(piece, { transfer: piece === null ? [] : [piece] });
});
