/**
 * Path infos in a ByteStore, one value each.
 */
import type { ByteStore } from "../castore/byte_store.ts";
import { pathKey } from "../castore/layout.ts";
import { ConflictError } from "../errors.ts";
import { formatContentAddress } from "../nix/content_address.ts";
import { formatNixHash } from "../nix/hash_text.ts";
import { formatStorePath, sortStorePaths, storePathBase } from "../nix/store_path.ts";
import { decodeStoredPath, encodeStoredPath } from "./messages.ts";
import { mergeSignatures, type PathInfo } from "./path_info.ts";
import type { PathInfoService } from "./path_info_service.ts";

/** A {@link PathInfoService} that keeps its path infos in a ByteStore (the `names` of a home). */
export function pathInfosOver(names: ByteStore): PathInfoService {
  return new PathInfosOver(names);
}

class PathInfosOver implements PathInfoService {
  #names: ByteStore;

  constructor(names: ByteStore) {
    this.#names = names;
  }

  async get(hashPart: string): Promise<PathInfo | undefined> {
    const value = await this.#names.get(pathKey(hashPart));
    return value && decodeStoredPath(value);
  }

  async put(info: PathInfo): Promise<PathInfo> {
    const stored = await this.#names.update(pathKey(info.storePath.hashPart), (current) => {
      if (!current) return encodeStoredPath({ ...info, signatures: mergeSignatures([], info.signatures) });
      const before = decodeStoredPath(current);
      const difference = differenceOf(before, info);
      if (difference) {
        throw new ConflictError(
          `Cannot change ${
            formatStorePath(info.storePath)
          }: ${difference.field} is ${difference.before} and would become ` +
            `${difference.after}; only signatures can be added`,
        );
      }
      const signatures = mergeSignatures(before.signatures, info.signatures);
      return signatures.length === before.signatures.length
        ? current
        : encodeStoredPath({ ...before, signatures });
    });
    return decodeStoredPath(stored!);
  }

  async *list(): AsyncGenerator<PathInfo, void, void> {
    for await (const key of this.#names.list(pathKey(""))) {
      const value = await this.#names.get(key);
      if (value) yield decodeStoredPath(value);
    }
  }

  async delete(hashPart: string): Promise<void> {
    await this.#names.delete(pathKey(hashPart));
  }
}

/** The first claim in which two path infos differ, signatures aside. */
function differenceOf(
  before: PathInfo,
  after: PathInfo,
): { field: string; before: string; after: string } | undefined {
  const claims = (info: PathInfo): [string, string][] => [
    ["StorePath", formatStorePath(info.storePath)],
    ["NarHash", formatNixHash("sha256", info.narSha256)],
    ["NarSize", String(info.narSize)],
    ["References", sortStorePaths(info.references).map(storePathBase).join(" ") || "empty"],
    ["Deriver", info.deriver ? storePathBase(info.deriver) : "absent"],
    ["CA", info.ca ? formatContentAddress(info.ca) : "absent"],
  ];
  const old = claims(before);
  for (const [i, [field, value]] of claims(after).entries()) {
    if (old[i][1] !== value) return { field, before: old[i][1], after: value };
  }
  // One NAR may have two roots where Directories were sized by two rules; the bytes are the same.
  return undefined;
}
