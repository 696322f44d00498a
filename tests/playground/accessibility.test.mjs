// The page for everyone: checked by axe-core in each theme and width, and driven by keys alone.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { test } from "node:test";

import { files, withPage } from "./browser.mjs";
import { eventually, expectNumbers, openFiles, tab } from "./steps.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails if axe finds something that keeps people out. */
async function assertAccessible(page, place) {
  // The page's policy lets no script in, but does not bind the debugger.
  await page.evaluate(axe);
  const violations = await page.evaluate(async () => (await window.axe.run(document, { resultTypes: ["violations"] })).violations);
  const grave = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  const found = grave.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}\n${failureSummary}`));
  assert.deepEqual(found, [], place);
}

async function assertNoSideways(page, place) {
  const [content, view] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(content <= view, `${place}: ${content} pixels wide in a view of ${view}`);
}

const VIEWS = [
  { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  { colorScheme: "light", viewport: { width: 390, height: 844 } },
  { colorScheme: "dark", viewport: { width: 390, height: 844 } },
];

for (const options of VIEWS) {
  const view = `${options.colorScheme}, ${options.viewport.width} pixels`;
  test(`axe finds nothing grave: ${view}`, async () => {
    const check = async (page, place) => {
      await assertAccessible(page, `${place}, ${view}`);
      await assertNoSideways(page, `${place}, ${view}`);
    };
    await withPage(async (page) => {
      const panel = page.getByRole("tabpanel");
      const isDark = await page.evaluate(() => document.documentElement.dataset.theme === "dark");
      assert.equal(isDark, options.colorScheme === "dark");
      for (const name of ["Traffic", "Table", "Events", "Rejects"]) {
        await tab(page, name).click();
        await page.getByRole("tabpanel", { name }).waitFor();
        if (name === "Traffic") {
          await panel.getByText("Numbers", { exact: true }).first().click();
          await panel.getByText("Numbers", { exact: true }).nth(1).click();
        }
        if (name === "Table") {
          await panel.getByText("Columns", { exact: true }).click();
        }
        await check(page, name);
      }
      await page.getByRole("list", { name: "Rejects by reason" }).getByRole("button").first().click();
      await panel.getByRole("button", { name: /^Line/ }).first().click();
      await page.getByRole("button", { name: "Hide" }).waitFor();
      await check(page, "a reject explained");

      await openFiles(page, "flow.log", "city.mmdb");
      await expectNumbers(page, { events: 1500 });
      await tab(page, "Traffic").click();
      await panel.getByText("Numbers", { exact: true }).nth(1).click();
      await panel.getByRole("region", { name: "Sources" }).getByRole("button").first().click();
      await page.getByRole("group", { name: "Filter" }).waitFor();
      await check(page, "files and a filter");
      const cut = readFileSync(`${files}/flow.log.gz`).subarray(0, 2000);
      await openFiles(page, { name: "cut.log.gz", buffer: cut });
      await page.getByRole("main").getByRole("alert").waitFor();
      await page.getByRole("combobox", { name: "Format of the lines" }).fill("srcaddr srcaddr");
      await page.getByRole("alert").filter({ hasText: "twice" }).waitFor();
      await check(page, "messages");
    }, { address: "#sample=mistakes", options });
  });
}

test("a theme that is chosen stays", async () => {
  const theme = (page) => page.evaluate(() => document.documentElement.dataset.theme);
  await withPage(async (page) => {
    assert.equal(await theme(page), "light");
    await page.getByRole("button", { name: "Dark theme" }).click();
    assert.equal(await theme(page), "dark");
    await page.reload();
    await page.getByRole("button", { name: "Light theme" }).waitFor();
    assert.equal(await theme(page), "dark");
  }, { options: { colorScheme: "light" } });
});

test("keys are enough", async () => {
  await withPage(async (page) => {
    const panel = page.getByRole("tabpanel");
    const press = (key) => page.keyboard.press(key);
    /** Goes on by the tab key until it is there. */
    const reach = async (target, key = "Tab") => {
      for (let steps = 0; steps < 150; steps += 1) {
        await press(key);
        if ((await target.count()) > 0 && (await target.evaluate((element) => element.getRootNode().activeElement === element))) {
          const isSeen = await target.evaluate((element) => {
            const { x, y, width, height } = element.getBoundingClientRect();
            // The editor's lines go on beyond its frame.
            const places = [[x + width / 2, y + height / 2], [x + 8, y + 8]];
            const tops = places.map((place) => element.getRootNode().elementFromPoint(...place));
            return tops.some((top) => top !== null && (element.contains(top) || top.contains(element)));
          });
          assert.ok(isSeen, `${target} has the focus, and something else covers it`);
          return;
        }
      }
      assert.fail(`${target} is not reached`);
    };

    await reach(page.getByRole("link", { name: "Skip to the results" }));
    await reach(page.getByRole("combobox", { name: "Sample", exact: true }));
    await press("ArrowDown");
    await expectNumbers(page, { events: 44, rejects: 0 });
    // It is left by the key that enters it.
    await reach(page.getByRole("textbox", { name: "Flow log lines" }));
    await reach(page.getByRole("combobox", { name: "Schema", exact: true }));
    await press("ArrowDown");
    await eventually(() => assert.match(page.url(), /schema=elastic/));

    await reach(tab(page, "Traffic"));
    await press("ArrowRight");
    await page.getByRole("tabpanel", { name: "Table" }).waitFor();
    assert.equal(await tab(page, "Table").evaluate((element) => element === document.activeElement), true);
    const head = panel.getByRole("columnheader", { name: "source.ip" });
    await reach(head.getByRole("button"));
    await press("Enter");
    await eventually(async () => assert.equal(await head.getAttribute("aria-sort"), "ascending"));
    const lines = panel.getByRole("button", { name: /^Explain/ });
    await reach(lines.first());
    await press("ArrowDown");
    await press("ArrowDown");
    await press("Enter");
    const line = (await lines.nth(2).getAttribute("aria-label")).replace(/\D+/, "");
    await page.getByRole("heading", { name: `Line ${line}`, exact: true }).waitFor();
    const columns = page.getByRole("group", { name: "The line" }).getByRole("button");
    await reach(columns.first());
    await press("ArrowRight");
    await eventually(async () => assert.ok(await columns.nth(1).evaluate((element) => element === document.activeElement)));

    await reach(tab(page, "Table"), "Shift+Tab");
    await press("Home");
    await page.getByRole("tabpanel", { name: "Traffic" }).waitFor();
    const sources = panel.getByRole("region", { name: "Sources" });
    await reach(sources.locator("summary"));
    await press("Enter");
    await reach(sources.getByRole("row").getByRole("button").first());
    await press("Enter");
    const chip = page.getByRole("group", { name: "Filter" }).getByRole("button", { name: "Remove the filter" });
    await chip.waitFor();
    await reach(chip, "Shift+Tab");
    await press("Enter");
    await chip.waitFor({ state: "detached" });
  });
});
