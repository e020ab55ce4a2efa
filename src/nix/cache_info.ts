/**
 * `nix-cache-info`, what a binary cache says about itself.
 *
 *   file := { key `:` value `\n` }
 *
 * Keys read: `StoreDir`, `WantMassQuery` (`1` is yes), `Priority` (an integer; lower is asked first). As in Nix,
 * white space around values, lines without a colon and other keys are skipped, and the last of a repeated key holds.
 */
import { FormatError, LimitError } from "../errors.ts";
import { STORE_DIR } from "./store_path.ts";

/** Longest text read, in characters. */
export const MAX_CACHE_INFO_LENGTH = 65_536;

/** What a binary cache says about itself. */
export interface CacheInfo {
  /** Where its paths live; {@link STORE_DIR} if it does not say. */
  readonly storeDir: string;
  /** Whether it likes being asked for many paths at once. */
  readonly wantMassQuery: boolean;
  /** Caches with lower numbers are asked first. */
  readonly priority?: number;
}

/** Reads a `nix-cache-info`. Throws {@link FormatError} for an unusable value, {@link LimitError} for a long text. */
export function parseCacheInfo(text: string): CacheInfo {
  if (text.length > MAX_CACHE_INFO_LENGTH) {
    throw new LimitError(
      MAX_CACHE_INFO_LENGTH,
      `Cannot parse nix-cache-info: it has over ${MAX_CACHE_INFO_LENGTH} characters`,
    );
  }
  let storeDir = STORE_DIR;
  let wantMassQuery = false;
  let priority: number | undefined;
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon < 0) continue;
    const key = line.slice(0, colon);
    const value = line.slice(colon + 1).trim();
    if (key === "StoreDir") {
      if (!value.startsWith("/")) throw unreadable("StoreDir is not an absolute path");
      storeDir = value;
    } else if (key === "WantMassQuery") wantMassQuery = value === "1";
    else if (key === "Priority") {
      if (!/^-?[0-9]{1,9}$/.test(value)) throw unreadable("Priority is not a number of at most 9 digits");
      priority = Number(value);
    }
  }
  return { storeDir, wantMassQuery, priority };
}

/** The text of a `nix-cache-info`, as Nix writes it. */
export function formatCacheInfo(info: CacheInfo): string {
  const lines = [`StoreDir: ${info.storeDir}`, `WantMassQuery: ${info.wantMassQuery ? 1 : 0}`];
  if (info.priority !== undefined) lines.push(`Priority: ${info.priority}`);
  return lines.join("\n") + "\n";
}

function unreadable(why: string): FormatError {
  return new FormatError("nix-cache-info", `Cannot parse nix-cache-info: ${why}`);
}
