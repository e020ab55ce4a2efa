/**
 * The keys that sign what is served. Each stands in a file, or, where there are none, in the environment: FIRN_SIGNING_KEYS holds the
 * texts themselves, as `nix key generate-secret` prints them, with white space between.
 */
import { parseSecretKey, type SecretKey } from "../nix/signature.ts";
import { UsageError } from "./usage.ts";

/** Where the keys are. */
export interface SigningKeyOptions {
  /** Files. */
  readonly secretKeys: readonly string[];
  /** Texts. They are secret: not for a log. */
  readonly signingKeys: readonly string[];
}

/** The texts in FIRN_SIGNING_KEYS. */
export function splitSigningKeys(text: string | undefined): string[] {
  return text?.split(/\s+/).filter(Boolean) ?? [];
}

/** Reads all keys. Throws {@link UsageError} for one that cannot be had, without telling what it is. */
export async function readSigningKeys(options: SigningKeyOptions): Promise<SecretKey[]> {
  const { secretKeys, signingKeys } = options;
  return await Promise.all([
    ...secretKeys.map(async (path) => await parseKey(await readKeyFile(path), `the secret key ${path}`)),
    ...signingKeys.map((text, i) => parseKey(text, `key ${i + 1} of FIRN_SIGNING_KEYS`)),
  ]);
}

async function readKeyFile(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new UsageError(`Cannot read the secret key ${path}: ${(cause as Error).message}`);
  }
}

async function parseKey(text: string, what: string): Promise<SecretKey> {
  try {
    return await parseSecretKey(text);
  } catch (cause) {
    throw new UsageError(`Cannot use ${what}: ${(cause as Error).message}`);
  }
}
