// Files: what of them is read, what is said of others, and the events that are saved.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";

import { cases, files, settled, withPage } from "./browser.mjs";
import { counts, download, eventually, expectNumbers, number, openFiles, parsed, tab, transform } from "./steps.mjs";

const message = (page) => page.getByRole("main").getByRole("alert");
const refusal = (page) => message(page).filter({ hasText: "No flow log record was found" });

test("each kind of file gives the events of the host", async () => {
  await withPage(async (page) => {
    const sources = [];
    for (const name of ["flow.log", "flow.log.gz", "flow.log.zst", "flow.json", "flow.parquet"]) {
      await openFiles(page, name);
      await page.getByText(name, { exact: true }).waitFor();
      await expectNumbers(page, counts(name));
      const expected = transform(name);
      const saved = await download(page);
      assert.equal(saved.name, "flow.events.ndjson");
      assert.ok(saved.bytes.equals(expected), `${name}: other events than the host's`);
      const { name: zipped, bytes } = await download(page, "gzip");
      assert.equal(zipped, "flow.events.ndjson.gz");
      assert.ok(gunzipSync(bytes).equals(expected), `${name}: other events in gzip`);
      sources.push(parsed(expected).map(({ source }) => source));
    }
    for (const others of sources) {
      assert.deepEqual(others, sources[0]);
    }
  });
});

test("several files at once, with every choice", async () => {
  await withPage(async (page) => {
    const names = ["flow.parquet", "flow.log", "flow.log.gz"];
    await openFiles(page, ...names);
    await expectNumbers(page, counts(...names));
    assert.deepEqual((await download(page)).bytes, transform(...names));
    const options = ["--schema", "elastic", "--event-id", "--no-message", "--time-field", "start"];
    await page.goto(`${page.url().split("#")[0]}#schema=elastic&ids=yes&message=leave&time=start&tab=table`);
    await eventually(async () => assert.ok(await page.getByLabel("Event ids").isChecked()));
    await settled(page);
    // An event id begins with the file's path, of which a browser tells the name only.
    const withoutOrigin = (events) => events.toString().replace(/"id":"[0-9a-f]{16}-/g, '"id":"');
    const { bytes } = await download(page);
    assert.ok(withoutOrigin(bytes) === withoutOrigin(transform(...options, ...names)), "other events than the host's");
    assert.equal(new Set(parsed(bytes).map(({ event }) => event.id)).size, 4500);
    await page.getByRole("tabpanel").getByRole("button", { name: "Explain flow.parquet 5", exact: true }).click();
    await page.getByRole("heading", { name: "flow.parquet, line 5", exact: true }).waitFor();
    await page.getByRole("button", { name: "Back to the text" }).click();
    await expectNumbers(page, { events: 4621 });
  });
});

test("files are dropped onto the page", async () => {
  await withPage(async (page) => {
    const dragged = await page.evaluateHandle((text) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], "dropped.log"));
      return transfer;
    }, readFileSync(`${files}/flow.log`, "utf8"));
    // Above the editor, which would take the text over.
    const target = page.getByRole("textbox", { name: "Flow log lines" });
    const drop = page.getByText("Drop flow logs to read them here");
    const isTaken = (kind) =>
      target.evaluate(
        (element, { kind, dragged }) =>
          !element.dispatchEvent(new DragEvent(kind, { dataTransfer: dragged, bubbles: true, cancelable: true, composed: true })),
        { kind, dragged },
      );
    // What is not taken, the browser would show instead of the page.
    assert.ok(await isTaken("dragenter"));
    assert.ok(await isTaken("dragover"));
    await drop.waitFor();
    assert.ok(await isTaken("drop"));
    await drop.waitFor({ state: "detached" });
    await page.getByText("dropped.log", { exact: true }).waitFor();
    await expectNumbers(page, { events: 1500, rejects: 0 });
    assert.deepEqual((await download(page)).bytes, transform("flow.log"));
  });
});

test("many small files are cancelled like a large one", async () => {
  await withPage(async (page) => {
    const text = readFileSync(`${files}/flow.log`, "utf8");
    await page.evaluate((text) => {
      // Each is read sooner than messages are looked at.
      const transfer = new DataTransfer();
      for (let n = 0; n < 3000; n += 1) {
        transfer.items.add(new File([text], `${n}.log`));
      }
      const input = document.querySelector("input[type=file]");
      input.files = transfer.files;
      input.dispatchEvent(new Event("change", { bubbles: true }));
    }, text.slice(0, text.indexOf("\n", 30_000) + 1));
    await page.getByRole("button", { name: "Cancel" }).click();
    await page.getByText(/^Stopped: .* were read; the numbers are of these\.$/).waitFor();
    await openFiles(page, "flow.log");
    await expectNumbers(page, { events: 1500, rejects: 0 });
  });
});

test("rejects of a file stand with their place and reason", async () => {
  const expected = parsed(readFileSync(`${cases}/bad-values.rejects.ndjson`));
  expected.pop();
  await withPage(async (page) => {
    await openFiles(page, { name: "bad-values.log", buffer: readFileSync(`${cases}/bad-values.log`) });
    await expectNumbers(page, counts(`${cases}/bad-values.log`));
    await tab(page, "Rejects").click();
    const items = page.getByRole("tabpanel").getByRole("listitem").filter({ hasText: /^Line/ });
    await eventually(async () => assert.equal(await items.count(), Math.min(50, expected.length)));
    for (const [index, text] of (await items.allTextContents()).entries()) {
      const { line_number: line, byte_offset: offset, reason, field, wanted } = expected[index];
      for (const part of [`Line ${line}`, `byte ${offset.toLocaleString("en")}`, reason, field ?? "", wanted]) {
        assert.ok(text.includes(part), `no ${part} in ${text}`);
      }
    }
    const columns = expected.filter(({ column, found }) => column !== undefined && column !== null && found !== "").slice(0, 50);
    assert.deepEqual(await items.locator("mark").allTextContents(), columns.map(({ found }) => found));
    // One reason alone, and all again.
    const reason = page.getByRole("list", { name: "Rejects by reason" }).getByRole("button").first();
    const name = (await reason.innerText()).split(/\s/)[0];
    await reason.click();
    const alone = expected.filter((reject) => reject.reason === name).length;
    await eventually(async () => assert.equal(await items.count(), alone));
    await items.first().getByRole("button").click();
    await page.getByRole("heading", { name: `Line ${expected[0].line_number}`, exact: true }).waitFor();
  });
});

test("of a gzip file that is cut, what can be read is there", async () => {
  const whole = readFileSync(`${files}/flow.log.gz`);
  await withPage(async (page) => {
    await openFiles(page, { name: "cut.log.gz", buffer: whole.subarray(0, whole.length * 0.8) });
    await message(page).filter({ hasText: "1 file could not be read to the end" }).waitFor();
    assert.match(await message(page).innerText(), /cut\.log\.gz: .+/);
    const events = await number(page, "events");
    assert.ok(events > 750 && events < 1500, `${events} events`);
    await tab(page, "Table").click();
    await page.getByRole("tabpanel").getByText(`${events.toLocaleString("en")} events`).waitFor();
    const expected = transform("flow.log").toString().split("\n").slice(0, events).join("\n");
    assert.equal((await download(page)).bytes.toString(), `${expected}\n`);
    // The next file is read as if nothing had been.
    await openFiles(page, "flow.log");
    await expectNumbers(page, { events: 1500 });
    await eventually(async () => assert.equal(await message(page).count(), 0));
  });
});

test("what is no flow log is called by its name", async () => {
  const png = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==", "base64");
  const zip = Buffer.concat([Buffer.from("PK\x03\x04\x14\0\0\0\x08\0", "latin1"), Buffer.alloc(300, 7)]);
  const given = [
    ["photo.png", png, /picture/],
    ["logs.zip", zip, /ZIP/],
    ["letter.txt", Buffer.from("Dear all,\n\nthe meeting is at noon.\n"), /Dear all,.*A flow log’s line looks like.*Format of the lines/s],
    ["empty.log", Buffer.alloc(0), /empty\.log is empty/],
  ];
  await withPage(async (page) => {
    for (const [name, buffer, hint] of given) {
      await openFiles(page, { name, buffer });
      await refusal(page).filter({ hasText: hint }).waitFor();
      assert.equal(await number(page, "events"), 0);
      assert.ok(await page.getByRole("button", { name: "Download", exact: true }).isDisabled());
    }
    await openFiles(page, "flow.log");
    await expectNumbers(page, { events: 1500 });
    await eventually(async () => assert.equal(await refusal(page).count(), 0));
  });
});

test("databases enrich the events", async () => {
  await withPage(async (page) => {
    await openFiles(page, "flow.log", "city.mmdb", "asn.mmdb");
    await page.getByRole("button", { name: "Remove asn.mmdb" }).waitFor();
    await page.getByText("flow.log", { exact: true }).waitFor();
    const databases = ["--geoip-city", "city.mmdb", "--geoip-asn", "asn.mmdb"];
    await expectNumbers(page, { events: 1500 });
    const { bytes } = await download(page);
    assert.ok(bytes.equals(transform(...databases, "flow.log")));
    assert.ok(bytes.includes("Linköping"));

    await page.getByRole("button", { name: "Remove asn.mmdb" }).click();
    await page.getByRole("button", { name: "Remove asn.mmdb" }).waitFor({ state: "detached" });
    assert.ok((await download(page)).bytes.equals(transform(...databases.slice(0, 2), "flow.log")));
    // A schema without a place for them says so.
    await page.getByRole("combobox", { name: "Schema", exact: true }).selectOption({ label: "Snare" });
    await page.getByRole("alert").filter({ hasText: "Remove the database, or choose another schema" }).waitFor();
    await page.getByRole("button", { name: "Remove city.mmdb" }).click();
    await eventually(async () => assert.equal(await page.getByRole("alert").count(), 0));
    await settled(page);
    assert.ok((await download(page)).bytes.equals(transform("--schema", "snare", "flow.log")));
  });
});
