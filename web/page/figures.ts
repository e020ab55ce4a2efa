/** Figures as people read them. */

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
const digits = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Bytes with three digits or so: `12 bytes`, `3.42 MiB`, `117 GiB`. */
export function bytes(count: number): string {
  if (count === 1) return "1 byte";
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  if (unit === 0) return `${digits.format(value)} bytes`;
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${UNITS[unit]}`;
}

/** Whole bytes, for who wants to count. */
export function exactBytes(count: number): string {
  return `${digits.format(count)} ${count === 1 ? "byte" : "bytes"}`;
}

/** A count by itself: `2,310`. */
export function whole(n: number): string {
  return digits.format(n);
}

/** A count and its word: `1 path`, `2,310 paths`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${digits.format(n)} ${n === 1 ? one : many}`;
}

/** A share of a whole, rounded so that what is left is never told as nothing. */
export function percent(part: number, all: number): string {
  if (all === 0) return "0 %";
  const value = 100 * part / all;
  if (value > 0 && value < 1) return "< 1 %";
  if (value < 100 && value > 99) return "> 99 %";
  return `${Math.round(value)} %`;
}

/** Bytes in a time. */
export function rate(moved: number, milliseconds: number): string | undefined {
  return milliseconds < 300 || moved === 0
    ? undefined
    : `${bytes(Math.round(1000 * moved / milliseconds))}/s`;
}

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400_000], ["hour", 3_600_000], [
  "minute",
  60_000,
]];

/** How long ago: `3 minutes ago`. */
export function ago(then: number, now = Date.now()): string {
  for (const [unit, length] of STEPS) {
    if (now - then >= length) return relative.format(-Math.floor((now - then) / length), unit);
  }
  return "just now";
}
