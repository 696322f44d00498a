// Sums and charts, and the filter that is set by them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { settled, withPage } from "./browser.mjs";
import { download, eventually, expectNumbers, openFiles, records, tab, transform } from "./steps.mjs";

const MINUTE = 60_000;
const UNITS = { B: 1, kB: 1e3, MB: 1e6, GB: 1e9 };
const VERDICTS = { ACCEPT: "Accepted", REJECT: "Rejected", "-": "Not stated" };

const filters = (page) => page.getByRole("group", { name: "Filter" });
const card = (page, name) => page.getByRole("tabpanel").getByRole("region", { name });

/** The rows of a card's table, cell by cell. */
async function numbers(page, name) {
  const table = card(page, name).getByRole("table");
  if (!(await table.isVisible())) {
    await card(page, name).getByText("Numbers", { exact: true }).click();
  }
  return table.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText)));
}

/** Whether a text as `4.2 MB` is this number, rounded. */
function assertBytes(text, expected) {
  const [digits, unit] = text.split(" ");
  const decimals = digits.split(".")[1]?.length ?? 0;
  assert.equal(Number((expected / UNITS[unit]).toFixed(decimals)), Number(digits), `${expected} as ${text}`);
}

/** Sums over the records by what `key` takes of each, the largest first. */
function sums(rows, key) {
  const found = new Map();
  for (const row of rows) {
    const sum = found.get(key(row)) ?? { key: key(row), flows: 0, bytes: 0 };
    found.set(sum.key, sum);
    sum.flows += 1;
    sum.bytes += Number(row.bytes.replace("-", "0"));
  }
  found.delete("-");
  return [...found.values()].sort((one, other) => other.bytes - one.bytes);
}

/** The host's events whose records `wanted` takes. */
function expectedEvents(wanted) {
  const events = transform("flow.log").toString().split("\n");
  return records("flow.log").flatMap((row, at) => (wanted(row) ? [`${events[at]}\n`] : [])).join("");
}

/** The page shows and saves just the events whose records `wanted` takes. */
async function assertFiltered(page, chips, wanted) {
  const rows = records("flow.log").filter(wanted);
  await eventually(async () => {
    const found = await filters(page).getByRole("button", { name: "Remove the filter" }).all();
    const names = await Promise.all(found.map((button) => button.getAttribute("aria-label")));
    assert.deepEqual(names, chips.map((chip) => `Remove the filter ${chip}`));
  });
  await expectNumbers(page, { matching: rows.length, events: 1500 });
  assert.ok(rows.length > 0 && rows.length < 1500);
  await settled(page);
  assert.equal((await download(page)).bytes.toString(), expectedEvents(wanted));
}

/** Everything is shown again. */
async function assertUnfiltered(page) {
  await filters(page).waitFor({ state: "detached" });
  // Until the input has been read again, the pictures are those of before.
  await settled(page);
}

test("the tables have the sums of the records", async () => {
  const rows = records("flow.log");
  await withPage(async (page) => {
    await openFiles(page, "flow.log");
    const kinds = [
      ["Sources by bytes", (row) => row.srcaddr],
      ["Destinations by bytes", (row) => row.dstaddr],
      ["Destination ports by bytes", (row) => row.dstport],
      ["Protocols by bytes", (row) => row.protocol],
    ];
    for (const [name, key] of kinds) {
      const found = await numbers(page, name);
      const expected = sums(rows, key);
      assert.deepEqual(found.map(([title]) => title.split(" ")[0]), expected.map((sum) => sum.key), name);
      assert.deepEqual(found.map((cells) => Number(cells[2].replace(",", ""))), expected.map(({ flows }) => flows), name);
      found.forEach((cells, at) => assertBytes(cells[1], expected[at].bytes));
    }
    assert.deepEqual((await numbers(page, "Protocols by bytes")).map(([title]) => title).sort(), ["17 udp", "6 tcp"]);

    const way = (row) => `${row["flow-direction"].replace("-", "not stated")}, ${VERDICTS[row.action]}`;
    const directions = await numbers(page, "Directions and verdicts by bytes");
    const expected = new Map(sums(rows, way).map((sum) => [sum.key, sum]));
    assert.equal(directions.length, expected.size);
    for (const [direction, verdict, bytes, flows] of directions) {
      const sum = expected.get(`${direction}, ${verdict}`);
      assert.equal(Number(flows), sum.flows);
      assertBytes(bytes, sum.bytes);
    }

    // A row for each minute, with a column for each verdict.
    const minute = (row) => new Date(Math.floor((row.start * 1000) / MINUTE) * MINUTE).toISOString().slice(0, 16).replace("T", " ");
    const expectedFlows = {};
    for (const row of rows) {
      expectedFlows[minute(row)] ??= { Accepted: 0, Rejected: 0, "Not stated": 0 };
      expectedFlows[minute(row)][VERDICTS[row.action]] += 1;
    }
    const flows = Object.entries(expectedFlows).map(([time, sum]) => [time, ...Object.values(sum).map(String)]);
    assert.deepEqual(await numbers(page, /^Traffic/), flows);
    await card(page, /^Traffic/).getByText("Bytes", { exact: true }).click();
    await eventually(async () => assert.match((await numbers(page, /^Traffic/))[0][1], /B$/));
    const [[time, accepted]] = await numbers(page, /^Traffic/);
    assertBytes(accepted, sums(rows.filter((row) => row.action === "ACCEPT"), minute).find(({ key }) => key === time).bytes);
  });
});

test("a bar, a row or the enter key sets a filter, and chips take it back", async () => {
  const rows = records("flow.log");
  const [{ key: source }] = sums(rows, (row) => row.srcaddr);
  await withPage(async (page) => {
    await openFiles(page, "flow.log");
    // The first bar of those that lie.
    await card(page, "Sources by bytes").getByRole("img").click({ position: { x: 200, y: 14 } });
    const isFromSource = (row) => row.srcaddr === source;
    await assertFiltered(page, [`from ${source}`], isFromSource);
    assert.deepEqual((await numbers(page, "Sources by bytes")).map(([title]) => title), [source]);

    await card(page, "Destination ports by bytes").getByText("Numbers", { exact: true }).click();
    await card(page, "Destination ports by bytes").getByRole("button", { name: "443 https" }).focus();
    await page.keyboard.press("Enter");
    const isToPort = (row) => row.dstport === "443";
    await assertFiltered(page, [`from ${source}`, "port 443 https"], (row) => isFromSource(row) && isToPort(row));
    await tab(page, "Table").click();
    const both = rows.filter((row) => isFromSource(row) && isToPort(row)).length;
    await page.getByRole("tabpanel").getByText(`${both} events`).waitFor();
    await tab(page, "Traffic").click();

    await filters(page).getByRole("button", { name: `Remove the filter from ${source}` }).click();
    await assertFiltered(page, ["port 443 https"], isToPort);
    await filters(page).getByRole("button", { name: "Remove the filter" }).click();
    await assertUnfiltered(page);
    assert.deepEqual((await download(page)).bytes, transform("flow.log"));

    // A row sets two at once.
    await numbers(page, "Directions and verdicts by bytes");
    await card(page, "Directions and verdicts by bytes").getByRole("row", { name: "ingress Rejected" }).click();
    await assertFiltered(page, ["rejected", "ingress"], (row) => row.action === "REJECT" && row["flow-direction"] === "ingress");
    await filters(page).getByRole("button", { name: "Show all" }).click();
    await assertUnfiltered(page);

    await card(page, "Protocols by bytes").getByRole("img").click({ position: { x: 200, y: 14 } });
    const [{ key: protocol }] = sums(rows, (row) => row.protocol);
    await assertFiltered(page, [`protocol ${{ 6: "tcp", 17: "udp" }[protocol]}`], (row) => row.protocol === protocol);
    await filters(page).getByRole("button", { name: "Remove the filter" }).click();
    await assertUnfiltered(page);

    // A bar of the timeline is a minute.
    await card(page, /^Traffic/).getByRole("img").click();
    const chip = await filters(page).getByRole("button").getAttribute("aria-label");
    const [, day, time] = /^Remove the filter (\S+) (\S+) – \S+ UTC$/.exec(chip);
    const from = Date.parse(`${day}T${time}Z`);
    const name = chip.replace("Remove the filter ", "");
    await assertFiltered(page, [name], ({ start }) => start * 1000 >= from && start * 1000 < from + MINUTE);
  });
});
