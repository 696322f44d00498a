// The editor, its samples, the choices, and the address that keeps them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { settled, withPage } from "./browser.mjs";
import { download, eventually, expectNumbers, number, parsed, published, tab, transform, write } from "./steps.mjs";

const LINES = `version srcaddr dstaddr srcport dstport bytes
2 192.0.2.7 198.51.100.9 50123 443 1111
2 192.0.2.7 198.51.100.9 50124 https 2222
2 192.0.2.999 198.51.100.9 50125 8443 3333
`;
const HEADERS = { lines: 4, events: 1, rejects: 2, skips: 1 };

const chooser = (page, name) => page.getByRole("combobox", { name, exact: true });
const sampleChooser = (page) => chooser(page, "Sample");
const editor = (page) => page.getByRole("textbox", { name: "Flow log lines" });
/** What is emphasised in a part of the explanation. */
const pointed = (page, name) => page.getByLabel(name, { exact: true }).locator(".pointed");

function fragment(page) {
  return Object.fromEntries(new URLSearchParams(new URL(page.url()).hash.slice(1)));
}

/** The middle of a text in the editor. */
function placeOf(page, text) {
  return editor(page).evaluate((content, wanted) => {
    const walker = document.createTreeWalker(content, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const { currentNode: node } = walker;
      const at = node.data.indexOf(wanted);
      if (at >= 0) {
        const range = document.createRange();
        range.setStart(node, at);
        range.setEnd(node, at + wanted.length);
        const { x, y, width, height } = range.getBoundingClientRect();
        return [x + width / 2, y + height / 2];
      }
    }
    throw new Error(`no ${wanted} in the editor`);
  }, text);
}

test("every sample is read, AWS's 44 lines among them", async () => {
  await withPage(async (page) => {
    const events = {};
    for (const option of await sampleChooser(page).getByRole("option").all()) {
      const title = await option.innerText();
      await sampleChooser(page).selectOption({ label: title });
      await settled(page);
      events[title] = await number(page, "events");
      // What is unpacked has several events a line, and one sample is there for its rejects.
      if (!/mistakes|CloudWatch/.test(title)) {
        assert.equal(await number(page, "rejects"), 0, title);
        assert.equal(await number(page, "lines"), events[title] + (await number(page, "skips")), title);
      }
    }
    assert.equal(published.length, 44);
    const formats = [...new Set(published.map(({ format }) => format))];
    const byAws = await sampleChooser(page).locator("optgroup[label='Published by AWS'] option").allInnerTexts();
    const sizes = formats.map((format) => published.filter((line) => line.format === format).length);
    assert.deepEqual(byAws.map((title) => events[title]).sort(), sizes.sort());

    await sampleChooser(page).selectOption({ label: "All 44 records that AWS publishes" });
    await expectNumbers(page, { events: 44, rejects: 0 });
    const withHeaders = published.map(({ format, line }, at) => (published[at - 1]?.format === format ? line : `${format}\n${line}`));
    const input = `${withHeaders.join("\n")}\n`;
    assert.deepEqual((await download(page)).bytes, transform({ input }));
  });
});

test("what is typed is read, and what is refused is marked", async () => {
  await withPage(async (page) => {
    await write(page, LINES);
    await expectNumbers(page, HEADERS);
    const marks = page.locator("#editor .cm-lintRange-error");
    await eventually(async () => assert.deepEqual(await marks.allInnerTexts(), ["https", "192.0.2.999"]));
    await tab(page, "Rejects").click();
    const rejects = page.getByRole("tabpanel").getByRole("listitem").filter({ has: page.locator("mark") });
    assert.deepEqual(await rejects.locator("mark").allInnerTexts(), ["https", "192.0.2.999"]);
    assert.match(await rejects.first().innerText(), /Line 3.*Column 5, dstport: found https, wanted a port/s);
    assert.match(await rejects.last().innerText(), /Line 4.*Column 2, srcaddr: found 192\.0\.2\.999, wanted an IPv4/s);

    // A key at a time.
    await write(page, "");
    await page.keyboard.type("10.0.0.1 10.0.0.2");
    await expectNumbers(page, { lines: 1, events: 0, rejects: 1 });
    await page.keyboard.press("Home");
    await page.keyboard.type("srcaddr dstaddr\n");
    await expectNumbers(page, { lines: 2, events: 1, rejects: 0 });
    await eventually(async () => assert.equal(await marks.count(), 0));
    await eventually(async () => assert.equal(await page.locator("mark").count(), 0));
  });
});

test("pointing at a column tells its field and where it goes", async () => {
  await withPage(async (page) => {
    await write(page, LINES);
    await expectNumbers(page, HEADERS);
    const tooltip = page.locator("#editor .cm-tooltip");
    await page.mouse.move(...(await placeOf(page, "50123")));
    await tooltip.filter({ hasText: "srcport" }).filter({ hasText: "source.port" }).waitFor();
    await page.mouse.move(...(await placeOf(page, "https")));
    await tooltip.filter({ hasText: "dstport" }).filter({ hasText: "wanted a port, 0 to 65535" }).waitFor();
  });
});

test("the explanation follows the cursor, and ties columns to members", async () => {
  await withPage(async (page) => {
    await write(page, LINES);
    await expectNumbers(page, HEADERS);
    await page.mouse.click(...(await placeOf(page, "1111")));
    const explanation = (line) => page.getByRole("region", { name: `Line ${line}`, exact: true });
    const line = explanation(2).getByRole("group", { name: "The line" });
    await line.getByRole("button", { name: "50123, column 4, srcport" }).hover();
    await pointed(page, "The event").filter({ hasText: '"port": 50123' }).waitFor();
    assert.match((await pointed(page, "Columns").allInnerTexts()).join(), /srcport/);
    await line.getByRole("button", { name: "443, column 5, dstport" }).focus();
    await pointed(page, "The event").filter({ hasText: '"port": 443' }).waitFor();
    assert.equal(await pointed(page, "The event").filter({ hasText: "50123" }).count(), 0);
    // And from a member to its column.
    await explanation(2).getByRole("group", { name: "The event" }).getByRole("button", { name: '"bytes": 1111' }).focus();
    await eventually(async () => assert.deepEqual(await pointed(page, "The line").allInnerTexts(), ["1111"]));

    await editor(page).focus();
    await page.keyboard.press("ArrowDown");
    await explanation(3).getByText("wanted a port, 0 to 65535").first().waitFor();
    await page.keyboard.press("ArrowDown");
    await explanation(4).getByText("wanted an IPv4 or IPv6 address").first().waitFor();
    await page.keyboard.press("Control+Home");
    await explanation(1).getByText("skipped").first().waitFor();
  });
});

test("the address keeps the choices, and never the lines", async () => {
  const clipboard = { permissions: ["clipboard-read", "clipboard-write"] };
  let link;
  await withPage(async (page) => {
    assert.deepEqual(fragment(page), {});
    await sampleChooser(page).selectOption({ label: "Records with mistakes" });
    await chooser(page, "Schema").selectOption({ label: "Elastic (ECS 8.11)" });
    await tab(page, "Rejects").click();
    await page.getByLabel("Event ids").check();
    await chooser(page, "Original record").selectOption({ label: "keep" });
    await chooser(page, "Event’s time").selectOption({ label: "start" });
    const { sample, ...choices } = fragment(page);
    assert.deepEqual(choices, { schema: "elastic", tab: "rejects", ids: "yes", message: "keep", time: "start" });
    assert.ok(sample);
    link = page.url();

    const isSelected = async (name) => eventually(async () => assert.equal(await tab(page, name).getAttribute("aria-selected"), "true"));
    for (const _ of ["time", "message", "ids", "tab"]) {
      await page.goBack();
    }
    await isSelected("Traffic");
    assert.equal(await page.getByLabel("Event ids").isChecked(), false);
    await page.goBack();
    await eventually(async () => assert.equal(await chooser(page, "Schema").inputValue(), "sekoia"));
    await page.goForward();
    await page.goForward();
    await isSelected("Rejects");

    await write(page, LINES.replaceAll("192.0.2.7", "203.0.113.44"));
    await expectNumbers(page, HEADERS);
    await page.getByRole("button", { name: "Copy link" }).click();
    await page.getByRole("status").filter({ hasText: "Copied" }).waitFor({ state: "attached" });
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    assert.equal(copied, page.url());
    assert.deepEqual(fragment(page), { schema: "elastic", tab: "rejects" });
  }, { options: clipboard });

  await withPage(async (page) => {
    assert.equal(page.url(), link);
    assert.equal(await chooser(page, "Schema").inputValue(), "elastic");
    assert.equal(await page.getByLabel("Event ids").isChecked(), true);
    assert.equal(await chooser(page, "Original record").inputValue(), "keep");
    assert.equal(await chooser(page, "Event’s time").inputValue(), "start");
    assert.equal(await sampleChooser(page).locator("option:checked").innerText(), "Records with mistakes");
    assert.equal(await tab(page, "Rejects").getAttribute("aria-selected"), "true");
    // The choices are in force, and not only shown.
    const [event] = parsed((await download(page)).bytes);
    assert.equal(event["@timestamp"], "2014-12-14T04:06:50.000Z");
    assert.ok(event.event.original && event.event.id);
    assert.equal(event.message, undefined);
  }, { address: new URL(link).hash });
});

test("a format is used, and a bad one refused at its place", async () => {
  await withPage(async (page) => {
    const format = chooser(page, "Format of the lines");
    await write(page, "443 192.0.2.1 alpha\n");
    await expectNumbers(page, { events: 0, rejects: 1 });
    await format.fill("dstport srcaddr vpc-id");
    await expectNumbers(page, { events: 1, rejects: 0 });
    assert.equal(fragment(page).format, "dstport srcaddr vpc-id");
    const [event] = parsed((await download(page)).bytes);
    assert.deepEqual([event.destination.port, event.source.ip], [443, "192.0.2.1"]);

    await format.fill("srcaddr srcaddr");
    await page.getByRole("alert").filter({ hasText: "the format has the field srcaddr twice" }).waitFor();
    assert.equal(await format.getAttribute("aria-invalid"), "true");
    const described = await format.getAttribute("aria-describedby");
    assert.match(await page.locator(`#${described}`).innerText(), /twice/);
    await format.fill("");
    await expectNumbers(page, { events: 0, rejects: 1 });
    assert.equal(await page.getByRole("alert").filter({ hasText: "twice" }).count(), 0);
    assert.notEqual(await format.getAttribute("aria-invalid"), "true");
  });
});
