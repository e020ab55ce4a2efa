/**
 * What the store keeps in Deno KV:
 *
 *   [prefix, "value", key]             the value (Uint8Array) when it is short, else {@link LongHead}
 *   [prefix, "piece", version, index]  60 KiB of a long value, the last piece less
 *   [prefix, "draft", version]         how many pieces may be there that no value refers to (yet, or any more)
 *
 * A long value is written as draft and pieces and made visible by one atomic that sets the head and removes the draft.
 * Replacing it sets the head and a draft for the old pieces, which are removed afterwards. So whenever a process dies,
 * a reader finds one whole value, and every piece without a head has a draft that says so.
 */

/** What is needed of a `Deno.Kv`. */
export type KvLike = Pick<Deno.Kv, "get" | "getMany" | "list" | "atomic">;

/** The longest value kept in its head and the length of a piece: Deno KV's 65,536 bytes, less what it adds itself. */
export const PIECE_LENGTH = 60 * 1024;

/** The head of a long value. */
export interface LongHead {
  readonly version: string;
  /** Bytes of the value. */
  readonly length: number;
}

/** What stands at the key of a value. */
export type Head = Uint8Array<ArrayBuffer> | LongHead;

/** A head as it was read, or `{ value: null, versionstamp: null }` with its key for one that is not there. */
export type HeadEntry = Deno.KvEntryMaybe<Head>;

/** The long value that a head refers to. */
export function longHead(entry: HeadEntry): LongHead | undefined {
  return entry.value === null || entry.value instanceof Uint8Array ? undefined : entry.value;
}

/** How many pieces a long value has. */
export function pieceCount({ length }: LongHead): number {
  return Math.ceil(length / PIECE_LENGTH);
}

/** The keys of one store. */
export class Keys {
  constructor(readonly prefix: string) {}

  head(key: string): Deno.KvKey {
    return [this.prefix, "value", key];
  }

  piece(version: string, index: number): Deno.KvKey {
    return [this.prefix, "piece", version, index];
  }

  draft(version: string): Deno.KvKey {
    return [this.prefix, "draft", version];
  }
}

/** A new version; versions sort by the time they were made. */
export function newVersion(): string {
  return versionAt(Date.now()) + "-" + crypto.randomUUID();
}

/** What versions made at this time (in milliseconds) begin with. */
export function versionAt(time: number): string {
  return time.toString(16).padStart(12, "0");
}
