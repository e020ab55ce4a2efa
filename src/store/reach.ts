/**
 * Which stored values can be reached from paths: each visited once, however many paths share it. About 50 bytes a value.
 */
import type { ByteStore } from "../castore/byte_store.ts";
import type { Digest } from "../castore/digest.ts";
import { DigestTable } from "../castore/digest_table.ts";
import type { Node } from "../castore/node.ts";
import { type ContentsVisitor, lookAtFile, lookAtPressed, type ValueKind, walkContents } from "./contents.ts";
import { pressedName } from "./pressed_nar.ts";

export class Reach implements ContentsVisitor {
  #bytes: ByteStore;
  #signal: AbortSignal | undefined;
  #directories = new DigestTable();
  /** Lists; an outboard belongs to a list and has its digest. */
  #lists = new DigestTable();
  /** Only to be counted. */
  #outboards = new DigestTable();
  #chunks = new DigestTable();
  #pressed = new DigestTable();
  #broken = new DigestTable();

  constructor(bytes: ByteStore, signal?: AbortSignal) {
    this.#bytes = bytes;
    this.#signal = signal;
  }

  /** Values reached. */
  get size(): number {
    return this.#directories.size + this.#lists.size + this.#outboards.size + this.#chunks.size +
      this.#pressed.size;
  }

  /** Files and Directories that should be there and are not, or are damaged. */
  get brokenCount(): number {
    return this.#broken.size;
  }

  has(kind: ValueKind, digest: Uint8Array): boolean {
    return this.#tableOf(kind).has(digest);
  }

  /** Reaches all a node speaks of, and its NAR as it was pressed. */
  async add(node: Node): Promise<void> {
    await walkContents(this.#bytes, node, this, this.#signal);
    const name = pressedName(node);
    if (!this.#pressed.has(name)) await lookAtPressed(this.#bytes, name, this);
  }

  /** Reaches what is there of what a node speaks of. */
  async addPartly(node: Node): Promise<void> {
    await walkContents(this.#bytes, node, this.#partly(), this.#signal);
  }

  /** Reaches all that a stored value stands for: of a list or pressed NAR its chunks, of a Directory what is below it. */
  async addValue(kind: ValueKind, digest: Digest): Promise<void> {
    const visitor = this.#partly();
    if (kind === "dir") {
      await walkContents(this.#bytes, { type: "directory", digest, size: 0n }, visitor, this.#signal);
    } else if (kind === "chunk") this.#chunks.add(digest);
    else if (kind === "pressed") await lookAtPressed(this.#bytes, digest, visitor);
    else if (!this.#lists.has(digest)) await lookAtFile(this.#bytes, digest, undefined, visitor);
  }

  /** This, for what may lack a part. */
  #partly(): ContentsVisitor {
    return {
      enter: (kind, digest) => this.enter(kind, digest),
      value: (kind, digest) => this.value(kind, digest),
      broken() {},
    };
  }

  enter(kind: "dir" | "file", digest: Digest): boolean {
    if (kind === "dir") return this.#directories.add(digest);
    return !this.#chunks.has(digest) && !this.#lists.has(digest);
  }

  value(kind: ValueKind, digest: Digest): void {
    if (kind === "outboard") this.#outboards.add(digest);
    this.#tableOf(kind).add(digest);
  }

  broken(_kind: "dir" | "file", digest: Digest): void {
    this.#broken.add(digest);
  }

  #tableOf(kind: ValueKind): DigestTable {
    if (kind === "pressed") return this.#pressed;
    return kind === "dir" ? this.#directories : kind === "chunk" ? this.#chunks : this.#lists;
  }
}
