/**
 * Room that is held back for making room. To delete from a store something is written first: what is forgotten, where moved
 * values lie now. A browser whose quota is used up refuses that as it refuses everything else, however small, and so one could
 * not delete where it is needed most. It allows what only removes things. So a part of the quota is filled with bytes that
 * nobody needs, in an object store that holds nothing small; they are removed when deleting finds no room, and put back
 * afterwards.
 *
 * What the reserve is made of is measured in Chromium 156 (quota 30 MiB, full and then overdrawn by 1.4 MB; 8 MiB removed;
 * then a small write and one of 1 MiB), with a profile on disk and with one in memory:
 *
 *   a `Blob` of 8 MiB             writes pass at once; in memory it is worth 5 MiB of quota only
 *   8 `Blob`s of 1 MiB            writes pass at once; worth 8 MiB in both
 *   a `Uint8Array` of 8 MiB       writes pass at once (it is stored as a `Blob`)
 *   140 of 60 KB, in the database itself   in memory at once; on disk the usage *grows* by 13 MiB and no write passes in 20 s
 *   a file of 8 MiB in OPFS       writes pass at once; it is no part of this database, and not everywhere there
 *   nothing                       no write passes in 20 s
 *
 * How much: quotas were overdrawn by 1 to 3 MB in most cases. A database of nothing but small values of 5 to 48 KB came to 17 MB
 * over a quota of 40 MiB, and while they were deleted to 48, for moments: compaction of the database holds what it replaces until
 * it is done, and the browser looks only when a transaction is complete. What remained after some empty ones was below 7. With 8 MiB,
 * full stores of 51,000 values of 3 KB in packs, and of 4,200 small packs of 5 KB, could be emptied.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import type { Change } from "./transactions.ts";

/** Bytes of a piece, and how many there are at most: eight times 1 MiB. */
export const PIECE_LENGTH = 1024 * 1024;
export const MOST_PIECES = 8;

/** Milliseconds after which it is looked whether another tab has removed it: a look in every transaction costs a fifth of the speed. */
export const LOOK_MS = 1000;

/** Keys that no pack has. */
const PREFIX = "reserve/";
const KEYS = Array.from({ length: MOST_PIECES }, (_, i) => `${PREFIX}${i}`);
/** Most bytes of randomness that are given at once. */
const RANDOM = 65_536;

/**
 * The reserve of a database, among its packs. It is as long as what the store holds, about, and at most 8 MiB: who never stored
 * much keeps little. Tabs share it.
 */
export class Reserve {
  /** Bytes that the store holds, as far as this tab knows. */
  #stored = 0;
  /** Pieces that were there when this tab last looked, and when that was. */
  #seen = 0;
  #lookedAt = -Infinity;

  /** Notes that so many bytes more are stored. */
  count(bytes: number): void {
    this.#stored += bytes;
  }

  /** Whether it is shorter than it should be once so many bytes more are stored, as far as this tab knows. */
  isShort(bytes = 0): boolean {
    return this.#seen < this.#due(bytes);
  }

  /** Whether it must be looked at before so many bytes more are stored. */
  isDue(bytes: number): boolean {
    return this.isShort(bytes) || performance.now() - this.#lookedAt > LOOK_MS;
  }

  /** Puts what is missing once so many bytes more are stored; at most so many pieces. */
  filling(bytes = 0, most = MOST_PIECES): Change<void> {
    let seen = 0;
    return {
      stores: ["packs"],
      bytes: 0,
      run: async (transaction, follow) => {
        const packs = transaction.objectStore("packs");
        const there = await packs.getAllKeys(all());
        const missing = KEYS.slice(0, this.#due(bytes)).filter((key) => !there.includes(key)).slice(0, most);
        for (const key of missing) follow(packs.put(new Blob([noise(PIECE_LENGTH)]), key));
        seen = there.length + missing.length;
      },
      committed: () => this.#saw(seen),
    };
  }

  /** Removes all of it. */
  releasing(): Change<void> {
    return {
      stores: ["packs"],
      bytes: 0,
      run: (transaction, follow) => follow(transaction.objectStore("packs").delete(all())),
      committed: () => this.#saw(0),
    };
  }

  #saw(pieces: number): void {
    this.#seen = pieces;
    this.#lookedAt = performance.now();
  }

  #due(bytes: number): number {
    return Math.min(MOST_PIECES, Math.floor((this.#stored + bytes) / PIECE_LENGTH));
  }
}

/** The keys of all pieces. */
function all(): IDBKeyRange {
  return IDBKeyRange.bound(PREFIX, PREFIX + "\x7f");
}

/** Bytes that no file system makes shorter. */
function noise(length: number): Bytes {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += RANDOM) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(length, at + RANDOM)));
  }
  return bytes;
}
