/**
 * Keys that sign tokens: Ed25519, as JSON Web Keys.
 *
 *   keys := key { white-space key }    each a JWK in one line; several while one takes the place of another
 *
 * All keys verify; the last one that has a private half signs. A server may be given public halves only.
 *
 * Ed25519 and not a shared secret, because what verifies is then not what signs: who reads a server's environment or a backup
 * of it, at an edge say, can be made unable to make tokens. Each key is for one algorithm, named beside it and looked up by its id, so
 * that no token chooses how it is verified: neither `none` nor a public key taken for a secret.
 */
import {
  calculateJwkThumbprint,
  type CryptoKey,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from "jose";
import { FormatError } from "../../errors.ts";

/** The algorithm of all keys here, as tokens name it. */
export const ALGORITHM = "EdDSA";
const MAX_KEYS = 16;

export interface TokenKey {
  /** What tokens name it by. */
  readonly id: string;
  readonly verifying: CryptoKey;
  /** Where the private half is here. */
  readonly signing?: CryptoKey;
}

/** A new key, in a line. */
export async function newTokenKey(): Promise<string> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { crv: "Ed25519", extractable: true });
  const { kty, crv, x, d } = await exportJWK(privateKey);
  const kid = await calculateJwkThumbprint({ kty, crv, x });
  return JSON.stringify({ kty, crv, kid, use: "sig", alg: ALGORITHM, x, d });
}

/** The public half of a key, in a line. */
export async function publicHalf({ id, verifying }: TokenKey): Promise<string> {
  const { kty, crv, x } = await exportJWK(verifying);
  return JSON.stringify({ kty, crv, kid: id, use: "sig", alg: ALGORITHM, x });
}

/** Reads keys, the last first. Throws {@link FormatError}, which tells nothing of what was read. */
export async function readTokenKeys(text: string): Promise<TokenKey[]> {
  const parts = text.trim().split(/\s+(?=\{)/).filter((part) => part !== "");
  if (parts.length === 0) throw unusable("there is none");
  if (parts.length > MAX_KEYS) throw unusable(`there are ${parts.length}, want at most ${MAX_KEYS}`);
  const keys = await Promise.all(parts.map(readKey));
  if (new Set(keys.map(({ id }) => id)).size < keys.length) throw unusable("there is one twice");
  return keys.reverse();
}

async function readKey(text: string): Promise<TokenKey> {
  let jwk: JWK;
  try {
    jwk = JSON.parse(text);
  } catch {
    throw unusable("one is no JSON"); // whose message would tell a part of it
  }
  if (jwk?.kty !== "OKP" || jwk.crv !== "Ed25519" || typeof jwk.x !== "string") {
    throw unusable("one is not of Ed25519");
  }
  const { kty, crv, x, d } = jwk;
  try {
    const id = await calculateJwkThumbprint({ kty, crv, x });
    const verifying = await importJWK({ kty, crv, x }, ALGORITHM) as CryptoKey;
    if (d === undefined) return { id, verifying };
    const signing = await importJWK({ kty, crv, x, d }, ALGORITHM) as CryptoKey;
    await checkHalves(signing, verifying);
    return { id, verifying, signing };
  } catch (error) {
    throw error instanceof FormatError ? error : unusable("one is damaged");
  }
}

async function checkHalves(signing: CryptoKey, verifying: CryptoKey): Promise<void> {
  const probe = new Uint8Array(32);
  const signature = await crypto.subtle.sign("Ed25519", signing, probe);
  if (await crypto.subtle.verify("Ed25519", verifying, signature, probe)) return;
  throw unusable("the halves of one do not belong together");
}

function unusable(why: string): FormatError {
  return new FormatError("token key", `Cannot use the token key: ${why}; firn token key makes one`);
}
