// Numbers, times and places in words.

const whole = new Intl.NumberFormat("en");

export function count(number: number): string {
  return whole.format(number);
}

/** `1 line`, `2,000 lines`. */
export function counted(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

const UNITS = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

export function bytes(number: number): string {
  let unit = 0;
  while (number >= 999.5 && unit < UNITS.length - 1) {
    number /= 1000;
    unit += 1;
  }
  // Three digits at the most, and no zeros at the end.
  return `${number >= 99.5 ? Math.round(number) : Number(number.toPrecision(number >= 9.95 ? 3 : 2))} ${UNITS[unit]}`;
}

export function duration(seconds: number): string {
  if (seconds < 0.9995) {
    return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  }
  if (seconds < 60) {
    return `${seconds.toFixed(1)} s`;
  }
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

export function rate(byteCount: number, seconds: number): string {
  return `${bytes(byteCount / Math.max(seconds, 0.001))}/s`;
}

/** A time in UTC, as all flow logs have it: without what is the same for all times of so wide steps, within a day or not. */
export function time(millis: number, widthMillis: number, isOfDays: boolean): string {
  const text = new Date(millis).toISOString();
  if (widthMillis >= 86_400_000) {
    return text.slice(0, 10);
  }
  const clock = text.slice(11, widthMillis < 60_000 ? 19 : 16);
  return isOfDays ? `${text.slice(5, 10)} ${clock}` : clock;
}

export function dayAndTime(millis: number): string {
  return new Date(millis).toISOString().replace("T", " ").replace(/(:00)?\.000Z$/, "");
}

/** As short as it is clear: `2026-03-17 09:00 – 10:00`, or days alone. */
export function span(from: number, until: number): string {
  const [begin, end] = [dayAndTime(from), dayAndTime(until)];
  if (begin.endsWith(" 00:00") && end.endsWith(" 00:00")) {
    return `${begin.slice(0, 10)} – ${end.slice(0, 10)}`;
  }
  return `${begin} – ${begin.slice(0, 10) === end.slice(0, 10) ? end.slice(11) : end}`;
}

/** Of well-known ports that flow logs are full of. */
const PORTS = new Map([
  [20, "ftp-data"], [21, "ftp"], [22, "ssh"], [23, "telnet"], [25, "smtp"], [53, "dns"], [67, "dhcp"], [80, "http"],
  [88, "kerberos"], [110, "pop3"], [123, "ntp"], [143, "imap"], [179, "bgp"], [389, "ldap"], [443, "https"],
  [445, "smb"], [465, "smtps"], [514, "syslog"], [587, "submission"], [636, "ldaps"], [993, "imaps"], [995, "pop3s"],
  [1433, "mssql"], [1521, "oracle"], [2049, "nfs"], [3306, "mysql"], [3389, "rdp"], [5060, "sip"], [5432, "postgres"],
  [5900, "vnc"], [6379, "redis"], [8080, "http-alt"], [8443, "https-alt"], [9092, "kafka"], [9200, "elasticsearch"],
  [11211, "memcached"], [27017, "mongodb"],
]);

export function portName(port: number): string | undefined {
  return PORTS.get(port);
}
