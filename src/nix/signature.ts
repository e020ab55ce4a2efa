/**
 * Signatures of fingerprints, and their keys: Ed25519 through WebCrypto.
 *
 *   signature := name `:` base64(64 bytes)
 *   publicKey := name `:` base64(32 bytes)
 *   secretKey := name `:` base64(seed of 32 bytes, public key of 32 bytes)
 *   name      := 1 or more characters, neither `:` nor white space nor control characters
 *
 * Base64 is standard, padded and strict. Keys come from files and settings, so white space around them is skipped.
 */
import { fromBase64, toBase64 } from "../bytes/base64.ts";
import { type Bytes, concat, fromText } from "../bytes/bytes.ts";
import { fromHex } from "../bytes/hex.ts";
import { FormatError } from "../errors.ts";

/** Bytes in a signature. */
export const SIGNATURE_LENGTH = 64;
const KEY_LENGTH = 32;

/** What comes before the seed in PKCS #8, the only private form WebCrypto imports besides JWK. */
const PKCS8_PREFIX = fromHex("302e020100300506032b657004220420");

/** A signature and the name of the key that made it. */
export interface Signature {
  readonly name: string;
  /** 64 bytes. */
  readonly data: Bytes;
}

/** A key to verify with. */
export interface PublicKey {
  readonly name: string;
  /** 32 bytes. */
  readonly data: Bytes;
}

/** A key to sign with. The secret itself is inside `key` and cannot be exported. */
export interface SecretKey {
  readonly name: string;
  readonly key: CryptoKey;
  readonly publicKey: PublicKey;
}

/** Reads a signature. Throws {@link FormatError}. */
export function parseSignature(text: string): Signature {
  return parseNamed(text, SIGNATURE_LENGTH, "signature");
}

/** `name:base64`. Throws {@link FormatError} for a name or a length {@link parseSignature} would not read. */
export function formatSignature(signature: Signature): string {
  return formatNamed(signature, SIGNATURE_LENGTH, "signature");
}

/** Reads a public key. Throws {@link FormatError}. */
export function parsePublicKey(text: string): PublicKey {
  return parseNamed(text.trim(), KEY_LENGTH, "public key");
}

/** `name:base64`. Throws {@link FormatError} for a name or a length {@link parsePublicKey} would not read. */
export function formatPublicKey(key: PublicKey): string {
  return formatNamed(key, KEY_LENGTH, "public key");
}

/** Reads a secret key. Throws {@link FormatError}, which never holds key material, also if its halves differ. */
export async function parseSecretKey(text: string): Promise<SecretKey> {
  const { name, data } = parseNamed(text.trim(), 2 * KEY_LENGTH, "secret key");
  const pkcs8 = concat([PKCS8_PREFIX, data.subarray(0, KEY_LENGTH)]);
  const key = await crypto.subtle.importKey("pkcs8", pkcs8, "Ed25519", false, ["sign"]);
  const secretKey = { name, key, publicKey: { name, data: data.slice(KEY_LENGTH) } };
  const probe = "do the halves of this key belong together?";
  if (!await verify([secretKey.publicKey], probe, await sign(secretKey, probe))) {
    throw new FormatError(
      "secret key",
      "Cannot read secret key: its public half is not that of its secret half",
    );
  }
  return secretKey;
}

/** Signs a fingerprint. The same key and text give the same signature. */
export async function sign(secretKey: SecretKey, fingerprint: string): Promise<Signature> {
  const data = await crypto.subtle.sign("Ed25519", secretKey.key, fromText(fingerprint));
  return { name: secretKey.name, data: new Uint8Array(data) };
}

/** Whether one of these keys that has the signature's name made it, of this fingerprint. */
export async function verify(
  publicKeys: readonly PublicKey[],
  fingerprint: string,
  signature: Signature,
): Promise<boolean> {
  const text = fromText(fingerprint);
  for (const { name, data } of publicKeys) {
    if (name !== signature.name) continue;
    const key = await crypto.subtle.importKey("raw", data, "Ed25519", false, ["verify"]);
    if (await crypto.subtle.verify("Ed25519", key, signature.data, text)) return true;
  }
  return false;
}

type Kind = "signature" | "public key" | "secret key";

function parseNamed(text: string, length: number, kind: Kind): { name: string; data: Bytes } {
  const [, name, encoded] = /^([^:]*):(.*)$/s.exec(text) ?? [];
  if (name === undefined) throw unreadable(kind, "want <name>:<base64>");
  checkName(name, kind, "read");
  let data: Bytes | undefined;
  try {
    data = fromBase64(encoded);
  } catch {
    // The error would quote the text, which may be a secret.
  }
  if (data?.length !== length) throw unreadable(kind, `want base64 of ${length} bytes after the name`);
  return { name, data };
}

function formatNamed({ name, data }: { name: string; data: Bytes }, length: number, kind: Kind): string {
  checkName(name, kind, "write");
  if (data.length !== length) {
    throw new FormatError(kind, `Cannot write ${kind}: it has ${data.length} bytes, want ${length}`);
  }
  return `${name}:${toBase64(data)}`;
}

function checkName(name: string, kind: Kind, action: "read" | "write"): void {
  if (/^[^:\s\p{Cc}]+$/u.test(name)) return;
  throw new FormatError(kind, `Cannot ${action} ${kind}: its name is empty or holds white space or a colon`);
}

function unreadable(kind: Kind, why: string): FormatError {
  return new FormatError(kind, `Cannot read ${kind}: ${why}`);
}
