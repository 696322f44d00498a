// What can be done on the page: each action changes the state, and reads the input again where that is needed.

import { readAddress, settingsOf, writeAddress, type Choices } from "./address.ts";
import * as parser from "./parser.ts";
import { sample as sampleOf, SAMPLES } from "./samples.ts";
import { change, current, type Selection } from "./state.ts";
import type { Filter, Reject, Row } from "./types.ts";

let reading: AbortController | null = null;
let explanationsAsked = 0;

export async function start() {
  addEventListener("hashchange", () => void followAddress());
  // Both at once: the text is to be seen before the parser is there.
  const [description] = await Promise.all([parser.describe(), followAddress()]);
  change({ description });
}

/** Takes over what the address says. */
async function followAddress() {
  const { choices, sample } = readAddress(location.hash);
  const before = current();
  change({ choices, refusal: "" });
  const isFirst = before.replacement.text === "" && before.text === "";
  const chosen = sampleOf(sample) ?? (isFirst ? SAMPLES[0] : undefined);
  if (chosen !== undefined && chosen.id !== before.sample) {
    await load(chosen.id);
  } else if (isOtherReading(before.choices, choices)) {
    await readAgain();
  }
}

function isOtherReading(one: Choices, other: Choices): boolean {
  return writeAddress({ choices: { ...one, tab: other.tab }, sample: null }) !== writeAddress({ choices: other, sample: null });
}

export function link(): string {
  const { choices, sample } = current();
  return new URL(writeAddress({ choices, sample }), location.href).href;
}

/** A step that "back" takes back, or a change of the address at hand. */
function showInAddress(isStep: boolean) {
  if (link() !== location.href) {
    history[isStep ? "pushState" : "replaceState"](null, "", link());
  }
}

async function load(id: string) {
  const text = sampleOf(id)!.text();
  change({ sample: id, text, replacement: { text }, files: [], filter: {}, selection: null, explanations: [] });
  await read();
}

export async function chooseSample(id: string) {
  const loaded = load(id);
  showInAddress(true);
  await loaded;
}

export async function edit(text: string) {
  change({ text, sample: null });
  showInAddress(false);
  await read();
}

export async function choose(choices: Partial<Choices>) {
  const before = current().choices;
  change({ choices: { ...before, ...choices } });
  showInAddress(choices.format === undefined);
  if (isOtherReading(before, current().choices)) {
    await readAgain();
  }
}

export async function setFilter(filter: Filter) {
  change({ filter });
  await read();
}

/** Takes files of events and of databases, in any mixture. */
export async function takeFiles(files: File[]) {
  const databases = { ...current().databases };
  const databaseNames = { ...current().databaseNames };
  const logs: File[] = [];
  for (const file of files) {
    if (/\.mmdb$/i.test(file.name)) {
      const kind = /asn/i.test(file.name) ? "asn" : "city";
      databases[kind] = new Uint8Array(await file.arrayBuffer());
      databaseNames[kind] = file.name;
    } else {
      logs.push(file);
    }
  }
  if (logs.length < files.length) {
    change({ databases, databaseNames });
  }
  if (logs.length > 0) {
    change({ files: logs, filter: {}, selection: null, explanations: [], report: null, result: null });
  }
  if (files.length > 0) {
    await readAgain();
  }
}

export async function forgetDatabase(kind: "city" | "asn") {
  const { databases, databaseNames } = current();
  change({ databases: { ...databases, [kind]: undefined }, databaseNames: { ...databaseNames, [kind]: undefined } });
  await readAgain();
}

export async function backToText() {
  change({ files: [], filter: {}, selection: null, explanations: [], replacement: { text: current().text } });
  await read();
}

export function cancel() {
  reading?.abort();
}

function readAgain() {
  return Promise.all([read(), explain()]);
}

async function read() {
  reading?.abort();
  const control = new AbortController();
  reading = control;
  const { files, text, choices, filter, databases } = current();
  const input = files.length > 0 ? files : [new File([text], "text")];
  change({ isReading: true, progress: null });
  try {
    const result = await parser.read(input, { ...settingsOf(choices), filter }, databases, {
      signal: control.signal,
      onProgress: (progress) => reading === control && change({ progress, report: progress.report }),
    });
    if (reading !== control) {
      return;
    }
    change({ isReading: false, progress: null, result, report: result.report, input, refusal: "" });
    selectFirst();
  } catch (error) {
    if (reading === control) {
      change({ isReading: false, progress: null, refusal: (error as Error).message });
    }
  }
}

/** Of files, something is to be seen at once; in the editor it is the cursor's line. */
function selectFirst() {
  const { files, selection, report } = current();
  const row = report?.sample?.rows[0];
  const reject = report?.rejects.rows[0];
  if (files.length > 0 && selection === null && row !== undefined) {
    selectRow(row, 0);
  } else if (files.length > 0 && selection === null && reject !== undefined) {
    selectReject(reject, 0);
  }
}

export function select(selection: Selection) {
  change({ selection });
  void explain();
}

export function selectRow(row: Row, index: number) {
  select({
    from: "results",
    key: `event ${index}`,
    title: title(row.file, row.line),
    line: row.line,
    before: row.header === null ? "" : `${row.header}\n`,
    record: row.record,
  });
}

export function selectReject(reject: Reject, index: number) {
  const { report } = current();
  // Which header line was in force is known of events only: the last one before this line will have had the same.
  const neighbour = report?.sample?.rows.findLast((row) => row.file === reject.file && row.line <= reject.line);
  const header = neighbour?.header ?? report?.sample?.rows.find((row) => row.file === reject.file)?.header;
  select({
    from: "results",
    key: `reject ${index}`,
    title: title(reject.file, reject.line),
    line: reject.line,
    before: header ? `${header}\n` : "",
    record: reject.text.join(""),
  });
}

/** `Line 12`, with its file if there are several. */
function title(file: number, line: number): string {
  const { input } = current();
  return input.length > 1 ? `${input[file]?.name}, line ${line}` : `Line ${line}`;
}

async function explain() {
  const { selection, choices, databases } = current();
  if (selection === null) {
    return;
  }
  explanationsAsked += 1;
  const asked = explanationsAsked;
  try {
    const explanations = await parser.explain(selection.before, selection.record, settingsOf(choices), databases);
    if (asked === explanationsAsked) {
      change({ explanations });
    }
  } catch {
    // The choices are refused; reading says so.
  }
}
