/**
 * Checking that a stream of Directories is a closure: leaves first, or root first. Sizes may follow either rule of
 * `directorySize`, but one closure must keep to one rule.
 */
import { toHex } from "../bytes/hex.ts";
import { quoteName } from "../bytes/names.ts";
import { FormatError } from "../errors.ts";
import { type Digest, formatDigest } from "./digest.ts";
import { type Directory, directorySize, SIZE_RULES, type SizeRule } from "./directory.ts";

/**
 * Takes Directories leaves first and answers whether they make a closure. Memory: two numbers and a digest for each
 * distinct Directory.
 */
export class LeavesFirstCheck {
  #sizes = new Map<string, Record<SizeRule, bigint>>();
  #unreferenced = new Set<string>();
  #rules = new Set(SIZE_RULES);
  #last: { digest: Digest; key: string } | undefined;

  /** Throws {@link FormatError} if a child did not come before, or a size follows neither rule. */
  add(directory: Directory, digest: Digest): void {
    const key = toHex(digest);
    for (const { name, node } of directory.items) {
      if (node.type !== "directory") continue;
      const child = toHex(node.digest);
      const sizes = this.#sizes.get(child);
      if (!sizes) {
        throw new FormatError(
          "closure",
          `Cannot store the Directories: ${quoteName(name)} refers to ${
            formatDigest(node.digest)
          }, which did not come before`,
        );
      }
      for (const rule of this.#rules) if (sizes[rule] !== node.size) this.#rules.delete(rule);
      if (this.#rules.size === 0) {
        throw new FormatError(
          "closure",
          `Cannot store the Directories: ${
            quoteName(name)
          } has the wrong size, ${node.size} where the Directory it ` +
            `refers to has ${sizes.documented} (or ${sizes.snix} by the rule of snix)`,
        );
      }
      this.#unreferenced.delete(child);
    }
    if (!this.#sizes.has(key)) {
      this.#sizes.set(key, {
        documented: directorySize(directory, "documented"),
        snix: directorySize(directory, "snix"),
      });
      this.#unreferenced.add(key);
    }
    this.#last = { digest, key };
  }

  /** The root's digest. Throws {@link FormatError} if there is none, or Directories not connected to it. */
  root(): Digest {
    if (!this.#last) throw new FormatError("closure", "Cannot store the Directories: there are none");
    if (this.#unreferenced.size !== 1 || !this.#unreferenced.has(this.#last.key)) {
      throw new FormatError(
        "closure",
        "Cannot store the Directories: they are not all connected to the last one",
      );
    }
    return this.#last.digest;
  }
}
