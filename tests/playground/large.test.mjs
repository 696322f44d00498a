// A file much larger than what a page may keep in memory: 300 MB, or 1 GB with VPCFLOW_FULL_PLAYGROUND=1.

import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { after, before, test } from "node:test";

import { files, renderers, withPage } from "./browser.mjs";
import { eventually, expectNumbers, number, openFiles, tab, transform } from "./steps.mjs";

const MEGABYTES = process.env.VPCFLOW_FULL_PLAYGROUND === undefined ? 300 : 1000;
/** How much more memory the large file may take than a small one does. */
const MOST_GROWTH = 150e6;
const MINUTES = 60_000 * 10;
/** Lines of blanks, of 64 kB each. */
const BLANKS = 1100;

const HEADER = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";
/** About a megabyte of records. */
const block = Array.from({ length: 9000 }, (_, n) => {
  const source = `10.${n % 16}.${n % 250}.${(n * 7) % 250}`;
  const time = 1_700_000_000 + n;
  return `2 123456789012 eni-0a1b2c3d4e5f6${7000 + (n % 40)} ${source} 192.0.2.${n % 9} ${1024 + n} 443 6 ${1 + (n % 90)} ${40 + n * 7} ${time} ${time + 60} ACCEPT OK\n`;
});

function makeFile(name, megabytes) {
  const text = block.join("");
  const file = openSync(`${files}/${name}`, "w");
  let [bytes, records] = [writeSync(file, HEADER), 0];
  while (bytes < megabytes * 1e6) {
    bytes += writeSync(file, text);
    records += block.length;
  }
  closeSync(file);
  return records;
}

let records;
before(() => {
  // Large, too, but with few records.
  const blanks = `${" ".repeat((1 << 16) - 1)}\n`.repeat(BLANKS);
  writeFileSync(`${files}/wide.log`, readFileSync(`${files}/flow.log`, "utf8") + blanks);
  makeFile("small.log", 30);
  records = makeFile("large.log", MEGABYTES);
});
after(() => ["small.log", "large.log", "wide.log"].forEach((name) => rmSync(`${files}/${name}`, { force: true })));

/** The most that processes ever had in memory, in bytes. */
function memory(processes) {
  const most = (id) => 1024 * Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${id}/status`, "utf8"))[1]);
  return processes.map(most).reduce((sum, bytes) => sum + bytes);
}

/** In the page: instead of the browser's own dialog, which no test can answer, a file of the page's private folder. */
function savePrivately() {
  const file = async (name) => (await navigator.storage.getDirectory()).getFileHandle(name, { create: true });
  let last;
  window.showSaveFilePicker = ({ suggestedName }) => file((last = suggestedName));
  window.saved = async () => (await (await file(last)).getFile()).text();
}

test("memory does not grow with the file, and the page answers meanwhile", { timeout: MINUTES }, async () => {
  await withPage(async (page) => {
    page.setDefaultTimeout(MINUTES);
    const processes = await renderers();
    await openFiles(page, "small.log");
    const before = memory(processes);

    await page.evaluate(() => {
      window.frames = [];
      window.parts = new Set();
      const look = (time) => {
        window.frames.push(time);
        const bar = document.querySelector("progress[aria-label='Reading']");
        if (bar !== null) window.parts.add(bar.value);
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
    const progress = page.getByRole("progressbar", { name: "Reading" });
    const began = await page.evaluate(() => performance.now());
    await page.getByLabel("Open files").setInputFiles(`${files}/large.log`);
    await progress.waitFor();
    // While it is read, the page does what it is asked for.
    await tab(page, "Rejects").click();
    await page.getByRole("tabpanel", { name: "Rejects" }).getByText("Reading …").waitFor();
    await tab(page, "Traffic").click();
    await page.getByRole("tabpanel").getByRole("heading", { name: "Sources by bytes" }).waitFor();
    assert.ok(await progress.isVisible(), "the tabs had to wait for the file");
    while (await progress.isVisible()) {
      const events = await number(page, "events");
      assert.ok(events <= records);
    }
    const look = () => ({ frames: window.frames, parts: [...window.parts], ended: performance.now() });
    const { frames, parts, ended } = await page.evaluate(look);
    await expectNumbers(page, { lines: records + 1, events: records, rejects: 0, skips: 1 });
    assert.ok(parts.length >= 3, `progress stood at ${parts}`);
    assert.deepEqual(parts, parts.toSorted((one, other) => one - other));
    // Were it read where the page lives, this would be about all of the time.
    const gaps = frames.slice(1).map((time, at) => time - frames[at]);
    const longest = Math.max(...gaps);
    assert.ok(longest < (ended - began) / 4, `nothing was drawn for ${longest} of ${ended - began} ms`);

    const growth = memory(processes) - before;
    assert.ok(growth < MOST_GROWTH, `${growth} bytes more than for the small file, which took ${before}`);
    const speed = await page.getByText(/of lines in/).innerText();
    console.log(`${speed}; ${Math.round(longest)} ms between frames at the most; ${Math.round(growth / 1e6)} MB of memory more than for 30 MB`);
    await tab(page, "Table").click();
    await page.getByRole("tabpanel").getByText(/^A sample: one of every [\d,]+ events, \d,\d{3} events$/).waitFor();
  });
});

test("what is cancelled leaves what has been read", { timeout: MINUTES }, async () => {
  await withPage(async (page) => {
    await page.getByLabel("Open files").setInputFiles(`${files}/large.log`);
    const progress = page.getByRole("progressbar", { name: "Reading" });
    await eventually(async () => assert.ok((await progress.evaluate((bar) => bar.value)) > 0.05));
    await page.getByRole("button", { name: "Cancel" }).click();
    await progress.waitFor({ state: "detached" });
    await page.getByText(/^Stopped: .* were read; the numbers are of these\.$/).waitFor();
    const events = await number(page, "events");
    assert.ok(events > 0 && events < records, `${events} of ${records}`);
    assert.equal(await number(page, "lines"), events + 1);
    await tab(page, "Table").click();
    await page.getByRole("tabpanel").getByText(/^A sample: one of every/).waitFor();
    // So does a download, but for a file of a part of the events.
    await page.evaluate(savePrivately);
    await page.getByRole("button", { name: "Download", exact: true }).click();
    await page.getByRole("group", { name: "Download" }).getByRole("button", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Download", exact: true }).waitFor();
    assert.equal(await page.evaluate(() => saved()), "");
    // And the page can be used for other things.
    await openFiles(page, "flow.log");
    await expectNumbers(page, { events: 1500 });
  });
});

test("events of a large file go straight to a file", { timeout: MINUTES }, async () => {
  await withPage(async (page) => {
    await page.evaluate(savePrivately);
    await openFiles(page, "wide.log");
    await expectNumbers(page, { lines: 1501 + BLANKS, events: 1500 });
    await page.getByRole("button", { name: "Download", exact: true }).click();
    await page.getByRole("status").filter({ hasText: "Written" }).waitFor();
    assert.equal(await page.evaluate(() => saved()), transform("wide.log").toString());
  });
});
