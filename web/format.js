// Numbers as a person reads them: short, and no more exact than they are. The blank before a unit breaks no line.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const NONE = "–";

export const count = n => (n === null || n === undefined ? NONE : typeof n === "string" ? n : whole.format(n));

export function rate(n) {
  if (n === null || n === undefined || !Number.isFinite(n)) return NONE;
  if (n === 0) return "0\u00a0/s";
  return `${n < 10 ? n.toFixed(1) : whole.format(n)}\u00a0/s`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return NONE;
  const s = Math.max(0, seconds);

  if (s < 0.0995) return `${s < 0.00995 ? (s * 1000).toFixed(1) : Math.round(s * 1000)}\u00a0ms`;
  if (s < 9.95) return `${s.toFixed(1)}\u00a0s`;
  if (s < 119.5) return `${Math.round(s)}\u00a0s`;
  if (s < 7170) return `${Math.round(s / 60)}\u00a0min`;
  if (s < 172800) return `${Math.floor(s / 3600)}\u00a0h\u00a0${Math.floor((s % 3600) / 60)}\u00a0min`;
  return `${Math.floor(s / 86400)}\u00a0d`;
}

export const micros = us => (us === null || us === undefined ? NONE : duration(us / 1e6));

export function bytes(n) {
  if (n === null || n === undefined) return NONE;
  const units = ["B", "KB", "MB", "GB", "TB", "PB"];
  let at = 0,
    value = n;

  while (value >= 999.5 && at < units.length - 1) {
    value /= 1000;
    at++;
  }
  return `${at === 0 || value >= 99.5 ? Math.round(value) : value.toFixed(1)}\u00a0${units[at]}`;
}

// Seconds between two times of the server's own clock.
export const between = (from, to) => (from && to ? (Date.parse(to) - Date.parse(from)) / 1000 : null);

export const ago = (from, to) => (from ? `${duration(between(from, to))} ago` : NONE);

export function clock(text) {
  const date = new Date(text);

  return Number.isNaN(date.getTime()) ? NONE : date.toISOString().slice(11, 23);
}

export const day = text => (text ? text.replace("T", " ").replace(/\.\d+Z$/, "Z") : NONE);

export const plural = (n, one, many) => `${count(n)} ${n === 1 ? one : (many ?? one + "s")}`;

export function shortened(text, max) {
  return text.length > max ? `${text.slice(0, max)}…` : text;
}

// What a record or a row holds, as text.
export function shown(value) {
  if (value === null || value === undefined) return "NULL";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
