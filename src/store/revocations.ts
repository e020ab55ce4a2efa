/**
 * Revoked tokens: ids of tokens that are no longer taken, though they have not expired.
 */
import type { ByteStore } from "../castore/byte_store.ts";
import { revokedKey } from "../castore/layout.ts";
import { FormatError } from "../errors.ts";
import { decodeRevocation, encodeRevocation, type RevocationRecord } from "./revocation_message.ts";

/** How long after a token's expiry its revocation is kept: clocks differ. In milliseconds. */
const KEPT_MS = 24 * 60 * 60_000;

/** As many revocations are listed over HTTP at most. */
export const MAX_LISTED = 10_000;

/** A token that is no longer taken. */
export interface Revocation extends RevocationRecord {
  readonly id: string;
}

/**
 * The revoked tokens of a store, for all that share its names.
 *
 * - An id is 8 to 64 lower-case letters and digits; another is a `FormatError`.
 * - A revocation is for good: there is no way back but another token.
 */
export interface Revocations {
  /** Whether a token is revoked. */
  has(id: string): Promise<boolean>;
  /**
   * Revokes a token. `expiresAt` is when it expires, in milliseconds since 1970: then its revocation may be forgotten; without, it is
   * kept for ever. Resolved means that it is kept.
   */
  add(id: string, expiresAt?: number): Promise<void>;
  /** All that are kept, by id in byte order, lazily. */
  list(): AsyncIterable<Revocation>;
  /** Forgets those of tokens that expired over a day ago. Resolves to how many. */
  sweep(): Promise<number>;
}

/** Whether this text can be the id of a token. */
export function isTokenId(text: string): boolean {
  return /^[0-9a-z]{8,64}$/.test(text);
}

/** The revocations kept in a ByteStore (the `names` of a home). */
export function revocationsOver(names: ByteStore, now: () => number = Date.now): Revocations {
  const list = async function* (): AsyncGenerator<Revocation, void, void> {
    const prefix = revokedKey("");
    for await (const key of names.list(prefix)) {
      const value = await names.get(key);
      if (value) yield { id: key.slice(prefix.length), ...decodeRevocation(value) };
    }
  };
  return {
    list,

    has: async (id) => await names.get(keyOf(id)) !== undefined,

    async add(id, expiresAt) {
      await names.update(keyOf(id), (old) => {
        // One that is kept for ever, or for longer, stays so.
        const known = old && decodeRevocation(old);
        if (known && (known.expiresAt ?? Infinity) >= (expiresAt ?? Infinity)) return old;
        return encodeRevocation({ revokedAt: known?.revokedAt ?? now(), expiresAt });
      });
    },

    async sweep() {
      let count = 0;
      for await (const { id, expiresAt } of list()) {
        if (expiresAt === undefined || expiresAt + KEPT_MS > now()) continue;
        await names.delete(keyOf(id));
        count++;
      }
      return count;
    },
  };
}

function keyOf(id: string): string {
  if (isTokenId(id)) return revokedKey(id);
  throw new FormatError(
    "token id",
    `Cannot use ${
      JSON.stringify(id.slice(0, 80))
    } as the id of a token: want 8 to 64 lower-case letters and digits`,
  );
}
