/**
 * Finding what a path of names leads to, with symlinks followed inside a store: relative ones, and absolute ones that lead to store
 * paths. Nothing outside is ever looked at.
 */
import { type Bytes, fromText } from "../bytes/bytes.ts";
import { descend } from "../castore/descend.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import type { Node } from "../castore/node.ts";
import { isHashPart, STORE_DIR, type StorePath, storePathBase } from "../nix/store_path.ts";

/** Most symlinks on one way. */
const MOST_LINKS = 40;
/** Most names on one way. */
const MOST_NAMES = 20_000;
const SLASH = 0x2f;

/** A path that can be walked. */
export interface Walkable {
  readonly storePath: StorePath;
  readonly node: Node;
}

/** Where a way ended. */
export interface Place<P extends Walkable> {
  readonly path: P;
  readonly names: readonly Bytes[];
  readonly node: Node;
  /** The symlinks that were followed, in order. */
  readonly via: readonly { readonly path: P; readonly names: readonly Bytes[] }[];
}

export interface FollowOptions<P> {
  readonly directories: DirectoryService;
  /** The path under a hash part, if there is one. */
  readonly find: (hashPart: string) => Promise<P | undefined>;
}

/**
 * Follows names down from a path. `undefined`: nothing is there, or the way leads to a path that is not found, out of the store, or
 * through over 40 symlinks. Throws `MissingError` where a Directory is not stored.
 */
export async function follow<P extends Walkable>(
  start: P,
  names: readonly Bytes[],
  options: FollowOptions<P>,
): Promise<Place<P> | undefined> {
  return await new Walk(start, names, options).run();
}

class Walk<P extends Walkable> {
  #path: P;
  /** Names from the path's root to where the walk is. */
  #done: { name: Bytes; node: Node }[] = [];
  /** Names still to go, the next one last. */
  #todo: Bytes[];
  readonly #via: { path: P; names: Bytes[] }[] = [];

  constructor(start: P, names: readonly Bytes[], readonly options: FollowOptions<P>) {
    this.#path = start;
    this.#todo = [...names].reverse();
  }

  async run(): Promise<Place<P> | undefined> {
    while (true) {
      const node = this.#done.at(-1)?.node ?? this.#path.node;
      if (node.type === "symlink") {
        if (!await this.#link(node.target)) return undefined;
        continue;
      }
      const name = this.#todo.pop();
      if (name === undefined) {
        return { path: this.#path, names: this.#names(), node, via: this.#via };
      }
      if (name.length === 0 || isDots(name, 1)) continue;
      if (isDots(name, 2)) {
        if (this.#done.pop()) continue;
        if (!await this.#enterStore()) return undefined; // above a path is the store: the next name is that of another
        continue;
      }
      const next = await descend(this.options.directories, node, [name]);
      if (!next) return undefined;
      this.#done.push({ name, node: next });
    }
  }

  #names(): Bytes[] {
    return this.#done.map(({ name }) => name);
  }

  /** Goes where a symlink leads that the walk stands on. */
  async #link(target: Bytes): Promise<boolean> {
    if (this.#via.length >= MOST_LINKS || this.#todo.length > MOST_NAMES) return false;
    this.#via.push({ path: this.#path, names: this.#names() });
    const parts = split(target);
    const isRoot = this.#done.pop() === undefined;
    this.#todo.push(...parts.reverse());
    if (target[0] === SLASH) return await this.#enterAbsolute();
    return isRoot ? await this.#enterStore() : true; // a path that is a symlink itself stands in the store
  }

  /** Takes the store's own folder off the way, which begins at the root of everything. */
  async #enterAbsolute(): Promise<boolean> {
    for (const wanted of STORE_DIR.split("/").filter((part) => part !== "")) {
      if (text(this.#nextName()) !== wanted) return false;
    }
    return await this.#enterStore();
  }

  /** The next name is that of a store path. */
  async #enterStore(): Promise<boolean> {
    const base = text(this.#nextName());
    const hashPart = base.slice(0, 32);
    const path = isHashPart(hashPart) ? await this.options.find(hashPart) : undefined;
    if (!path || storePathBase(path.storePath) !== base) return false;
    this.#path = path;
    this.#done = [];
    return true;
  }

  #nextName(): Bytes {
    let name = this.#todo.pop();
    while (name && (name.length === 0 || isDots(name, 1))) name = this.#todo.pop();
    return name ?? fromText("");
  }
}

function isDots(name: Bytes, count: number): boolean {
  return name.length === count && name.every((byte) => byte === 0x2e);
}

function text(name: Bytes): string {
  return String.fromCharCode(...name.subarray(0, 300)); // store paths are ASCII: other bytes give none
}

function split(target: Bytes): Bytes[] {
  const parts: Bytes[] = [];
  let from = 0;
  for (let at = 0; at <= target.length; at++) {
    if (at < target.length && target[at] !== SLASH) continue;
    parts.push(target.subarray(from, at));
    from = at + 1;
  }
  return parts;
}
