/**
 * Finds what a NAR refers to: hash parts of store paths in a stream of bytes.
 *
 *   match := 32 characters of Nix's base 32, `-`, a character lawful in a store path name
 *
 * It may stand anywhere, also after more characters of base 32 (then the last 32 count). What precedes it is not
 * looked at, as in Nix, so that paths in other store directories and bare `<hash>-<name>` are found.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { NIXBASE32_ALPHABET } from "../bytes/nixbase32.ts";
import { HASH_PART_LENGTH } from "./store_path.ts";

/** Distinct hash parts collected, unless told otherwise. Beyond it the content is not made of references. */
export const DEFAULT_REFERENCE_LIMIT = 16_384;

const DASH = 0x2d;
const MATCH_LENGTH = HASH_PART_LENGTH + 2;
/** Bytes of a piece that the beginning of a match may be in. */
const TAIL_LENGTH = MATCH_LENGTH - 1;

const IN_HASH_PART = characterTable(NIXBASE32_ALPHABET);
const IN_NAME = characterTable("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+-._?=");

function characterTable(characters: string): Uint8Array {
  const table = new Uint8Array(256);
  for (let i = 0; i < characters.length; i++) table[characters.charCodeAt(i)] = 1;
  return table;
}

/** Collects the distinct hash parts in a stream given piece by piece. */
export class ReferenceScanner {
  readonly #found = new Set<string>();
  readonly #limit: number;
  #overflowed = false;
  /** The last bytes of the stream, and room for as many of the next piece. */
  readonly #seam: Bytes = new Uint8Array(2 * TAIL_LENGTH);
  #tail = 0;

  /** @param options.limit distinct hash parts to collect at most */
  constructor(options: { limit?: number } = {}) {
    this.#limit = options.limit ?? DEFAULT_REFERENCE_LIMIT;
  }

  /** The hash parts so far. */
  get found(): ReadonlySet<string> {
    return this.#found;
  }

  /** Whether there were more than the limit; then `found` holds the first of them, and scanning has stopped. */
  get overflowed(): boolean {
    return this.#overflowed;
  }

  /** Scans the next piece. It is read before this returns: the caller may reuse it. */
  update(bytes: Bytes): void {
    if (this.#overflowed) return;
    const seam = this.#seam;
    const head = Math.min(bytes.length, TAIL_LENGTH);
    seam.set(bytes.subarray(0, head), this.#tail);
    const filled = this.#tail + head;
    this.#scan(seam, filled);
    if (bytes.length >= TAIL_LENGTH) {
      this.#scan(bytes, bytes.length);
      seam.set(bytes.subarray(bytes.length - TAIL_LENGTH));
      this.#tail = TAIL_LENGTH;
    } else {
      this.#tail = Math.min(filled, TAIL_LENGTH);
      seam.copyWithin(0, filled - this.#tail, filled);
    }
  }

  /**
   * Looks at the last character of each window first, as Boyer and Moore do: one outside the alphabet rules out the
   * 32 windows it is in. Otherwise it walks back to the nearest such character; what it walked over is known to be
   * of the alphabet and not looked at again, so no content makes it look at a byte twice.
   */
  #scan(bytes: Bytes, length: number): void {
    const last = length - 3; // where the last character of a hash part may stand
    let known = 0; // [start of the window, known) is of the alphabet
    let end = HASH_PART_LENGTH - 1;
    while (end <= last) {
      if (IN_HASH_PART[bytes[end]] === 0) {
        end += HASH_PART_LENGTH;
        continue;
      }
      const first = Math.max(end - HASH_PART_LENGTH + 1, known);
      let at = end - 1;
      while (at >= first && IN_HASH_PART[bytes[at]] !== 0) at--;
      if (at >= first) {
        known = end + 1;
        end = at + HASH_PART_LENGTH;
        continue;
      }
      let after = end + 1;
      while (after <= last && IN_HASH_PART[bytes[after]] !== 0) after++;
      if (bytes[after] === DASH && IN_NAME[bytes[after + 1]] !== 0) {
        this.#add(bytes, after);
        if (this.#overflowed) return;
      }
      end = after + HASH_PART_LENGTH;
    }
  }

  #add(bytes: Bytes, end: number): void {
    let hashPart = "";
    for (let i = end - HASH_PART_LENGTH; i < end; i += 8) {
      // deno-fmt-ignore -- several times faster than spreading, which counts where every line has a reference
      hashPart += String.fromCharCode(
        bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3], bytes[i + 4], bytes[i + 5], bytes[i + 6], bytes[i + 7],
      );
    }
    if (this.#found.size < this.#limit || this.#found.has(hashPart)) this.#found.add(hashPart);
    else this.#overflowed = true;
  }
}
