/**
 * Values too long for one entry, in pieces that nobody sees until a head refers to them.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import type { ByteRange } from "../../castore/byte_store.ts";
import { commit } from "./commit.ts";
import {
  type Keys,
  type KvLike,
  type LongHead,
  newVersion,
  PIECE_LENGTH,
  pieceCount,
  versionAt,
} from "./records.ts";

/** Pieces to an atomic: 798,720 of the 819,200 bytes it may have. */
const PIECES_PER_ATOMIC = 13;

/** Pieces that are written and that no head refers to yet. */
export interface StagedValue {
  readonly head: LongHead;
  readonly draft: { readonly key: Deno.KvKey; readonly versionstamp: string };
}

/** The long values of one store. */
export class LongValues {
  constructor(readonly kv: KvLike, readonly keys: Keys) {}

  /** Writes the pieces and their draft. */
  async stage(value: Bytes): Promise<StagedValue> {
    const head = { version: newVersion(), length: value.length };
    try {
      // The draft is in the first atomic, so it is there before any piece without a head.
      const first = this.#pieces(head, value, 0);
      this.retire(first, head);
      const draft = { key: this.keys.draft(head.version), versionstamp: (await commit(first))! };
      const writes = [];
      for (let index = PIECES_PER_ATOMIC; index < pieceCount(head); index += PIECES_PER_ATOMIC) {
        // If the draft was swept meanwhile, these must not be written, and publishing will fail for the same reason.
        writes.push(commit(this.#pieces(head, value, index).check(draft)));
      }
      const failed = (await Promise.allSettled(writes)).find((write) => write.status === "rejected");
      if (failed) throw failed.reason;
      return { head, draft };
    } catch (error) {
      await this.discard(head);
      throw error;
    }
  }

  /** Adds to an atomic that sets the head: the pieces belong to it. The check fails if they were swept meanwhile. */
  publish(atomic: Deno.AtomicOperation, { draft }: StagedValue): void {
    atomic.check(draft).delete(draft.key);
  }

  /** Removes pieces that were not published. Does nothing if they were after all, and the answer got lost. */
  async abandon({ head, draft }: StagedValue): Promise<void> {
    await this.#remove(head.version, pieceCount(head), this.kv.atomic().check(draft)).catch(leaveToSweep);
  }

  /** Adds to an atomic that the pieces belong to no value any more. */
  retire(atomic: Deno.AtomicOperation, head: LongHead): void {
    atomic.set(this.keys.draft(head.version), pieceCount(head));
  }

  /** Removes pieces that no head refers to. */
  async discard(head: LongHead): Promise<void> {
    await this.#remove(head.version, pieceCount(head), this.kv.atomic()).catch(leaveToSweep);
  }

  /** The bytes of a range, or `undefined` when pieces are missing: the value was replaced meanwhile. */
  async read({ version, length }: LongHead, range: ByteRange): Promise<Bytes | undefined> {
    const start = Math.min(range.start, length);
    const end = Math.max(start, Math.min(range.end, length));
    const bytes = new Uint8Array(end - start);
    if (bytes.length === 0) return bytes;
    const first = Math.floor(start / PIECE_LENGTH);
    const last = Math.floor((end - 1) / PIECE_LENGTH);
    const count = last - first + 1;
    const pieces = this.kv.list<Bytes>(
      { start: this.keys.piece(version, first), end: this.keys.piece(version, last + 1) },
      { limit: count, batchSize: count },
    );
    let index = first;
    for await (const { key, value } of pieces) {
      if (key.at(-1) !== index) return undefined;
      const from = Math.max(0, start - index * PIECE_LENGTH);
      const piece = value.subarray(from, end - index * PIECE_LENGTH);
      bytes.set(piece, index * PIECE_LENGTH + from - start);
      index++;
    }
    return index === last + 1 ? bytes : undefined;
  }

  /** Removes the pieces of drafts that were begun before this time (in milliseconds). Returns how many drafts. */
  async sweep(before: number): Promise<number> {
    let swept = 0;
    const drafts = this.kv.list<number>({
      start: this.keys.draft(""),
      end: this.keys.draft(versionAt(before)),
    });
    for await (const draft of drafts) {
      // The check lets one win who publishes it at this moment after all.
      if (await this.#remove(draft.key.at(-1) as string, draft.value, this.kv.atomic().check(draft))) swept++;
    }
    return swept;
  }

  /** An atomic that writes as many pieces as it can hold, from this one on. */
  #pieces(head: LongHead, value: Bytes, first: number): Deno.AtomicOperation {
    const atomic = this.kv.atomic();
    const end = Math.min(pieceCount(head), first + PIECES_PER_ATOMIC);
    for (let index = first; index < end; index++) {
      const start = index * PIECE_LENGTH;
      atomic.set(this.keys.piece(head.version, index), value.subarray(start, start + PIECE_LENGTH));
    }
    return atomic;
  }

  async #remove(version: string, count: number, atomic: Deno.AtomicOperation): Promise<boolean> {
    for (let index = 0; index < count; index++) atomic.delete(this.keys.piece(version, index));
    return await commit(atomic.delete(this.keys.draft(version))) !== undefined;
  }
}

/** What could not be removed keeps its draft, which is how {@link LongValues.sweep} finds it. */
function leaveToSweep(): void {}
