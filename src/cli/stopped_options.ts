/** Options of the commands that work on a store which no server has open, and what they say while they work. */
import { parseArgs, type ParseArgsConfig } from "node:util";
import { isHashPart, parseStorePathBase, splitStorePath } from "../nix/store_path.ts";
import { UsageError } from "./usage.ts";

type Options = NonNullable<ParseArgsConfig["options"]>;

/** What every one of these commands takes. */
export const STORE_HELP =
  `  --store ADDRESS           the folder of the store             [./firn-store]    FIRN_STORE`;

/** A command line that was read. */
export interface StoppedOptions {
  readonly store: string;
  readonly values: Readonly<Record<string, string | boolean | (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

/** Reads a command line; `undefined` when help was asked for. Throws {@link UsageError}. */
export function readStoppedOptions(
  args: readonly string[],
  options: Options = {},
): StoppedOptions | undefined {
  let parsed;
  try {
    parsed = parseArgs({
      args: [...args],
      options: { ...options, store: { type: "string" }, help: { type: "boolean", short: "h" } },
      allowPositionals: true,
    });
  } catch (error) {
    throw new UsageError((error as Error).message.split("\n")[0]);
  }
  const { values, positionals } = parsed;
  if (values.help) return undefined;
  return {
    store: values.store as string ?? Deno.env.get("FIRN_STORE") ?? "./firn-store",
    values,
    positionals,
  };
}

/** The hash part of a path as a person names it: a store path, what is in one, its base name, or the hash part alone. */
export function parsePathArgument(text: string): string {
  if (isHashPart(text)) return text;
  try {
    if (text.startsWith("/")) return splitStorePath(text).path.hashPart;
    return parseStorePathBase(text).hashPart;
  } catch {
    throw new UsageError(`Cannot find the path ${text}: want /nix/store/<hash>-<name>, or its hash`);
  }
}

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

/** A duration as `0`, `30m`, `24h`, `7d`, in milliseconds. */
export function parseDuration(option: string, text: string): number {
  const match = /^(\d{1,6})([smhdw])$/.exec(text);
  if (text === "0") return 0;
  if (match) return Number(match[1]) * UNITS[match[2]];
  throw new UsageError(`Cannot use ${option} ${text}: want a duration such as 30m, 24h or 7d`);
}

/** `1.2 GiB`. */
export function formatSize(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let unit = 0;
  let size = bytes;
  while (Math.abs(size) >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 ? size : size.toFixed(size < 10 ? 2 : 1)} ${units[unit]}`;
}

/** `3 paths`. */
export function count(number: number, one: string, many = one + "s"): string {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
