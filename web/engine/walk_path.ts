/** Finding what a path of names leads to, in what is kept here. */
import type { Bytes } from "../../src/bytes/bytes.ts";
import { descend } from "../../src/castore/descend.ts";
import type { Node } from "../../src/castore/node.ts";
import { formatStorePath, type StorePath } from "../../src/nix/store_path.ts";
import { follow } from "../../src/store/follow.ts";
import { below, nameText, splitPath } from "./path_text.ts";
import type { KeptPath, TabStore } from "./tab_store.ts";

/** Where a way ended. */
export interface Arrived {
  readonly kept: KeptPath;
  readonly file: string;
  readonly node: Node;
  /** Symlinks that were followed, as `path/file`. */
  readonly via: readonly string[];
}

/** What is at a path, symlinks on the way not followed; `undefined`: nothing. */
export async function walk(
  kept: KeptPath,
  file: string,
  { services }: TabStore,
): Promise<Arrived | undefined> {
  const node = await descend(services.directories, kept.info.node, splitPath(file));
  return node && { kept, file, node, via: [] };
}

/** What is at a path, all symlinks followed inside what is kept here; `undefined`: nothing. */
export async function walkFollowing(
  start: KeptPath,
  file: string,
  tab: TabStore,
): Promise<Arrived | undefined> {
  return await followNames(start, splitPath(file), tab);
}

interface Step {
  readonly storePath: StorePath;
  readonly node: Node;
  readonly kept: KeptPath;
}

const stepOf = (kept: KeptPath): Step => ({ storePath: kept.info.storePath, node: kept.info.node, kept });

/** The same by names that are bytes. */
export async function followNames(
  start: KeptPath,
  names: readonly Bytes[],
  tab: TabStore,
): Promise<Arrived | undefined> {
  const place = await follow(stepOf(start), names, {
    directories: tab.services.directories,
    find: async (hashPart) => {
      const kept = await tab.find(hashPart);
      return kept && stepOf(kept);
    },
  });
  if (!place) return undefined;
  return {
    kept: place.path.kept,
    file: fileOf(place.names),
    node: place.node,
    via: place.via.map(({ path, names }) => below(formatStorePath(path.storePath), fileOf(names))),
  };
}

function fileOf(names: readonly Bytes[]): string {
  return names.map(nameText).join("/");
}
