/** Whose contents root nodes are, as far as paths were asked for or published here: so that messages can name the path. */
import { toHex } from "../bytes/hex.ts";
import { Lru } from "../bytes/lru.ts";
import { formatDigest } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import { formatStorePath, type StorePath } from "../nix/store_path.ts";
import type { PathInfo } from "../store/path_info.ts";
import { pressedName } from "../store/pressed_nar.ts";

/** Paths remembered. */
const MOST = 100_000;

export class RootOwners {
  #paths = new Lru<string, StorePath>(MOST);

  remember({ node, storePath }: Pick<PathInfo, "node" | "storePath">): void {
    this.#paths.set(toHex(pressedName(node)), storePath, 1);
  }

  /** Whether the node is known to be that of a path. */
  has(node: Node): boolean {
    return this.#paths.get(toHex(pressedName(node))) !== undefined;
  }

  /** The path, or else what names the contents. */
  nameOf(node: Node): string {
    const path = this.#paths.get(toHex(pressedName(node)));
    if (path) return formatStorePath(path);
    return node.type === "symlink" ? "a symlink" : `${node.type} ${formatDigest(node.digest)}`;
  }
}
