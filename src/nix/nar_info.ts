/**
 * narinfo, the text a binary cache serves about a store path.
 *
 *   narinfo := { key `: ` value eol }      eol := `\n` | `\r\n`; the last one may be missing
 *
 * | key | value | if missing |
 * |---|---|---|
 * | StorePath | absolute store path | refused |
 * | URL | any text | refused |
 * | Compression | any text; empty is bzip2 | bzip2 |
 * | FileHash | hash | unknown |
 * | FileSize | bytes, decimal | unknown |
 * | NarHash | hash, SHA-256 | refused |
 * | NarSize | bytes, decimal, not 0 | refused |
 * | References | store path bases separated by spaces, in any order | none |
 * | Deriver | store path base; `unknown-deriver` is none | none |
 * | System | any text | none |
 * | Sig | signature; may repeat | none |
 * | CA | content address | none |
 *
 * Other keys are skipped. Any of these but Sig standing twice is refused: readers would disagree on which one holds.
 * Text values hold no control characters. Sizes go up to 2^53 - 1.
 * Limit: 2 MiB of text, which has room for some 59,000 references.
 *
 * Not checked here: anything that needs the NAR, the signatures, or knowing the compression.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { FormatError, LimitError } from "../errors.ts";
import { type ContentAddress, formatContentAddress, parseContentAddress } from "./content_address.ts";
import { formatNixHash, type NixHash, parseHash } from "./hash_text.ts";
import { formatSignature, parseSignature, type Signature } from "./signature.ts";
import {
  formatStorePath,
  parseStorePath,
  parseStorePathBase,
  type StorePath,
  storePathBase,
} from "./store_path.ts";

/** Longest text read, in characters. */
export const MAX_NAR_INFO_LENGTH = 2 * 1024 * 1024;

/** What a narinfo says. None of it is proven by having been parsed. */
export interface NarInfo {
  readonly storePath: StorePath;
  /** Where the file is, relative to the cache; may be absolute or have a query. */
  readonly url: string;
  /** How the file is compressed: `none`, `xz`, `zstd`, … */
  readonly compression: string;
  /** Hash of the file at `url`, compressed. */
  readonly fileHash?: NixHash;
  /** Bytes in the file at `url`. */
  readonly fileSize?: number;
  /** SHA-256 of the NAR. */
  readonly narHash: Bytes;
  /** Bytes in the NAR. */
  readonly narSize: number;
  /** As they were written: maybe unsorted, maybe with the path itself. */
  readonly references: readonly StorePath[];
  /** With the `.drv` that its name ends in. */
  readonly deriver?: StorePath;
  readonly system?: string;
  readonly signatures: readonly Signature[];
  readonly ca?: ContentAddress;
}

/** A narinfo being read. */
type Draft = { -readonly [K in keyof NarInfo]?: NarInfo[K] } & { signatures: Signature[] };
/** Sets what one line says. */
type Field = (info: Draft, value: string, storeDir?: string) => void;

const FIELDS: Readonly<Record<string, Field>> = {
  StorePath: (info, value, storeDir) => info.storePath = parseStorePath(value, storeDir),
  URL: (info, value) => info.url = lineText(value),
  Compression: (info, value) => info.compression = value === "" ? "bzip2" : lineText(value),
  FileHash: (info, value) => info.fileHash = parseHash(value),
  FileSize: (info, value) => info.fileSize = parseSize(value),
  NarHash: (info, value) => info.narHash = parseNarHash(value),
  NarSize: (info, value) => info.narSize = parseNarSize(value),
  References: (info, value) => {
    info.references = value.split(" ").filter((base) => base !== "").map(parseStorePathBase);
  },
  Deriver: (info, value) => {
    if (value !== "unknown-deriver") info.deriver = parseStorePathBase(value);
  },
  System: (info, value) => info.system = lineText(value),
  Sig: (info, value) => info.signatures.push(parseSignature(value)),
  CA: (info, value) => info.ca = parseContentAddress(value),
};

const REQUIRED = ["StorePath", "URL", "NarHash", "NarSize"];

/**
 * Reads a narinfo. Throws {@link FormatError} that names the line, or {@link LimitError} for a text over 2 MiB.
 * @param options.storeDir where StorePath must lie, `/nix/store` if not given
 */
export function parseNarInfo(text: string, options: { storeDir?: string } = {}): NarInfo {
  if (text.length > MAX_NAR_INFO_LENGTH) {
    throw new LimitError(
      MAX_NAR_INFO_LENGTH,
      `Cannot parse narinfo: it has ${text.length} characters, over ${MAX_NAR_INFO_LENGTH}`,
    );
  }
  const info: Draft = { compression: "bzip2", references: [], signatures: [] };
  const seen = new Set<string>();
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i].endsWith("\r") ? lines[i].slice(0, -1) : lines[i];
    const colon = line.indexOf(":");
    if (colon < 0) throw unreadable(`line ${i + 1} has no colon`);
    const key = line.slice(0, colon);
    if (!Object.hasOwn(FIELDS, key)) continue;
    if (line[colon + 1] !== " ") throw unreadable(`line ${i + 1} has no space after the colon`);
    if (seen.has(key) && key !== "Sig") throw unreadable(`line ${i + 1} has a second ${key}`);
    seen.add(key);
    try {
      FIELDS[key](info, line.slice(colon + 2), options.storeDir);
    } catch (cause) {
      throw unreadable(`line ${i + 1}, ${key}: ${(cause as Error).message}`, { cause });
    }
  }
  for (const key of REQUIRED) if (!seen.has(key)) throw unreadable(`it has no ${key}`);
  return info as NarInfo;
}

/**
 * The text of a narinfo, its lines in Nix's order and its hashes in Nix's base 32. Throws {@link FormatError} for a
 * text value or signature name that cannot stand in a line.
 */
export function formatNarInfo(info: NarInfo, options: { storeDir?: string } = {}): string {
  const lines = [
    `StorePath: ${formatStorePath(info.storePath, options.storeDir)}`,
    `URL: ${lineText(info.url)}`,
    `Compression: ${lineText(info.compression)}`,
  ];
  if (info.fileHash) lines.push(`FileHash: ${formatNixHash(info.fileHash.algorithm, info.fileHash.digest)}`);
  if (info.fileSize !== undefined) lines.push(`FileSize: ${info.fileSize}`);
  lines.push(`NarHash: ${formatNixHash("sha256", info.narHash)}`);
  lines.push(`NarSize: ${info.narSize}`);
  lines.push(`References: ${info.references.map(storePathBase).join(" ")}`);
  if (info.deriver) lines.push(`Deriver: ${storePathBase(info.deriver)}`);
  if (info.system !== undefined) lines.push(`System: ${lineText(info.system)}`);
  for (const signature of info.signatures) lines.push(`Sig: ${formatSignature(signature)}`);
  if (info.ca) lines.push(`CA: ${formatContentAddress(info.ca)}`);
  return lines.join("\n") + "\n";
}

/** The same text, if it can be the value of a line. */
function lineText(value: string): string {
  if (value === "" || /\p{Cc}/u.test(value)) {
    throw new FormatError(
      "narinfo",
      `Cannot use ${JSON.stringify(value.slice(0, 200))} as a value of narinfo`,
    );
  }
  return value;
}

function parseSize(value: string): number {
  const size = Number(value);
  if (!/^[0-9]+$/.test(value) || !Number.isSafeInteger(size)) {
    throw new FormatError("narinfo", `want a number of bytes, not ${JSON.stringify(value.slice(0, 80))}`);
  }
  return size;
}

function parseNarSize(value: string): number {
  const size = parseSize(value);
  if (size === 0) throw new FormatError("narinfo", "no NAR has 0 bytes");
  return size;
}

function parseNarHash(value: string): Bytes {
  const { algorithm, digest } = parseHash(value);
  if (algorithm !== "sha256") {
    throw new FormatError("narinfo", `want sha256, not ${algorithm}`);
  }
  return digest;
}

function unreadable(why: string, options?: ErrorOptions): FormatError {
  return new FormatError("narinfo", `Cannot parse narinfo: ${why}`, options);
}
