// The events as a table, and as they are written.

import assert from "node:assert/strict";
import { test } from "node:test";

import { settled, withPage } from "./browser.mjs";
import { download, eventually, expectNumbers, openFiles, parsed, tab, transform } from "./steps.mjs";

const panel = (page) => page.getByRole("tabpanel");

/** What a column of the table shows, of the rows in view. */
async function cells(page, path) {
  const heads = await panel(page).getByRole("columnheader").allInnerTexts();
  const at = heads.findIndex((head) => head.replace(/ [↑↓]$/, "") === path);
  assert.ok(at > 0, `no column ${path} among ${heads}`);
  return panel(page).locator(`tbody tr:not([aria-hidden]) > :nth-child(${at + 1})`).allInnerTexts();
}

function head(page, path) {
  return panel(page).getByRole("columnheader", { name: path, exact: true });
}

test("the table is sorted, searched, and has the columns that are chosen", async () => {
  const events = parsed(transform("flow.log"));
  const bytes = events.map(({ source }) => source?.bytes).filter((value) => value !== undefined);
  bytes.sort((one, other) => one - other);
  await withPage(async (page) => {
    await openFiles(page, "flow.log");
    await tab(page, "Table").click();
    await panel(page).getByText("1,500 events").waitFor();
    const begins = (path, expected) =>
      eventually(async () => assert.deepEqual((await cells(page, path)).slice(0, 12), expected.slice(0, 12).map(String)));
    await begins("source.ip", events.map(({ source }) => source?.ip ?? ""));

    // As numbers: as texts, 100 would stand before 99.
    const turn = head(page, "source.bytes").getByRole("button");
    for (const [sort, expected] of [["none"], ["ascending", bytes], ["descending", bytes.toReversed()], ["none"]]) {
      await eventually(async () => assert.equal(await head(page, "source.bytes").getAttribute("aria-sort"), sort));
      await begins("source.bytes", expected ?? events.map(({ source }) => source?.bytes ?? ""));
      await turn.click();
    }
    // What has no bytes stands at the end in either order.
    await panel(page).getByRole("button", { name: /^Explain line/ }).first().focus();
    await page.keyboard.press("End");
    await eventually(async () => assert.equal((await cells(page, "source.bytes")).at(-1), ""));

    const search = panel(page).getByRole("searchbox", { name: "Find in the table" });
    await search.fill("89.160.20.112");
    const found = events.filter(({ source }) => source?.ip === "89.160.20.112");
    await panel(page).getByText(`${found.length} of 1,500 rows`).waitFor();
    await eventually(async () => assert.deepEqual([...new Set(await cells(page, "source.ip"))], ["89.160.20.112"]));
    await search.fill("nothing of the kind");
    await panel(page).getByText("0 of 1,500 rows").waitFor();
    await search.fill("");

    await panel(page).getByText("Columns", { exact: true }).click();
    assert.equal(await head(page, "cloud.account.id").count(), 0);
    await panel(page).getByRole("checkbox", { name: "cloud.account.id", exact: true }).check();
    await panel(page).getByRole("checkbox", { name: "source.ip", exact: true }).uncheck();
    await head(page, "cloud.account.id").waitFor();
    await begins("cloud.account.id", events.map(({ cloud }) => cloud.account.id));
    assert.equal(await head(page, "source.ip").count(), 0);
    await panel(page).getByRole("button", { name: "The usual ones" }).click();
    await head(page, "source.ip").waitFor();
    await page.keyboard.press("Escape");

    const line = panel(page).getByRole("button", { name: /^Explain line/ }).nth(4);
    const name = (await line.getAttribute("aria-label")).replace("Explain l", "L");
    await line.click();
    await page.getByRole("heading", { name, exact: true }).waitFor();
    // It stays chosen when it becomes another event.
    await page.getByLabel("Event ids").check();
    await page.getByRole("combobox", { name: "Schema", exact: true }).selectOption({ label: "Elastic (ECS 8.11)" });
    await settled(page);
    // The first line is the header.
    const event = parsed((await download(page)).bytes)[Number(name.replace(/\D+/, "")) - 2];
    const shown = page.getByRole("group", { name: "The event" });
    await eventually(async () => assert.deepEqual(JSON.parse(await shown.innerText()), event));
  });
});

test("of many events there is a sample, which says so", async () => {
  const names = ["flow.log", "flow.log.gz", "flow.log.zst", "flow.parquet"];
  const all = parsed(transform(...names));
  await withPage(async (page) => {
    await openFiles(page, ...names);
    await expectNumbers(page, { events: 6000 });
    await tab(page, "Table").click();
    await panel(page).getByText("A sample: one of every 2 events, 3,000 events").waitFor();
    await tab(page, "Events").click();
    await panel(page).getByText("A sample: one of every 2 events").waitFor();
    // As they are written, member by member; more of them when their end comes into view.
    const items = panel(page).getByRole("listitem");
    for (const at of [0, 1, 7]) {
      assert.deepEqual(JSON.parse(await items.nth(at).locator("pre").textContent()), all[2 * at]);
    }
    const few = await items.count();
    assert.ok(few < 1000);
    await items.last().scrollIntoViewIfNeeded();
    await eventually(async () => assert.ok((await items.count()) > few));
  });
});
