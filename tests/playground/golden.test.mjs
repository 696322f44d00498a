// The parser in the browser gives what the golden cases say, byte for byte.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";

import { cases, files, openWorker, withPage } from "./browser.mjs";

const SCHEMAS = ["sekoia", "elastic", "snare"];
/** As the other implementations are given, where a case says nothing. */
const MAX_LINE_BYTES = 1 << 20;

const names = readdirSync(cases).filter((file) => file.endsWith(".log")).map((file) => file.slice(0, -4));

function settings(name, schema) {
  const path = `${cases}/${name}.options.json`;
  const options = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  // What a schema has no place for is not asked of it.
  const fits = schema !== "snare";
  return {
    databases: fits && options.geoip ? ["city", "asn"] : [],
    settings: {
      schema,
      format: options.format,
      maxLineBytes: options.max_line_bytes ?? MAX_LINE_BYTES,
      keepMessage: options.keep_message,
      timeField: fits ? options.time_field : undefined,
      eventId: options.event_id,
      collectedAt: options.collected_at,
    },
  };
}

/** What comes of an input in each schema; runs in the page. */
async function transform([input, schemas, databaseBytes]) {
  const decoder = new TextDecoder();
  const outcomes = [];
  for (const { settings, databases } of schemas) {
    const files = [new File([bytes(input)], "case")];
    const given = Object.fromEntries(databases.map((name) => [name, bytes(databaseBytes[name])]));
    await ask({ kind: "databases", databases: given });
    const read = await ask({ kind: "read", files, settings });
    const { blob: events } = await ask({ kind: "export", files, settings, gzip: false });
    const { totals, rejects } = read.report;
    outcomes.push({
      failures: read.failures,
      totals,
      rejects: rejects.rows,
      sampled: read.report.sample.rows.map((row) => row.event + "\n").join(""),
      events: decoder.decode(await events.arrayBuffer()),
    });
  }
  return outcomes;
}

test("every golden case", async () => {
  assert.ok(names.length > 20);
  const databaseBytes = Object.fromEntries(
    ["city", "asn"].map((name) => [name, readFileSync(`${files}/${name}.mmdb`).toString("base64")]),
  );
  await withPage(async (page) => {
    await openWorker(page);
    for (const name of names) {
      const input = readFileSync(`${cases}/${name}.log`);
      const schemas = SCHEMAS.map((schema) => settings(name, schema));
      const outcomes = await page.evaluate(transform, [input.toString("base64"), schemas, databaseBytes]);
      const expectedRejects = lines(`${name}.rejects.ndjson`).map((line) => JSON.parse(line));
      const counts = expectedRejects.pop();
      for (const [index, schema] of SCHEMAS.entries()) {
        const { failures, totals, rejects, sampled, events } = outcomes[index];
        const place = `${name}, ${schema}`;
        const expected = readFileSync(`${cases}/${name}.${schema}.ndjson`, "utf8");
        assert.deepEqual(failures, [], place);
        assert.equal(events, expected, place);
        assert.deepEqual(totals, { ...counts, bytes: input.length }, place);
        assert.deepEqual(rejects.map(comparable), expectedRejects.map(expectedReject), place);
        assert.deepEqual(rejects.filter(({ text, isCut }) => !isCut && text.join("") === ""), [], place);
        if (events.length < 200_000) {
          assert.equal(sampled, expected, place);
        }
      }
    }
  });
});

function lines(file) {
  return readFileSync(`${cases}/${file}`, "utf8").trimEnd().split("\n");
}

function comparable({ line, byteOffset, eventNumber, fault }) {
  return { line, byteOffset, eventNumber, ...fault };
}

function expectedReject(reject) {
  const { line_number: line, byte_offset: byteOffset, event_number: eventNumber = null } = reject;
  const { reason, column = null, field = null, found, wanted } = reject;
  return { line, byteOffset, eventNumber, reason, column, field, found, wanted };
}
