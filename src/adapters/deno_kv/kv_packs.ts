/**
 * Packs in Deno KV, in pieces under their own key:
 *
 *   [prefix, "pack", key, index]   60 KiB of a pack, the last piece less
 *
 * A pack never changes, so it needs no head to say which pieces are its: what a range covers is read at once. It is there when its
 * first piece is, which is written with the last atomic; one that fits into an atomic is written in one, and
 * `kv_index.ts` adds its entries to the same.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import type { ByteRange } from "../../castore/byte_store.ts";
import type { PackBytes } from "../../combinators/pack_index.ts";
import { commit } from "./commit.ts";
import { type KvLike, PIECE_LENGTH } from "./records.ts";

/** Pieces to an atomic: 737,280 of the 819,200 bytes it may have. */
const PIECES_PER_ATOMIC = 12;
/** The longest pack that fits into an atomic. */
export const LONGEST_SHORT = PIECES_PER_ATOMIC * PIECE_LENGTH;
/**
 * How packs are best made and read that lie in Deno KV: options of a packed store. A full one fits into an atomic with its
 * entries, if these are at most 660; as many are kept as are 16 MiB.
 */
export const KV_PACKING = { packLength: 11 * PIECE_LENGTH, packsKept: 24 } as const;
/** More than any pack has: 4 MiB are 69. */
const MOST_PIECES = 128;

/** The packs of one store. */
export class KvPacks implements PackBytes {
  #kv: KvLike;
  #prefix: string;

  constructor(kv: KvLike, prefix: string) {
    this.#kv = kv;
    this.#prefix = prefix;
  }

  async get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    const first = range ? Math.floor(range.start / PIECE_LENGTH) : 0;
    const end = range ? Math.ceil(range.end / PIECE_LENGTH) : MOST_PIECES;
    if (range && range.end <= range.start) return new Uint8Array(0);
    const pieces: Bytes[] = [];
    let length = 0;
    const selector = { start: this.#piece(key, first), end: this.#piece(key, end) };
    for await (const piece of this.#kv.list<Bytes>(selector, { batchSize: end - first })) {
      if (piece.key.at(-1) !== first + pieces.length) return undefined; // it is being written, or removed
      pieces.push(piece.value);
      length += piece.value.length;
    }
    if (pieces.length === 0) return undefined;
    const whole = new Uint8Array(length);
    for (let i = 0, at = 0; i < pieces.length; at += pieces[i++].length) whole.set(pieces[i], at);
    const from = first * PIECE_LENGTH;
    return range ? whole.subarray(range.start - from, range.end - from) : whole;
  }

  /** Adds a short pack to an atomic, which reads the bytes when it is committed. Returns how many mutations that makes. */
  addTo(atomic: Deno.AtomicOperation, key: string, bytes: Bytes): number {
    return this.#add(atomic, key, bytes, 0);
  }

  async put(key: string, bytes: Bytes): Promise<void> {
    const copy = bytes.slice();
    const others: Promise<unknown>[] = [];
    const count = Math.ceil(copy.length / PIECE_LENGTH);
    for (let first = PIECES_PER_ATOMIC; first < count; first += PIECES_PER_ATOMIC) {
      const atomic = this.#kv.atomic();
      this.#add(atomic, key, copy, first);
      others.push(commit(atomic));
    }
    const failed = (await Promise.allSettled(others)).find(({ status }) => status === "rejected");
    if (failed) throw (failed as PromiseRejectedResult).reason;
    const atomic = this.#kv.atomic();
    this.#add(atomic, key, copy, 0);
    await commit(atomic);
  }

  async delete(key: string): Promise<void> {
    const atomic = this.#kv.atomic();
    for (let index = 0; index < MOST_PIECES; index++) atomic.delete(this.#piece(key, index));
    await commit(atomic);
  }

  /** Reads a piece of each pack: Deno KV lists no keys alone. */
  async *list(prefix: string): AsyncGenerator<string, void, void> {
    const end = [this.#prefix, "pack", prefix + "\x7f"];
    for (let start: Deno.KvKey = [this.#prefix, "pack", prefix];;) {
      let found: Deno.KvKey | undefined;
      for await (const { key } of this.#kv.list({ start, end }, { limit: 1 })) found = key;
      if (!found) return;
      const key = found[2] as string;
      if (found[3] === 0) yield key;
      start = this.#piece(key, MOST_PIECES);
    }
  }

  #piece(key: string, index: number): Deno.KvKey {
    return [this.#prefix, "pack", key, index];
  }

  /** Adds as many pieces to an atomic as it can hold, from this one on. */
  #add(atomic: Deno.AtomicOperation, key: string, bytes: Bytes, first: number): number {
    const end = Math.min(Math.ceil(bytes.length / PIECE_LENGTH), first + PIECES_PER_ATOMIC);
    for (let index = first; index < end; index++) {
      const start = index * PIECE_LENGTH;
      atomic.set(this.#piece(key, index), bytes.subarray(start, start + PIECE_LENGTH));
    }
    return end - first;
  }
}
