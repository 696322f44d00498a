// Makes a picture of a page smaller: with a palette, since flat areas and their smoothed edges have few colours.

import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from("\x89PNG\r\n\x1a\n", "latin1");
const MOST_COLOURS = 256;

/** Takes and gives a PNG file. Chromium writes 8 bits of red, green and blue, without interlacing. */
export function withPalette(png) {
  const chunks = [];
  for (let at = SIGNATURE.length; at < png.length; at += 12 + png.readUInt32BE(at)) {
    const start = at + 8;
    chunks.push({ kind: png.toString("latin1", at + 4, start), data: png.subarray(start, start + png.readUInt32BE(at)) });
  }
  const header = Buffer.from(chunks[0].data);
  const [width, height, depth, colour] = [header.readUInt32BE(0), header.readUInt32BE(4), header[8], header[9]];
  if (depth !== 8 || colour !== 2) {
    throw new Error(`a picture of ${depth} bits and kind ${colour}`);
  }
  const pixels = unfiltered(inflateSync(Buffer.concat(chunks.filter(({ kind }) => kind === "IDAT").map(({ data }) => data))), 3 * width, height);

  const counts = new Map();
  for (let at = 0; at < pixels.length; at += 3) {
    const colour = pixels.readUIntBE(at, 3);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const colours = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one));
  const palette = colours.slice(0, MOST_COLOURS);
  const indices = new Map(colours.map((colour, at) => [colour, at < MOST_COLOURS ? at : nearest(palette, colour)]));

  const rows = Buffer.alloc((width + 1) * height);
  for (let pixel = 0; pixel < width * height; pixel += 1) {
    rows[pixel + Math.floor(pixel / width) + 1] = indices.get(pixels.readUIntBE(3 * pixel, 3));
  }
  header[9] = 3;
  const triples = Buffer.alloc(3 * palette.length);
  palette.forEach((colour, at) => triples.writeUIntBE(colour, 3 * at, 3));
  const parts = [["IHDR", header], ["PLTE", triples], ["IDAT", deflateSync(rows, { level: 9 })], ["IEND", Buffer.alloc(0)]];
  return Buffer.concat([SIGNATURE, ...parts.map(([kind, data]) => chunk(kind, data))]);
}

/** Each row begins with how it was written: as it is, or as a difference to the pixel before, above, or both. */
function unfiltered(rows, rowBytes, height) {
  const pixels = Buffer.alloc(rowBytes * height);
  for (let y = 0; y < height; y += 1) {
    const filter = rows[y * (rowBytes + 1)];
    for (let x = 0; x < rowBytes; x += 1) {
      const at = y * rowBytes + x;
      const left = x < 3 ? 0 : pixels[at - 3];
      const up = y === 0 ? 0 : pixels[at - rowBytes];
      const corner = x < 3 || y === 0 ? 0 : pixels[at - rowBytes - 3];
      const guess = [0, left, up, (left + up) >> 1, closest(left, up, corner)][filter];
      pixels[at] = rows[at + y + 1] + guess;
    }
  }
  return pixels;
}

/** Paeth's predictor. */
function closest(left, up, corner) {
  const [byLeft, byUp, byCorner] = [left, up, corner].map((value) => Math.abs(left + up - corner - value));
  return byLeft <= byUp && byLeft <= byCorner ? left : byUp <= byCorner ? up : corner;
}

function nearest(palette, colour) {
  const distance = (other) => [16, 8, 0].reduce((sum, shift) => sum + (((colour >> shift) & 255) - ((other >> shift) & 255)) ** 2, 0);
  return palette.reduce((best, other, at) => (distance(other) < distance(palette[best]) ? at : best), 0);
}

function chunk(kind, data) {
  const named = Buffer.concat([Buffer.from(kind, "latin1"), data]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  check.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, check]);
}
