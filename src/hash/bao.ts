/** Makes outboards (their format is that of `bao_tree.ts`) while blobs are hashed: each byte is hashed once. */
import type { Bytes } from "../bytes/bytes.ts";
import { type ByteSource, iterate } from "../bytes/streams.ts";
import { type Bao, type BaoShape, groupLength, leftGroups, PARENT_LENGTH } from "./bao_tree.ts";
import { blake3 } from "./blake3.ts";
import { CHUNK_LENGTH, parentValue, rootDigest, subtreeValue } from "./blake3_tree.ts";
import type { Hasher } from "./hasher.ts";

const VALUE_LENGTH = PARENT_LENGTH / 2;

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
  /** The chaining value of each group, in order; there is room for more. */
  #values: Bytes = new Uint8Array(64 * VALUE_LENGTH);
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
    this.#outboard = new Uint8Array(PARENT_LENGTH * (this.#groups - 1));
    return this.#merge(0, this.#groups, 0, rootDigest);
  }

  outboard(): Bytes {
    if (!this.#outboard) throw new TypeError("Cannot give the outboard: call digest() first");
    return this.#outboard;
  }

  #add(group: Bytes): void {
    const at = VALUE_LENGTH * this.#groups;
    if (at === this.#values.length) {
      const larger = new Uint8Array(2 * at);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values.set(subtreeValue(group, this.#groups * (this.#length / CHUNK_LENGTH)), at);
    this.#groups++;
  }

  /** The value of these groups. Their parents are written to the outboard from its parent number `parent` on. */
  #merge(first: number, groups: number, parent: number, valueOf: typeof parentValue): Bytes {
    if (groups === 1) return this.#values.subarray(VALUE_LENGTH * first, VALUE_LENGTH * (first + 1));
    const half = leftGroups(groups);
    const left = this.#merge(first, half, parent + 1, parentValue);
    const right = this.#merge(first + half, groups - half, parent + half, parentValue);
    this.#outboard!.set(left, PARENT_LENGTH * parent);
    this.#outboard!.set(right, PARENT_LENGTH * parent + VALUE_LENGTH);
    return valueOf(left, right);
  }
}
