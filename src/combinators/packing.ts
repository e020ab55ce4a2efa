/**
 * What a packed store is made of, and how it makes packs. The defaults are for a disk or a database beside the program; a store far away
 * that counts requests wants others.
 */
import { type ByteStore, MAX_VALUE_LENGTH } from "../castore/byte_store.ts";
import type { FrameDecoder } from "../castore/stored_form.ts";
import type { Compacted, CompactOptions } from "./compaction.ts";
import type { FrameEncoder } from "./pack_frames.ts";
import type { PackBytes, PackIndex, StoredLength } from "./pack_index.ts";

/** How packs are made and read. */
export interface Packing {
  /** Length of a full pack in bytes, 64 KiB to 4 MiB (default). A value of more than half is kept by itself. */
  readonly packLength: number;
  /** Bytes of the longest pack that goes to `names`; default 48 KiB, which one entry of a Deno KV holds. */
  readonly smallPack: number;
  /**
   * Milliseconds without a new value after which packs that are not full are ended; default 2. Who waits for a last value waits
   * so long; a store that counts requests gets fewer and longer packs for it.
   */
  readonly linger: number;
  /** Milliseconds after which a pack is ended though values keep coming; default 100. */
  readonly maxAge: number;
  /** Packs read lately that are kept in memory, 1 to 64; default 4. */
  readonly packsKept: number;
  /** Bytes that readers should ask for ahead: `ByteStore.readAhead`. */
  readonly readAhead?: number;
}

/** What a packed store is made of. */
export interface PackedParts extends Partial<Packing> {
  /** Keeps the packs. */
  readonly bytes: PackBytes;
  /** Keeps small packs. */
  readonly names: ByteStore;
  readonly index: PackIndex;
  /** Who decompresses chunks, and who compresses those that are put; without the latter they are stored plain. */
  readonly frames?: { readonly decoder: FrameDecoder; readonly encoder?: FrameEncoder };
  /** Told now and then while an incomplete index is made anew: packs read, values found. */
  readonly onRebuild?: (packs: number, values: number) => void;
}

/** What a packed store takes, about. */
export interface PackedUse {
  readonly packs: number;
  readonly values: number;
  /** Bytes of the values as they are stored. */
  readonly live: number;
  /** Bytes of deleted values that `compact` can give back. */
  readonly dead: number;
}

/** A store of packs. */
export interface PackedStore extends ByteStore {
  readonly getStored: NonNullable<ByteStore["getStored"]>;
  /**
   * Gives back the room of deleted values. Reading and writing go on meanwhile; other processes may only read and add values.
   * Ended by the signal or a crash, it has done a part, and the next one goes on.
   */
  compact(options?: CompactOptions): Promise<Compacted>;
  /** What it takes. Looks at every entry of the index. */
  use(): Promise<PackedUse>;
  /** Plain bytes of the values that were put since it was opened, and of those among them that were not there yet. */
  readonly taken: { readonly offered: number; readonly added: number };
  /** The length of a value as it is stored, without reading it. */
  lengthOf(key: string): Promise<number | undefined>;
  /** As `list`, and of each value the bytes that it takes in its pack. */
  lengths(prefix: string): AsyncIterable<StoredLength>;
}

/** What all packs of an index are used for. */
export async function useOf(index: PackIndex): Promise<PackedUse> {
  const sum = { packs: 0, values: 0, live: 0, dead: 0 };
  for await (const { values, live, dead } of index.packs()) {
    sum.packs++;
    sum.values += values;
    sum.live += live;
    sum.dead += dead;
  }
  return sum;
}

const DEFAULTS: Packing = {
  ...{ packLength: MAX_VALUE_LENGTH, smallPack: 48 * 1024 },
  ...{ linger: 2, maxAge: 100, packsKept: 4 },
};
/** The shortest a full pack may be. */
const LEAST_PACK_LENGTH = 64 * 1024;
/** Milliseconds a pack may be kept open at most: who puts a value waits for it. */
const LONGEST_AGE = 60_000;
const MOST_PACKS_KEPT = 64;

/** The ways of a store made of these parts. Throws `RangeError`. */
export function packingOf(parts: Partial<Packing>): Packing {
  const {
    packLength = DEFAULTS.packLength,
    smallPack = DEFAULTS.smallPack,
    linger = DEFAULTS.linger,
    maxAge = DEFAULTS.maxAge,
    packsKept = DEFAULTS.packsKept,
  } = parts;
  if (!(packLength >= LEAST_PACK_LENGTH && packLength <= MAX_VALUE_LENGTH)) {
    throw new RangeError(
      `Cannot make packs of ${packLength} bytes: want ${LEAST_PACK_LENGTH} to ${MAX_VALUE_LENGTH}`,
    );
  }
  if (!(linger >= 0 && maxAge >= linger && maxAge <= LONGEST_AGE)) {
    throw new RangeError(
      `Cannot end packs after ${linger} ms without a value and ${maxAge} ms in all: want 0 to ${LONGEST_AGE}, in order`,
    );
  }
  if (!(packsKept >= 1 && packsKept <= MOST_PACKS_KEPT)) {
    throw new RangeError(`Cannot keep ${packsKept} packs in memory: want 1 to ${MOST_PACKS_KEPT}`);
  }
  return { packLength, smallPack, linger, maxAge, packsKept, readAhead: parts.readAhead };
}
