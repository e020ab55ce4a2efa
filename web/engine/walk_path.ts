/**
 * Finding what a path of names leads to, with symlinks followed inside what is kept here.
 */
import type { Bytes } from "../../src/bytes/bytes.ts";
import { descend } from "../../src/castore/descend.ts";
import type { Node } from "../../src/castore/node.ts";
import { formatStorePath, splitStorePath, STORE_DIR } from "../../src/nix/store_path.ts";
import { below, nameBytes, nameText, splitPath } from "./path_text.ts";
import type { KeptPath, TabStore } from "./tab_store.ts";

/** Most symlinks on one way. */
const MOST_LINKS = 40;

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

/**
 * What is at a path, all symlinks followed. `undefined`: nothing, or the way leads to a path that is not kept here, out of
 * the store, or through too many symlinks.
 */
export async function walkFollowing(
  start: KeptPath,
  file: string,
  tab: TabStore,
): Promise<Arrived | undefined> {
  let kept = start;
  const via: string[] = [];
  /** Names from the path's root to where the walk is, and those still to go. */
  let done: { name: string; node: Node }[] = [];
  let todo: string[] = splitPath(file).map(nameText);
  let node: Node = kept.info.node;
  while (true) {
    if (node.type === "symlink") {
      if (via.length >= MOST_LINKS) return undefined;
      via.push(below(formatStorePath(kept.info.storePath), done.map(({ name }) => name).join("/")));
      const target = nameText(node.target);
      if (target.startsWith("/")) {
        const other = await resolveAbsolute(target, tab);
        if (!other) return undefined;
        kept = other.kept;
        done = [];
        todo = [...other.rest, ...todo];
      } else {
        // Relative to the folder that the link stands in; the path itself stands in the store.
        const fromStore = done.length === 0;
        done.pop();
        const parts = target.split("/");
        if (fromStore) {
          const other = await resolveAbsolute(`${STORE_DIR}/${parts.join("/")}`, tab);
          if (!other) return undefined;
          kept = other.kept;
          todo = [...other.rest, ...todo];
        } else todo = [...parts, ...todo];
      }
      node = done.at(-1)?.node ?? kept.info.node;
      continue;
    }
    const name = todo.shift();
    if (name === undefined) return { kept, file: done.map(({ name }) => name).join("/"), node, via };
    if (name === "" || name === ".") continue;
    if (name === "..") {
      if (done.length === 0) {
        // Out of this path, into the store: the next name is another path.
        const other = await resolveAbsolute(`${STORE_DIR}/${todo.join("/")}`, tab);
        if (!other) return undefined;
        kept = other.kept;
        todo = other.rest;
        node = kept.info.node;
        continue;
      }
      done.pop();
      node = done.at(-1)?.node ?? kept.info.node;
      continue;
    }
    const next: Node | undefined = await descend(tab.services.directories, node, [bytesOf(name)]);
    if (!next) return undefined;
    done.push({ name, node: next });
    node = next;
  }
}

async function resolveAbsolute(
  target: string,
  tab: TabStore,
): Promise<{ kept: KeptPath; rest: string[] } | undefined> {
  const clean = target.replace(/\/(?:\.?\/)+/g, "/");
  let split: ReturnType<typeof splitStorePath>;
  try {
    split = splitStorePath(clean);
  } catch {
    return undefined; // it leads out of the store
  }
  const kept = await tab.find(split.path.hashPart);
  if (!kept || kept.info.storePath.name !== split.path.name) return undefined;
  return { kept, rest: split.rest.split("/") };
}

function bytesOf(name: string): Bytes {
  return nameBytes(name);
}
