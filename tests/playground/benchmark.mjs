// How fast the page reads a flow log of 14 columns, beside three others in the same rounds: the browser that only reads the
// file and looks at nothing, the page's download of all events, and the command with one thread.
//
//     npm ci && node benchmark.mjs ../../target/release/vpcflow

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

const ROUNDS = 7;
const RECORDS = 600_000;
const vpcflow = process.argv[2];
const folder = mkdtempSync(`${tmpdir()}/vpcflow-benchmark-`);
const file = `${folder}/flow.log`;
writeFileSync(file, log());

const server = spawn(vpcflow, ["playground", "--listen", "0"], { stdio: ["ignore", "ignore", "pipe"] });
const url = await new Promise((resolve) => {
  createInterface(server.stderr).once("line", (line) => resolve(line.match(/http:\S+/)[0]));
});
const browser = await chromium.launch({
  executablePath: process.env.VPCFLOW_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  // Nothing of the page itself shall run beside what is measured.
  await page.goto(`${url}licenses.txt`);
  await page.evaluate(() => {
    document.body.innerHTML = '<input type="file">';
    window.worker = new Worker("worker.js", { type: "module" });
    window.ask = (body) =>
      new Promise((resolve, reject) => {
        worker.onmessage = ({ data }) => {
          if (data.kind === "done") resolve(data.value);
          if (data.kind === "failed") reject(new Error(data.message));
        };
        worker.postMessage({ id: 1, ...body });
      });
  });
  await page.setInputFiles("input", file);
  const contestants = {
    "the page reads the file": () => page.evaluate(read),
    "the browser reads it and looks at nothing": () => page.evaluate(readOnly),
    "the page writes all events": () => page.evaluate(write),
    "the command with one thread writes them to /dev/null": command,
  };
  const times = Object.fromEntries(Object.keys(contestants).map((name) => [name, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, run] of Object.entries(contestants)) {
      times[name].push(await run());
    }
  }
  const bytes = await page.evaluate(() => document.querySelector("input").files[0].size);
  const [first, ...others] = Object.keys(contestants);
  console.log(`${RECORDS} records, ${(bytes / 1e6).toFixed(0)} MB; medians of ${ROUNDS} rounds`);
  for (const name of [first, ...others]) {
    const speeds = times[name].map((seconds) => bytes / 1e6 / seconds);
    const ratio = median(times[first].map((seconds, round) => seconds / times[name][round]));
    const [least, most] = [Math.min(...speeds), Math.max(...speeds)].map((speed) => speed.toFixed(0));
    console.log(`${name}: ${median(speeds).toFixed(0)} MB/s (${least} to ${most}); the page's time / this: ${ratio.toFixed(2)}`);
  }
} finally {
  await browser.close();
  server.kill();
  rmSync(folder, { recursive: true });
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)];
}

async function read() {
  const { report, seconds } = await ask({ kind: "read", files: [...document.querySelector("input").files], settings: {} });
  if (report.totals.rejects > 0) throw new Error("rejects");
  return seconds;
}

async function write() {
  // Into a file: events that are kept as a blob stay until the browser collects garbage, and there is a limit for them.
  const folder = await navigator.storage.getDirectory();
  const to = await folder.getFileHandle("events", { create: true });
  const began = performance.now();
  await ask({ kind: "export", files: [...document.querySelector("input").files], settings: {}, gzip: false, to });
  const seconds = (performance.now() - began) / 1000;
  await folder.removeEntry("events");
  return seconds;
}

/** In the same pieces as the parser reads. */
async function readOnly() {
  const file = document.querySelector("input").files[0];
  const began = performance.now();
  for (let start = 0; start < file.size; start += 4 << 20) {
    await file.slice(start, start + (4 << 20)).arrayBuffer();
  }
  return (performance.now() - began) / 1000;
}

function command() {
  const began = performance.now();
  const { status } = spawnSync(vpcflow, ["transform", "--threads", "1", "--output", "/dev/null", file], { stdio: "ignore" });
  if (status !== 0) throw new Error(`${vpcflow} transform: status ${status}`);
  return (performance.now() - began) / 1000;
}

/** Some 116 bytes a record; 100 000 different ones, again and again. */
function log() {
  let seed = 1;
  const random = (below) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const record = (number) => {
    const start = 1700000000 + Math.floor(number / 100);
    const addresses = `172.31.${random(8)}.${random(256)} 10.0.${random(4)}.${random(256)}`;
    const ports = `${1024 + random(64512)} ${[22, 53, 80, 443, 3389][random(5)]}`;
    const volume = `${1 + random(1000)} ${40 + random(1000000)} ${start} ${start + 60}`;
    return `2 123456789010 eni-1235b8ca123456789 ${addresses} ${ports} ${[1, 6, 6, 17][random(4)]} ${volume} ${["ACCEPT", "REJECT"][random(2)]} OK\n`;
  };
  const block = Array.from({ length: 100_000 }, (_, number) => record(number)).join("");
  const header = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status\n";
  return header + block.repeat(RECORDS / 100_000);
}
