/**
 * Whose the stored values are: each belongs to the one path that has it, or is shared. First whose they are is told, and how long
 * they are; then how much room each takes. About 60 bytes a value.
 */
import type { Digest } from "../castore/digest.ts";
import { DigestTable } from "../castore/digest_table.ts";
import type { ContentsVisitor, ValueKind } from "./contents.ts";

/** Kinds of contents. Runs are chunks, but of pressed NARs alone: they repeat what other chunks hold. */
export type ContentsKind = ValueKind | "run";

/** Distinct values. */
export interface Contents {
  readonly values: number;
  /** Bytes of their plain forms. */
  readonly bytes: number;
  /** Bytes they take as they are stored, compressed or not. */
  readonly stored: number;
}

/** Of more than one owner. */
const SHARED = 0xffffffff;
/** Not found yet, though a Directory refers to it. */
const UNKNOWN = 0xffffffff;

/** Values of one kind. */
class Owned {
  readonly digests = new DigestTable();
  #owners = new Uint32Array(1024);
  #lengths = new Uint32Array(1024);
  /** Those that were found first, and from `beginLate` on. */
  readonly early = { values: 0, bytes: 0, stored: 0 };
  readonly late = { values: 0, bytes: 0, stored: 0 };
  #firstLate = Infinity;

  beginLate(): void {
    this.#firstLate = this.digests.size;
  }

  ownerOf(digest: Digest): number | undefined {
    const index = this.digests.indexOf(digest);
    return index < 0 ? undefined : this.#owners[index];
  }

  /** One owner more. Its length, where it is known: only then it counts. */
  take(digest: Digest, owner: number, length?: number): void {
    let index = this.digests.indexOf(digest);
    if (index < 0) {
      index = this.digests.size;
      this.digests.add(digest);
      this.#grow();
      this.#owners[index] = owner;
      this.#lengths[index] = UNKNOWN;
      this.#amountOf(index).values++;
    }
    if (length !== undefined && this.#lengths[index] === UNKNOWN) {
      this.#lengths[index] = length;
      this.#amountOf(index).bytes += length;
    }
    if (this.#owners[index] !== owner) this.#owners[index] = SHARED;
  }

  /** So much room one of them takes. Returns its owner, if there is one. */
  stored(digest: Digest, length: number): number | undefined {
    const index = this.digests.indexOf(digest);
    if (index < 0) return undefined;
    this.#amountOf(index).stored += length;
    return this.#owners[index];
  }

  #amountOf(index: number): { values: number; bytes: number; stored: number } {
    return index < this.#firstLate ? this.early : this.late;
  }

  #grow(): void {
    if (this.digests.size <= this.#owners.length) return;
    for (const name of ["owners", "lengths"] as const) {
      const old = name === "owners" ? this.#owners : this.#lengths;
      const grown = new Uint32Array(old.length * 2);
      grown.set(old);
      if (name === "owners") this.#owners = grown;
      else this.#lengths = grown;
    }
  }
}

/** Told of all contents, one owner after the other, and then once of each stored value. */
export class Owners implements ContentsVisitor {
  /** Who is being walked over. */
  owner = 0;
  /** Stored bytes that are of one owner only. */
  readonly own: Float64Array;
  readonly kinds: Record<ValueKind, Owned> = {
    chunk: new Owned(),
    blob: new Owned(),
    outboard: new Owned(),
    dir: new Owned(),
    pressed: new Owned(),
  };
  #broken = new DigestTable();

  /** @param owners how many there are */
  constructor(owners: number) {
    this.own = new Float64Array(owners);
  }

  get size(): number {
    return Object.values(this.kinds).reduce((sum, { digests }) => sum + digests.size, 0);
  }

  /** All contents were told of: chunks that were not are runs. */
  beginRuns(): void {
    this.kinds.chunk.beginLate();
  }

  get contents(): Record<ContentsKind, Contents> {
    const { chunk, blob, outboard, dir, pressed } = this.kinds;
    return {
      ...{ chunk: chunk.early, run: chunk.late, pressed: pressed.early },
      ...{ blob: blob.early, outboard: outboard.early, dir: dir.early },
    };
  }

  get brokenCount(): number {
    return this.#broken.size;
  }

  enter(kind: "dir" | "file", digest: Digest): boolean {
    if (kind === "dir") {
      const owner = this.kinds.dir.ownerOf(digest);
      if (owner === this.owner || owner === SHARED) return false;
      this.kinds.dir.take(digest, this.owner);
      return true;
    }
    const owner = this.kinds.chunk.ownerOf(digest) ?? this.kinds.blob.ownerOf(digest);
    return owner !== this.owner && owner !== SHARED;
  }

  value(kind: ValueKind, digest: Digest, length: number): void {
    this.kinds[kind].take(digest, this.owner, length);
  }

  broken(_kind: "dir" | "file", digest: Digest): void {
    this.#broken.add(digest);
  }

  /** A stored value, and the bytes that it takes; false if nobody owns it. */
  stored(kind: ValueKind, digest: Digest, length: number): boolean {
    const owner = this.kinds[kind].stored(digest, length);
    if (owner === undefined) return false;
    if (owner !== SHARED) this.own[owner] += length;
    return true;
  }
}
