// The files that `vpcflow playground --write` leaves, on a host that sends no headers of its own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { files, withPage } from "./browser.mjs";
import { download, expectNumbers, openFiles, transform, vpcflow } from "./steps.mjs";

const PLACE = "/some/folder/";
const TYPES = { html: "text/html", js: "text/javascript", css: "text/css", wasm: "application/wasm" };

const site = `${files}/site`;
let base;
const server = createServer(({ url }, answer) => {
  try {
    const { pathname } = new URL(url, "http://host/");
    assert.ok(pathname.startsWith(PLACE));
    const name = pathname.slice(PLACE.length) || "index.html";
    answer.setHeader("Content-Type", TYPES[name.split(".").at(-1)] ?? "text/plain");
    answer.end(readFileSync(`${site}/${name}`));
  } catch {
    answer.writeHead(404).end();
  }
});

before(async () => {
  execFileSync(vpcflow, ["playground", "--write", site]);
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${server.address().port}${PLACE}`;
});
after(() => server.close());

test("the page works in a folder of a plain host", async () => {
  await withPage(async (page) => {
    await expectNumbers(page, { events: 44, rejects: 0 });
    await openFiles(page, "flow.log.gz");
    await expectNumbers(page, { events: 1500 });
    assert.ok((await download(page)).bytes.equals(transform("flow.log.gz")));
    const licences = await page.request.get(await page.getByRole("link", { name: "Licences" }).evaluate((link) => link.href));
    assert.equal(licences.status(), 200);
  }, { base, address: "#sample=all&schema=sekoia" });
});

test("its own policy holds", async () => {
  const refused = [];
  await withPage(async (page) => {
    page.on("console", (message) => refused.push(message.text()));
    await page.evaluate(async () => {
      const script = document.createElement("script");
      script.textContent = "window.hasRun = true";
      document.body.append(script);
      const style = document.createElement("style");
      style.textContent = "body { display: none }";
      document.body.append(style);
      await fetch("https://example.com/").catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 200));
    });
    assert.equal(await page.evaluate(() => window.hasRun), undefined);
    assert.notEqual(await page.evaluate(() => getComputedStyle(document.body).display), "none");
  }, { base, wanted: /policy violated|Content Security Policy/ });
  const violated = refused.join().match(/policy violated: [a-z-]+/g).map((text) => text.split(" ")[2]);
  assert.deepEqual(violated.sort(), ["connect-src", "script-src-elem", "style-src-elem"]);
});
