// What the page looks like: pictures for people to look at, one of which the README shows.

import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";

import { withPage } from "./browser.mjs";

const folder = process.env.PLAYGROUND_SCREENSHOTS;
/** Where the README's picture is, if it shall be made anew. */
const readmes = process.env.PLAYGROUND_PICTURE;
const MOST_BYTES = 250_000;

const WIDE = { width: 1200, height: 900 };
const SHOTS = [
  { name: "light", colorScheme: "light", viewport: WIDE },
  { name: "dark", colorScheme: "dark", viewport: WIDE },
  { name: "narrow", colorScheme: "light", viewport: { width: 390, height: 844 } },
  { name: "rejects", colorScheme: "light", viewport: WIDE, address: "#sample=mistakes&tab=rejects" },
  { name: "table", colorScheme: "dark", viewport: WIDE, address: "#tab=table" },
];

for (const { name, address, ...options } of SHOTS) {
  test(`a picture: ${name}`, async () => {
    mkdirSync(folder, { recursive: true });
    await withPage(async (page) => {
      await page.evaluate(() => document.fonts.ready);
      if (name !== "narrow") {
        // What belongs together is emphasised.
        await page.getByRole("button", { name: "column 4, srcaddr" }).hover();
        await page.getByLabel("The event", { exact: true }).locator(".pointed").first().waitFor();
        await page.evaluate(() => scrollTo(0, 0));
      }
      const picture = await page.screenshot({ path: `${folder}/${name}.png` });
      assert.ok(picture.length > 10_000 && picture.length <= MOST_BYTES, `${picture.length} bytes are much for a README`);
      if (name === "light" && readmes !== undefined) writeFileSync(readmes, picture);
    }, { address, options });
  });
}
