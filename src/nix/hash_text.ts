/**
 * Hashes as Nix writes them.
 *
 *   sri       := algorithm `-` base64               (padding may be short, or followed by anything)
 *   prefixed  := algorithm `:` bare
 *   bare      := hexadecimal | nixbase32 | base64   (told apart by length; strict)
 *   algorithm := `md5` | `sha1` | `sha256` | `sha512`
 *
 * SRI is read as loosely as other implementations do, because such texts stand in real expressions; the one
 * written form of each is exact.
 */
import { fromBase64, toBase64 } from "../bytes/base64.ts";
import type { Bytes } from "../bytes/bytes.ts";
import { fromHex } from "../bytes/hex.ts";
import { fromNixBase32, toNixBase32 } from "../bytes/nixbase32.ts";
import { FormatError } from "../errors.ts";
import { HASH_LENGTHS, type HashName } from "../hash/hasher.ts";

/** A digest and what made it. */
export interface NixHash {
  readonly algorithm: HashName;
  /** As many bytes as `HASH_LENGTHS` says. */
  readonly digest: Bytes;
}

/**
 * Reads any of the forms above. With `expected`, a bare digest is read too, and another algorithm is refused.
 * Throws {@link FormatError}.
 */
export function parseHash(text: string, expected?: HashName): NixHash {
  const [, prefix, separator, rest] = /^([^:-]*)([:-])(.*)$/s.exec(text) ?? [];
  if (separator === undefined) {
    if (expected === undefined) throw unreadable(text, "it names no algorithm");
    return { algorithm: expected, digest: parseBare(text, expected, text) };
  }
  if (!isHashName(prefix)) throw unreadable(text, "its algorithm is not md5, sha1, sha256 or sha512");
  if (expected !== undefined && prefix !== expected) throw unreadable(text, `want ${expected}`);
  const digest = separator === ":" ? parseBare(rest, prefix, text) : parseSriDigest(rest, prefix, text);
  return { algorithm: prefix, digest };
}

/** `sha256:<nixbase32>`, the form of narinfo fields. */
export function formatNixHash(algorithm: HashName, digest: Uint8Array): string {
  return `${algorithm}:${toNixBase32(digest)}`;
}

/** `sha256-<base64>`. */
export function formatSri(algorithm: HashName, digest: Uint8Array): string {
  return `${algorithm}-${toBase64(digest)}`;
}

/** Whether this is the name of one of the hashes. */
export function isHashName(text: string): text is HashName {
  return Object.hasOwn(HASH_LENGTHS, text);
}

function parseBare(bare: string, algorithm: HashName, whole: string): Bytes {
  const length = HASH_LENGTHS[algorithm];
  if (bare.length === length * 2) return fromHex(bare);
  if (bare.length === Math.ceil(length * 8 / 5)) return fromNixBase32(bare);
  if (bare.length === Math.ceil(length / 3) * 4) {
    const digest = fromBase64(bare);
    if (digest.length === length) return digest;
  }
  throw unreadable(whole, `no encoding of ${algorithm} has ${bare.length} characters`);
}

function parseSriDigest(rest: string, algorithm: HashName, whole: string): Bytes {
  const length = HASH_LENGTHS[algorithm];
  const digits = Math.ceil(length * 8 / 6);
  const encoded = rest.slice(0, digits);
  const after = rest.slice(digits);
  if (/^[A-Za-z0-9+/]*$/.test(encoded) && encoded.length === digits && (after === "" || after[0] === "=")) {
    const binary = atob(encoded); // unlike fromBase64, it lets pass bits beyond the last byte
    return Uint8Array.from(binary, (character) => character.charCodeAt(0));
  }
  throw unreadable(whole, `want ${digits} characters of base64 after ${algorithm}-`);
}

function unreadable(text: string, why: string): FormatError {
  return new FormatError("hash", `Cannot parse hash ${JSON.stringify(text.slice(0, 200))}: ${why}`);
}
