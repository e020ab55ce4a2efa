/** The chaining values of a blob's groups, and what follows from them: its outboard (see `bao_tree.ts`) and its digest. */
import type { Bytes } from "../bytes/bytes.ts";
import { leftGroups, PARENT_LENGTH } from "./bao_tree.ts";
import { parentValue, rootDigest } from "./blake3_tree.ts";

const VALUE_LENGTH = PARENT_LENGTH / 2;

/** Values of groups, which may come in any order. */
export class GroupValues {
  /** The value of each group, in order; there is room for more. */
  #values: Bytes = new Uint8Array(64 * VALUE_LENGTH);

  /** Notes the values of groups that follow each other: 32 bytes each. */
  set(first: number, values: Uint8Array): void {
    const at = VALUE_LENGTH * first;
    let room = this.#values.length;
    while (at + values.length > room) room *= 2;
    if (room > this.#values.length) {
      const larger = new Uint8Array(room);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values.set(values, at);
  }

  /** The digest and the outboard of a blob of so many groups, two or more, all of whose values are here. */
  merge(groups: number): { digest: Bytes; outboard: Bytes } {
    const outboard = new Uint8Array(PARENT_LENGTH * (groups - 1));
    return { digest: this.#merge(outboard, 0, groups, 0, rootDigest), outboard };
  }

  /** The value of these groups. Their parents are written to the outboard from its parent number `parent` on. */
  #merge(
    outboard: Bytes,
    first: number,
    groups: number,
    parent: number,
    valueOf: typeof parentValue,
  ): Bytes {
    if (groups === 1) return this.#values.subarray(VALUE_LENGTH * first, VALUE_LENGTH * (first + 1));
    const half = leftGroups(groups);
    const left = this.#merge(outboard, first, half, parent + 1, parentValue);
    const right = this.#merge(outboard, first + half, groups - half, parent + half, parentValue);
    outboard.set(left, PARENT_LENGTH * parent);
    outboard.set(right, PARENT_LENGTH * parent + VALUE_LENGTH);
    return valueOf(left, right);
  }
}
