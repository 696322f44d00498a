// What can be done on the page: each action changes the state, and reads the input again where that is needed.

import { readAddress, settingsOf, writeAddress, type Choices } from "./address.ts";
import * as parser from "./parser.ts";
import { sample as sampleOf, SAMPLES } from "./samples.ts";
import { change, current, type Selection, type State } from "./state.ts";
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
  change({ choices });
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
  change({ sample: id, text, replacement: { text }, ...withoutFiles() });
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
  // What was chosen of the results may not be among what the filter takes, or at another place.
  const isOfResults = current().selection?.from === "results";
  change({ filter, ...(isOfResults ? withoutSelection() : {}) });
  await read();
}

/** Takes files of events and of databases, in any mixture. */
export async function takeFiles(files: File[]) {
  const logs: File[] = [];
  for (const file of files) {
    if (/\.mmdb$/i.test(file.name)) {
      const kind = /asn/i.test(file.name) ? "asn" : "city";
      const bytes = new Uint8Array(await file.arrayBuffer());
      // Others may have come meanwhile.
      const { databases, databaseNames } = current();
      change({ databases: { ...databases, [kind]: bytes }, databaseNames: { ...databaseNames, [kind]: file.name } });
    } else {
      logs.push(file);
    }
  }
  if (logs.length > 0) {
    change({ files: logs, input: logs, filter: {}, report: null, result: null, ...withoutSelection() });
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
  change({ replacement: { text: current().text }, ...withoutFiles() });
  await read();
}

/** What was found in files does not belong to the text. */
function withoutFiles(): Partial<State> {
  const results = current().files.length > 0 ? { input: [], report: null, result: null } : {};
  return { files: [], filter: {}, ...results, ...withoutSelection() };
}

function withoutSelection(): Partial<State> {
  // An explanation that is under way comes too late.
  explanationsAsked += 1;
  return { selection: null, explanations: [] };
}

export function cancel() {
  reading?.abort();
}

function readAgain() {
  const { selection } = current();
  if (selection !== null) {
    // It becomes another event; the selection itself stays, and whether it is looked at.
    selection.event = undefined;
  }
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
    selectFirstOrAgain();
  } catch (error) {
    if (reading === control) {
      change({ isReading: false, progress: null, refusal: (error as Error).message });
    }
  }
}

/**
 * Of files, something is to be seen at once; in the editor it is the cursor's line. What was chosen of the results gets
 * the event that it has become.
 */
function selectFirstOrAgain() {
  const { files, selection, report } = current();
  const row = report?.sample?.rows[0];
  const reject = report?.rejects.rows[0];
  if (files.length > 0 && selection === null && row !== undefined) {
    selectRow(row, 0, true);
  } else if (files.length > 0 && selection === null && reject !== undefined) {
    selectReject(reject, 0, true);
  } else if (selection?.from === "results" && selection.event === undefined) {
    const isIt = (one: Row) => title(one.file, one.line) === selection.title && one.record === selection.record;
    selection.event = report?.sample?.rows.find(isIt)?.event;
    void explain();
  }
}

export function select(selection: Selection) {
  change({ selection });
  void explain();
}

export function selectRow(row: Row, index: number, isFirst = false) {
  select({
    from: "results",
    isFirst,
    key: `event ${index}`,
    title: title(row.file, row.line),
    line: row.line,
    before: row.header === null ? "" : `${row.header}\n`,
    record: row.record,
    event: row.event,
  });
}

export function selectReject(reject: Reject, index: number, isFirst = false) {
  const { fault, header, isCut, text } = reject;
  select({
    from: "results",
    isFirst,
    key: `reject ${index}`,
    title: title(reject.file, reject.line),
    line: reject.line,
    before: header === null ? "" : `${header}\n`,
    record: text.join(""),
    // What is shown of such a line is not what was read.
    fault: isCut || fault.reason === "not-utf8" ? fault : undefined,
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
  const { before, record, event, fault } = selection;
  if (fault !== undefined) {
    change({ explanations: [{ summary: "a line of which not all can be shown", columns: [], event: null, rejected: fault, skipped: null }] });
    return;
  }
  // Where the choices are refused, reading says so.
  const explanations = await parser.explain(before, record, settingsOf(choices), databases).catch(() => []);
  const [explanation] = explanations;
  if (explanations.length === 1 && event !== undefined && explanation!.event !== null) {
    // Where a record stood enters its event, as do its envelope's time and id.
    explanation!.event = event;
  }
  if (asked === explanationsAsked) {
    change({ explanations });
  }
}
