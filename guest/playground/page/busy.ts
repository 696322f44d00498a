// "A busy hour": made-up traffic of a small web shop, the same at every visit.

const FORMAT =
  "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status tcp-flags type flow-direction";
const BEGIN = Date.UTC(2026, 2, 17, 9) / 1000;
const MINUTES = 60;

/** Numbers from 0 to 1 in an order that looks random: a linear congruence, whose low bits are left out. */
function generator(seed: number): () => number {
  return () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return (seed >>> 8) / 2 ** 24;
  };
}

interface Flow {
  source: string;
  destination: string;
  sourcePort: number;
  port: number;
  protocol: number;
  packets: number;
  bytes: number;
  isRejected?: boolean;
  direction: "ingress" | "egress";
  flags: number;
}

const TCP = 6;
const UDP = 17;
const BALANCERS = ["10.0.1.20", "10.0.2.20"];
const SHOPS = ["10.0.11.31", "10.0.11.32", "10.0.12.33"];
const DATABASE = "10.0.21.5";
const CACHE = "10.0.21.9";
const RESOLVER = "10.0.0.2";
const STORE = "198.51.100.64";
const SCANNERS = ["203.0.113.77", "203.0.113.201", "192.0.2.146"];
const INTERFACES = new Map(
  [...BALANCERS, ...SHOPS, DATABASE, CACHE].map((address, at) => [address, `eni-0a1b2c3d4e5f6${(0x7080 + at * 17).toString(16)}`]),
);

export function busyHour(): string {
  const random = generator(20260317);
  const between = (low: number, high: number) => Math.floor(low + random() * (high - low + 1));
  /** Most are small, a few are very large, as traffic is. */
  const skewed = (low: number, high: number) => Math.round(low * (high / low) ** (random() ** 2));
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() ** 1.6 * list.length)]!;
  const highPort = () => between(32768, 60999);
  const clients = Array.from({ length: 60 }, (_, at) =>
    at % 4 === 3
      ? `2001:db8:${between(16, 4095).toString(16)}:${between(1, 255).toString(16)}::${between(2, 9999).toString(16)}`
      : `${pick(["198.51.100", "203.0.113", "192.0.2"])}.${between(2, 250)}`,
  );

  const tcp = (source: string, destination: string, port: number, bytes: number, direction: Flow["direction"]): Flow => ({
    source, destination, port, bytes, direction, sourcePort: highPort(), protocol: TCP,
    packets: Math.max(1, Math.ceil(bytes / between(500, 1400))), flags: pick([3, 2, 19, 1]),
  });

  function flowsOf(minute: number): Flow[] {
    const flows: Flow[] = [];
    // A wave over the hour, with a sale that begins at 9:20.
    const load = 1 + 0.35 * Math.sin(minute / 9) + (minute >= 20 && minute < 32 ? 1.3 - (minute - 20) * 0.09 : 0);
    for (let number = Math.round(between(14, 20) * load); number > 0; number -= 1) {
      const client = pick(clients);
      const balancer = client.includes(":") ? "2001:db8:a0:1::20" : pick(BALANCERS);
      const request = tcp(client, balancer, random() < 0.9 ? 443 : 80, skewed(900, 90_000), "ingress");
      const reply = skewed(4_000, 700_000);
      flows.push(request, {
        ...request, source: balancer, destination: client, sourcePort: request.port, port: request.sourcePort,
        bytes: reply, packets: Math.ceil(reply / 1300), direction: "egress", flags: 19,
      });
    }
    for (let number = Math.round(between(9, 13) * load); number > 0; number -= 1) {
      flows.push(tcp(pick(BALANCERS), pick(SHOPS), 8080, skewed(1_500, 120_000), "ingress"));
      flows.push(tcp(pick(SHOPS), random() < 0.6 ? DATABASE : CACHE, random() < 0.6 ? 5432 : 6379, skewed(700, 300_000), "egress"));
    }
    for (let number = between(4, 7); number > 0; number -= 1) {
      const packets = between(1, 4);
      flows.push({
        source: pick(SHOPS), destination: RESOLVER, sourcePort: highPort(), port: random() < 0.85 ? 53 : 123, protocol: UDP,
        packets, bytes: packets * between(70, 120), direction: "egress", flags: 0,
      });
    }
    // The nightly copy is late today.
    if (minute >= 38 && minute < 50) {
      flows.push(tcp(DATABASE, STORE, 443, between(3_000_000, 5_500_000), "egress"));
    }
    // Someone tries doors.
    const scans = minute >= 42 && minute < 47 ? between(38, 60) : between(1, 4);
    for (let number = scans; number > 0; number -= 1) {
      const probe = tcp(pick(SCANNERS), pick([...BALANCERS, ...SHOPS]), pick([22, 3389, 445, 23, 8443, 5900, 3306]), 40 * between(1, 3), "ingress");
      flows.push({ ...probe, packets: Math.ceil(probe.bytes / 40), isRejected: true, flags: 2 });
    }
    if (minute % 3 === 0) {
      const packets = between(2, 10);
      flows.push({
        source: pick(SCANNERS), destination: pick(BALANCERS), sourcePort: 0, port: 0, protocol: 1, packets, bytes: packets * 84,
        isRejected: minute % 2 === 0, direction: "ingress", flags: 0,
      });
    }
    if (minute % 5 === 2) {
      const bytes = skewed(40_000, 2_400_000);
      flows.push({
        source: pick(SHOPS), destination: "192.0.2.9", sourcePort: 0, port: 0, protocol: 50, packets: Math.ceil(bytes / 1100), bytes,
        direction: "egress", flags: 0,
      });
    }
    return flows;
  }

  function line(flow: Flow, minute: number): string {
    const start = BEGIN + minute * 60 + between(0, 50);
    const end = start + between(1, 59);
    const local = flow.direction === "ingress" ? flow.destination : flow.source;
    return [
      5, "123456789012", INTERFACES.get(local) ?? "eni-0a1b2c3d4e5f67f00", flow.source, flow.destination, flow.sourcePort, flow.port,
      flow.protocol, flow.packets, flow.bytes, start, end, flow.isRejected ? "REJECT" : "ACCEPT", "OK",
      flow.protocol === TCP ? flow.flags : "-", flow.source.includes(":") ? "IPv6" : "IPv4", flow.direction,
    ].join(" ");
  }

  const lines = [FORMAT];
  for (let minute = 0; minute < MINUTES; minute += 1) {
    lines.push(...flowsOf(minute).map((flow) => line(flow, minute)));
    if (minute % 20 === 11) {
      const start = BEGIN + minute * 60;
      lines.push(`5 123456789012 ${INTERFACES.get(CACHE)} - - - - - - - ${start} ${start + 60} - NODATA - - -`);
    }
  }
  return `${lines.join("\n")}\n`;
}
