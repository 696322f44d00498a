// Inputs to try out: AWS's own examples by their format, and some of ours.

import published from "./samples.tsv";
import { busyHour } from "./busy.ts";

export interface Sample {
  id: string;
  title: string;
  about: string;
  group: "To begin with" | "Published by AWS";
  text(): string;
}

interface Line {
  format: string;
  line: string;
}

const lines: Line[] = published
  .trimEnd()
  .split("\n")
  .slice(1)
  .map((row) => {
    const [, format = "", line = ""] = row.split("\t");
    // On AWS's pages some lines have a remark behind them.
    return { format, line: line.replace(/\s*#.*$/, "") };
  });

/** By a field that only this format has, or begins with. */
const TITLES: [id: string, format: RegExp, title: string, about: string][] = [
  ["default", /^version account-id/, "Default format (version 2)", "What a flow log has if nothing else is chosen"],
  ["tcp-flags", /^version vpc-id/, "TCP flags and packet addresses (version 3)", "One connection over several records"],
  ["services", /pkt-src-aws-service/, "AWS services and traffic path (version 5)", "A download from S3"],
  ["zonal-nat", /^instance-id/, "NAT gateway of one zone", "Where packets come from and really go to"],
  ["regional-nat", /^resource-id/, "Regional NAT gateway (version 9)", "With the gateway's id"],
  ["transit", /^version interface-id/, "Through a transit gateway", "The same connection in two VPCs"],
  ["encryption", /encryption-status/, "Encryption status (version 10)", "Six fields, and neither bytes nor times"],
];

/** Each format stands before its lines, as a header line, wherever it changes. */
function withHeaders(chosen: Line[]): string {
  let header = "";
  const text: string[] = [];
  for (const { format, line } of chosen) {
    if (format !== header) {
      text.push(format);
      header = format;
    }
    text.push(line);
  }
  return `${text.join("\n")}\n`;
}

const MISTAKES = `version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status
2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK
2 123456789010 eni-1235b8ca123456789 172.31.16.256 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK
2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 https 6 20 4249 1418530010 1418530070 ACCEPT OK
2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 65536 6 20 4249 1418530010 1418530070 ACCEPT OK
2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 tcp 20 4249 1418530010 1418530070 REJECT OK
2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 1.5 4249 1418530010 1418530070 REJECT OK
2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 yesterday 1418530070 REJECT OK
2 123456789010 eni-1235b8ca123456789 172.31.9.69 172.31.9.12 49761 3389 6 20 4249 REJECT OK
2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA
{"version": 2, "srcaddr": "10.0.0.1", "dstaddr": "10.0.0.2", "dstport": 70000}
{"version": 2, "srcaddr": "10.0.0.1"
{"user": "bob", "count": 3}
2 123456789010 eni-1235b8ca123456789 2001:db8::1 2001:db8::2 34892 22 6 54 8855 1477913708 1477913820 ACCEPT OK
`;

function envelopes(): string {
  const line = (end: string) => `2 123456789012 eni-1235b8ca123456789 ${end}`;
  const logEvents = [
    line("172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"),
    line("172.31.9.69 172.31.9.12 49761 3389 6 20 4249 1418530010 1418530070 REJECT OK"),
    line("172.31.9.69 172.31.9.12 99999 3389 6 20 4249 1418530010 1418530070 REJECT OK"),
  ].map((message, at) => ({ id: `3195310660696698337880902507980421114328961542429822156${at}`, timestamp: 1418530070000, message }));
  const envelope = { owner: "123456789012", logGroup: "/aws/vpc/flowlogs", logStream: "eni-1235b8ca123456789-all", subscriptionFilters: ["all"] };
  const record = {
    version: 2, accountId: "123456789012", interfaceId: "eni-abc123de", srcAddr: "192.0.2.0", dstAddr: "192.0.2.24", srcPort: 20641, dstPort: 22,
    protocol: 6, packets: 20, bytes: 4249, start: 1418530010, end: 1418530070, action: "ACCEPT", logStatus: "OK",
  };
  const control = [{ id: "", timestamp: 1432826855000, message: "CWL CONTROL MESSAGE: Checking health of destination Firehose." }];
  return [
    { messageType: "DATA_MESSAGE", ...envelope, logEvents },
    { messageType: "CONTROL_MESSAGE", ...envelope, owner: "CloudwatchLogs", logEvents: control },
    { message: line("10.30.2.238 10.30.1.217 8089 39016 6 22 10527 1643160732 1643160792 ACCEPT OK") },
    record,
  ].map((object) => `${JSON.stringify(object)}\n`).join("");
}

export const SAMPLES: Sample[] = [
  { id: "busy-hour", title: "A busy hour", about: "Some thousand records of a made-up web shop", group: "To begin with", text: busyHour },
  { id: "all", title: `All ${lines.length} records that AWS publishes`, about: "Header lines in mid-stream", group: "To begin with", text: () => withHeaders(lines) },
  { id: "mistakes", title: "Records with mistakes", about: "What is refused, and why", group: "To begin with", text: () => MISTAKES },
  { id: "json", title: "JSON and CloudWatch Logs", about: "Envelopes are unpacked", group: "To begin with", text: envelopes },
  ...TITLES.map(([id, format, title, about]): Sample => ({
    id, title, about, group: "Published by AWS", text: () => withHeaders(lines.filter((line) => format.test(line.format))),
  })),
];

export const GROUPS = ["To begin with", "Published by AWS"] as const;

export function sample(id: string | null): Sample | undefined {
  return SAMPLES.find((one) => one.id === id);
}

/** To choose from where a format may be given. */
export const FORMATS: string[] = [...new Set(lines.map((line) => line.format))];
