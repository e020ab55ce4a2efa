/**
 * Store paths.
 *
 *   absolute := storeDir `/` base
 *   base     := hashPart `-` name
 *   hashPart := 32 characters of Nix's base 32 (20 bytes)
 *   name     := 1 to 211 of `A-Z a-z 0-9 + - . _ ? =`
 *
 * A name may begin with a dot. Recent Nix also refuses names whose first part before a dash is `.` or `..`; older
 * Nix made such paths, and behind the hash part they mean nothing special, so they are read here.
 */
import { FormatError } from "../errors.ts";

/** Where Nix stores are, unless told otherwise. */
export const STORE_DIR = "/nix/store";

/** Characters in a hash part. */
export const HASH_PART_LENGTH = 32;

/** Longest name in characters. */
export const MAX_STORE_PATH_NAME_LENGTH = 211;

/** A path right below the store directory, wherever that is. Parsed, so both parts are lawful. */
export interface StorePath {
  /** 32 characters of Nix's base 32. */
  readonly hashPart: string;
  readonly name: string;
}

const HASH_PART = /^[0-9a-df-np-sv-z]{32}$/;
const NAME = /^[A-Za-z0-9+\-._?=]{1,211}$/;

/** Whether this text can be a hash part. */
export function isHashPart(text: string): boolean {
  return HASH_PART.test(text);
}

/** Whether this text can be the name in a store path. */
export function isStorePathName(text: string): boolean {
  return NAME.test(text);
}

/** Reads `<storeDir>/<hash part>-<name>`. Throws {@link FormatError} for anything else, also for a path below it. */
export function parseStorePath(absolute: string, storeDir: string = STORE_DIR): StorePath {
  return parseStorePathBase(stripStoreDir(absolute, storeDir));
}

/** Reads `<hash part>-<name>`. Throws {@link FormatError} for anything else. */
export function parseStorePathBase(base: string): StorePath {
  const hashPart = base.slice(0, HASH_PART_LENGTH);
  const name = base.slice(HASH_PART_LENGTH + 1);
  if (!isHashPart(hashPart)) {
    throw unreadable(base, `it does not begin with ${HASH_PART_LENGTH} characters of Nix base 32`);
  }
  if (base[HASH_PART_LENGTH] !== "-") throw unreadable(base, "no dash follows the hash part");
  if (!isStorePathName(name)) {
    throw unreadable(base, `the name must be 1 to ${MAX_STORE_PATH_NAME_LENGTH} of A-Z a-z 0-9 + - . _ ? =`);
  }
  return { hashPart, name };
}

/**
 * Reads a path in or below a store path: `rest` is `""` or begins with a slash, and is not looked into. Throws
 * {@link FormatError} where no store path leads.
 */
export function splitStorePath(
  absolute: string,
  storeDir: string = STORE_DIR,
): { path: StorePath; rest: string } {
  const below = stripStoreDir(absolute, storeDir);
  const slash = below.indexOf("/");
  const end = slash < 0 ? below.length : slash;
  return { path: parseStorePathBase(below.slice(0, end)), rest: below.slice(end) };
}

/** `<storeDir>/<hash part>-<name>`. */
export function formatStorePath(path: StorePath, storeDir: string = STORE_DIR): string {
  return `${storeDir}/${path.hashPart}-${path.name}`;
}

/** `<hash part>-<name>`. */
export function storePathBase(path: StorePath): string {
  return `${path.hashPart}-${path.name}`;
}

/** The order of the texts, byte by byte, which is the order Nix signs references in. */
export function compareStorePaths(a: StorePath, b: StorePath): number {
  if (a.hashPart !== b.hashPart) return a.hashPart < b.hashPart ? -1 : 1;
  if (a.name !== b.name) return a.name < b.name ? -1 : 1;
  return 0;
}

/** These paths sorted, each once: the set Nix computes with. */
export function sortStorePaths(paths: readonly StorePath[]): StorePath[] {
  const sorted = [...paths].sort(compareStorePaths);
  return sorted.filter((path, i) => i === 0 || compareStorePaths(sorted[i - 1], path) !== 0);
}

function stripStoreDir(absolute: string, storeDir: string): string {
  if (!absolute.startsWith(storeDir + "/")) throw unreadable(absolute, `it is not below ${storeDir}`);
  return absolute.slice(storeDir.length + 1);
}

function unreadable(text: string, why: string): FormatError {
  return new FormatError(
    "store path",
    `Cannot parse store path ${JSON.stringify(text.slice(0, 300))}: ${why}`,
  );
}
