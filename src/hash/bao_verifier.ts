/** Verifies the nodes of a tree (see `bao_tree.ts`) in pre-order, from its digest down. */
import { type Bytes, equals } from "../bytes/bytes.ts";
import { PARENT_LENGTH } from "./bao_tree.ts";
import type { BaoGroup, BaoParent } from "./bao_tree.ts";
import { blake3 } from "./blake3.ts";
import { CHUNK_LENGTH, parentValue, rootDigest, subtreeValue } from "./blake3_tree.ts";

export class BaoVerifier {
  /** What the nodes to come must have as their values, the next one last. */
  #expected: Uint8Array[];

  constructor(digest: Uint8Array) {
    this.#expected = [digest];
  }

  /**
   * Whether these bytes are the next selected node. A group's place is proven, too: it goes into the value. After
   * `false` the verifier must not be used again.
   */
  accepts(node: BaoParent | BaoGroup, bytes: Bytes): boolean {
    const expected = this.#expected.pop()!;
    if (node.kind === "group") {
      const value = node.isRoot ? blake3(bytes) : subtreeValue(bytes, node.start / CHUNK_LENGTH);
      return equals(value, expected);
    }
    const left = bytes.slice(0, PARENT_LENGTH / 2);
    const right = bytes.slice(PARENT_LENGTH / 2);
    if (!equals(node.isRoot ? rootDigest(left, right) : parentValue(left, right), expected)) return false;
    if (node.right) this.#expected.push(right);
    if (node.left) this.#expected.push(left);
    return true;
  }
}
