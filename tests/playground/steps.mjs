// What somebody does at the page, and what the host's command makes of the same input.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

import { PATIENCE, cases, files, settled } from "./browser.mjs";

/** Checks again and again, until it holds; else throws what the last check has thrown. */
export async function eventually(check) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** A count above the results: `lines`, `events`, `matching`, `rejects` or `skips`. */
export async function number(page, name) {
  return Number((await page.getByTestId(name).innerText()).replaceAll(",", ""));
}

export function expectNumbers(page, expected) {
  return eventually(async () => {
    const found = {};
    for (const name of Object.keys(expected)) {
      found[name] = await number(page, name);
    }
    assert.deepEqual(found, expected);
  });
}

/** Gives the page files, by their names in the tests' folder or as `{ name, buffer }`. */
export async function openFiles(page, ...given) {
  const paths = given.map((file) => (typeof file === "string" ? `${files}/${file}` : { mimeType: "", ...file }));
  await page.getByLabel("Open files").setInputFiles(paths);
  await settled(page);
}

/** Writes over the editor's text, as a paste does. */
export async function write(page, text) {
  await page.getByRole("textbox", { name: "Flow log lines" }).focus();
  await page.keyboard.press("Control+A");
  await page.keyboard.insertText(text);
}

export function tab(page, name) {
  return page.getByRole("tab", { name });
}

/** What the page's download saves. */
export async function download(page, kind = "NDJSON") {
  await page.getByLabel("Kind of file").selectOption({ label: kind });
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download", exact: true }).click();
  const saved = await saving;
  return { name: saved.suggestedFilename(), bytes: readFileSync(await saved.path()) };
}

/** The host's command. */
export const vpcflow = process.env.PLAYGROUND_VPCFLOW;

/** The events that `vpcflow transform` writes. */
export function transform(...options) {
  const { input } = typeof options.at(-1) === "object" ? options.pop() : {};
  const stdio = [input === undefined ? "ignore" : "pipe", "pipe", "ignore"];
  return execFileSync(vpcflow, ["transform", ...options], { cwd: files, input, stdio, maxBuffer: 1 << 30 });
}

/** What the host counts in these files. */
export function counts(...paths) {
  const { stderr } = spawnSync(vpcflow, ["transform", ...paths], { cwd: files, encoding: "utf8", maxBuffer: 1 << 30 });
  const [, ...found] = /(\d+) lines, (\d+) events, (\d+) rejects, (\d+) skips/.exec(stderr);
  const [lines, events, rejects, skips] = found.map(Number);
  return { lines, events, rejects, skips };
}

export function parsed(ndjson) {
  return ndjson.toString().trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** The records of a text file under its header line, as objects. */
export function records(name) {
  const [header, ...lines] = readFileSync(`${files}/${name}`, "utf8").trimEnd().split("\n");
  const fields = header.split(" ");
  return lines.map((line) => Object.fromEntries(line.split(" ").map((value, at) => [fields[at], value])));
}

/** The lines of AWS's documentation, each with its format, without the remark behind some. */
export const published = readFileSync(`${cases}/../data/aws-samples.tsv`, "utf8")
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((row) => ({ format: row.split("\t")[1], line: row.split("\t")[2].replace(/\s*#.*$/, "") }));
