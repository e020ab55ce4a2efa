/** Makes outboards (their format is that of `bao_tree.ts`) while blobs are hashed: each byte is hashed once. */
import type { Bytes } from "../bytes/bytes.ts";
import { type ByteSource, iterate } from "../bytes/streams.ts";
import { type Bao, type BaoShape, groupLength } from "./bao_tree.ts";
import { blake3 } from "./blake3.ts";
import { CHUNK_LENGTH, subtreeValue } from "./blake3_tree.ts";
import { GroupValues } from "./group_values.ts";
import type { Hasher } from "./hasher.ts";

/** A BLAKE3 hash in progress that finds the outboard, too. */
export interface BaoHasher extends Hasher {
  /** The outboard. Throws `TypeError` before `digest` was called. */
  outboard(): Bytes;
}

/** Starts to hash a blob. A hasher holds 32 bytes for each group it has seen, and the bytes of one group. */
export function createBao(shape?: BaoShape): BaoHasher {
  return new Outboarder(groupLength(shape));
}

/** Hashes a blob. What the source throws is passed on. Throws `RangeError` for a wrong shape. */
export async function outboardOf(source: Bytes | ByteSource, shape: BaoShape = {}): Promise<Bao> {
  const hasher = createBao(shape);
  let size = 0;
  for await (const piece of iterate(source instanceof Uint8Array ? [source] : source)) {
    hasher.update(piece);
    size += piece.length;
  }
  return { digest: hasher.digest(), size, outboard: hasher.outboard(), groupLog: shape.groupLog };
}

class Outboarder implements BaoHasher {
  #length: number;
  /** Bytes not hashed yet. The last group waits here, because one that is alone is hashed in another way. */
  #rest: Bytes;
  #fill = 0;
  #values = new GroupValues();
  #groups = 0;
  #outboard: Bytes | undefined;

  constructor(length: number) {
    this.#length = length;
    this.#rest = new Uint8Array(length);
  }

  update(bytes: Bytes): void {
    let at = 0;
    if (this.#fill > 0) {
      at = Math.min(this.#length - this.#fill, bytes.length);
      this.#rest.set(bytes.subarray(0, at), this.#fill);
      this.#fill += at;
      if (at === bytes.length) return;
      this.#add(this.#rest);
      this.#fill = 0;
    }
    for (; bytes.length - at > this.#length; at += this.#length) {
      this.#add(bytes.subarray(at, at + this.#length));
    }
    this.#rest.set(bytes.subarray(at));
    this.#fill = bytes.length - at;
  }

  digest(): Bytes {
    const last = this.#rest.subarray(0, this.#fill);
    if (this.#groups === 0) {
      this.#outboard = new Uint8Array(0);
      return blake3(last);
    }
    this.#add(last);
    const { digest, outboard } = this.#values.merge(this.#groups);
    this.#outboard = outboard;
    return digest;
  }

  outboard(): Bytes {
    if (!this.#outboard) throw new TypeError("Cannot give the outboard: call digest() first");
    return this.#outboard;
  }

  #add(group: Bytes): void {
    this.#values.set(this.#groups, subtreeValue(group, this.#groups * (this.#length / CHUNK_LENGTH)));
    this.#groups++;
  }
}
