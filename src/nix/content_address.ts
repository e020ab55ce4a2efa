/**
 * Content addresses, the `CA` field of a narinfo, and the store paths they lead to.
 *
 *   ca   := `text:sha256:` hash | `fixed:` [`r:`] algorithm `:` hash
 *   hash := nixbase32 (written); hexadecimal, base64 and SRI are read too
 *
 *   store path  = hashPart(type `:sha256:` hex(inner) `:` storeDir `:` name) `-` name
 *   hashPart(t) = nixbase32 of SHA-256(t), folded by XOR to 20 bytes
 *
 * | method | type | inner |
 * |---|---|---|
 * | text | `text` { `:` reference } | the digest of the content |
 * | nar with SHA-256 | `source` { `:` reference } [ `:self` ] | the digest of the NAR |
 * | any other | `output:out`, no references | SHA-256 of `fixed:out:` [`r:`] algorithm `:` hex `:` |
 *
 * References are absolute paths, sorted, each once. `fixed:git:` of experimental Nix is not read.
 */
import { type Bytes, fromText } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { toNixBase32 } from "../bytes/nixbase32.ts";
import { FormatError } from "../errors.ts";
import type { HashName } from "../hash/hasher.ts";
import { sha256 } from "../hash/sha256.ts";
import { formatNixHash, type NixHash, parseHash } from "./hash_text.ts";
import { formatStorePath, isStorePathName, sortStorePaths, STORE_DIR, type StorePath } from "./store_path.ts";

/** How the content of a path gives its name. `flat` is one file's bytes, `nar` (`fixed:r:`) the NAR's. */
export interface ContentAddress {
  readonly method: "text" | "flat" | "nar";
  readonly algorithm: HashName;
  readonly digest: Bytes;
}

/** Reads a CA field. Throws {@link FormatError}. */
export function parseContentAddress(text: string): ContentAddress {
  const [, prefix, hash] = /^(text:|fixed:r:|fixed:)(.*)$/s.exec(text) ?? [];
  if (prefix === undefined) throw unreadable(text, "want text:<hash>, fixed:<hash> or fixed:r:<hash>");
  let parsed: NixHash;
  try {
    parsed = parseHash(hash);
  } catch (cause) {
    throw unreadable(text, (cause as Error).message, { cause });
  }
  if (prefix === "text:" && parsed.algorithm !== "sha256") {
    throw unreadable(text, "text goes with sha256 only");
  }
  return { method: prefix === "text:" ? "text" : prefix === "fixed:" ? "flat" : "nar", ...parsed };
}

/** The CA field, with the hash in Nix's base 32. */
export function formatContentAddress(ca: ContentAddress): string {
  return PREFIXES[ca.method] + formatNixHash(ca.algorithm, ca.digest);
}

const PREFIXES = { text: "text:", flat: "fixed:", nar: "fixed:r:" };

/** What, besides its content, names a content-addressed path. */
export interface ContentAddressed {
  readonly name: string;
  readonly ca: ContentAddress;
  /** Other paths it refers to, in any order; itself not among them. */
  readonly references?: readonly StorePath[];
  /** Whether it refers to itself; then the digest is of the NAR with its own hash part left out. */
  readonly selfReference?: boolean;
  readonly storeDir?: string;
}

/**
 * The path Nix gives this content. Throws {@link FormatError} for an unlawful name, and for references of a kind
 * the method cannot have.
 */
export function contentAddressedPath(object: ContentAddressed): StorePath {
  const { name, ca, references = [], selfReference = false, storeDir = STORE_DIR } = object;
  if (!isStorePathName(name)) {
    throw new FormatError("store path", `Cannot name a store path ${JSON.stringify(name.slice(0, 300))}`);
  }
  const source = ca.method === "nar" && ca.algorithm === "sha256";
  if (ca.method === "text" && ca.algorithm !== "sha256") {
    throw unnameable(name, "text goes with sha256 only");
  }
  if (selfReference && !source) throw unnameable(name, "only nar with sha256 may refer to itself");
  if (source || ca.method === "text") {
    const type = [source ? "source" : "text"];
    for (const reference of sortStorePaths(references)) type.push(formatStorePath(reference, storeDir));
    if (selfReference) type.push("self");
    return makePath(type.join(":"), ca.digest, name, storeDir);
  }
  if (references.length > 0) throw unnameable(name, `${formatContentAddress(ca)} cannot have references`);
  const recursive = ca.method === "nar" ? "r:" : "";
  const inner = sha256(fromText(`fixed:out:${recursive}${ca.algorithm}:${toHex(ca.digest)}:`));
  return makePath("output:out", inner, name, storeDir);
}

function makePath(type: string, inner: Bytes, name: string, storeDir: string): StorePath {
  const digest = sha256(fromText(`${type}:sha256:${toHex(inner)}:${storeDir}:${name}`));
  const folded = new Uint8Array(20);
  for (let i = 0; i < digest.length; i++) folded[i % 20] ^= digest[i];
  return { hashPart: toNixBase32(folded), name };
}

function unreadable(text: string, why: string, options?: ErrorOptions): FormatError {
  return new FormatError(
    "content address",
    `Cannot parse content address ${JSON.stringify(text.slice(0, 200))}: ${why}`,
    options,
  );
}

function unnameable(name: string, why: string): FormatError {
  return new FormatError("content address", `Cannot compute the store path of ${name}: ${why}`);
}
