/**
 * Digests by the million: each once, numbered from 0 in the order they came. About 50 bytes a digest: 32 for itself, 8 to 16
 * for finding it, where a Set of texts would take 150.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { DIGEST_LENGTH } from "./digest.ts";

/** Digests in a block. */
const BLOCK = 32 * 1024;

export class DigestTable {
  #blocks: Bytes[] = [];
  /** Number of a digest, plus 1; a power of two of them, half of them free at least. */
  #slots = new Uint32Array(1024);
  #size = 0;
  /** So that nobody can choose contents whose digests all begin to be looked for in one place. */
  #salt = crypto.getRandomValues(new Uint32Array(1))[0] | 1;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** The number of a digest, or -1. */
  indexOf(digest: Uint8Array): number {
    return this.#slots[this.#slotOf(digest)] - 1;
  }

  has(digest: Uint8Array): boolean {
    return this.#slots[this.#slotOf(digest)] !== 0;
  }

  /** Adds a digest. Returns whether it is new; then its number is the size before. The bytes are copied. */
  add(digest: Uint8Array): boolean {
    const slot = this.#slotOf(digest);
    if (this.#slots[slot] !== 0) return false;
    const block = Math.floor(this.#size / BLOCK);
    this.#blocks[block] ??= new Uint8Array(BLOCK * DIGEST_LENGTH);
    this.#blocks[block].set(digest, this.#size % BLOCK * DIGEST_LENGTH);
    this.#slots[slot] = ++this.#size;
    if (this.#size * 2 > this.#slots.length) this.#grow();
    return true;
  }

  /** The slot of a digest, or the free one where it would go. */
  #slotOf(digest: Uint8Array): number {
    if (digest.length !== DIGEST_LENGTH) {
      throw new TypeError(`Cannot look up a digest of ${digest.length} bytes`);
    }
    const mask = this.#slots.length - 1;
    for (let slot = this.#hash(digest, 0) & mask;; slot = (slot + 1) & mask) {
      const number = this.#slots[slot];
      if (number === 0 || this.#isAt(number - 1, digest)) return slot;
    }
  }

  #isAt(index: number, digest: Uint8Array): boolean {
    const block = this.#blocks[Math.floor(index / BLOCK)];
    const at = index % BLOCK * DIGEST_LENGTH;
    for (let i = 0; i < DIGEST_LENGTH; i++) if (block[at + i] !== digest[i]) return false;
    return true;
  }

  #hash(bytes: Uint8Array, at: number): number {
    const word = bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24;
    const mixed = Math.imul(word ^ this.#salt, 0x9e3779b1);
    return (mixed ^ mixed >>> 15) >>> 0;
  }

  #grow(): void {
    const slots = new Uint32Array(this.#slots.length * 2);
    const mask = slots.length - 1;
    for (let index = 0; index < this.#size; index++) {
      const block = this.#blocks[Math.floor(index / BLOCK)];
      let slot = this.#hash(block, index % BLOCK * DIGEST_LENGTH) & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = index + 1;
    }
    this.#slots = slots;
  }
}
