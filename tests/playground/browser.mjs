// A real browser on the page that `vpcflow playground` serves; every page of it is watched for what must not happen.

import assert from "node:assert/strict";
import { after, before } from "node:test";

import { chromium } from "playwright-core";

/** What the test in Rust tells. */
export const { PLAYGROUND_URL: url, PLAYGROUND_CHROMIUM: executablePath, PLAYGROUND_FILES: files } = process.env;
export const cases = process.env.PLAYGROUND_CASES;

// As root in a container there is no sandbox; and the browser shall talk to nobody by itself.
const args = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath, args });
});
after(() => browser?.close());

/** A bound for what a slow machine may take; nothing is asserted about time. */
export const PATIENCE = 90_000;

/**
 * Opens the page, hands it to `check`, and fails if it has told an error, broken its policy, or left loopback; but
 * for messages that a test wants.
 */
export async function withPage(check, { address = "", options = {}, base = url, wanted = /^$/ } = {}) {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  const wrong = [];
  try {
    await context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    context.on("request", (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (hostname !== "127.0.0.1" && !["data:", "blob:"].includes(protocol)) {
        wrong.push(`request to ${request.url()}`);
      }
    });
    const page = await context.newPage();
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !wanted.test(message.text())) {
        wrong.push(`console: ${message.text()}`);
      }
    });
    page.on("pageerror", (error) => wrong.push(`uncaught: ${error}`));
    page.setDefaultTimeout(PATIENCE);
    await page.goto(base + address);
    await settled(page);
    await check(page, context);
  } finally {
    await context.close();
  }
  assert.deepEqual(wrong, []);
}

/** Waits until everything that was given has been read. */
export async function settled(page) {
  await page.locator(".numbers:not(.is-reading)").getByTestId("lines").getByText(/\d/).waitFor();
}

/** The processes that the pages and their workers live in. */
export async function renderers() {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  await session.detach();
  return processInfo.filter(({ type }) => type === "renderer").map(({ id }) => id);
}

/** Opens the worker of the page, so that `ask` can be called in it. */
export async function openWorker(page) {
  await page.evaluate(() => {
    const worker = new Worker("worker.js", { type: "module" });
    let lastId = 0;
    window.ask = (body) => {
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        worker.addEventListener("message", ({ data }) => {
          if (data.id === id && data.kind === "done") resolve(data.value);
          if (data.id === id && data.kind === "failed") reject(new Error(data.message));
        });
        worker.postMessage({ ...body, id });
      });
    };
    window.bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  });
}
