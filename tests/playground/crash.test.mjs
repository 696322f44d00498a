// A crash of the parser costs what was being read, and nothing else: the page starts another one.

import { test } from "node:test";

import { withPage } from "./browser.mjs";
import { expectNumbers, openFiles } from "./steps.mjs";

/** Stands before the worker's own code: a panic in Rust ends in such an error. */
const CRASHING = `
  let crashes = false;
  addEventListener("message", ({ data }) => (crashes = data.files?.some((file) => file.name === "crash.log")));
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const real = WebAssembly[name];
    WebAssembly[name] = async (...given) => {
      const { instance, module } = await real(...given);
      const step = (...given) => {
        if (crashes) throw new WebAssembly.RuntimeError("unreachable");
        return instance.exports.reading_step(...given);
      };
      return { instance: { exports: { ...instance.exports, reading_step: step } }, module };
    };
  }
`;

test("a crash costs one reading", async () => {
  const log = Buffer.from("version srcaddr dstaddr\n2 10.0.0.1 10.0.0.2\n");
  await withPage(async (page) => {
    await page.route("**/worker.js", async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: CRASHING + (await response.text()) });
    });
    await page.reload();
    await openFiles(page, { name: "fine.log", buffer: log });
    await expectNumbers(page, { events: 1 });
    await page.getByLabel("Open files").setInputFiles([{ name: "crash.log", mimeType: "", buffer: log }]);
    await page.getByText(/the parser has crashed/).waitFor();
    await openFiles(page, { name: "next.log", buffer: Buffer.concat([log, log]) });
    await expectNumbers(page, { lines: 4, events: 2, skips: 2 });
  });
});
