/**
 * Folders as they are looked at: any page of a million entries, and the size of all below.
 */
import type { Bytes } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { Lru } from "../../src/bytes/lru.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { type Digest, formatDigest } from "../../src/castore/digest.ts";
import type { DirectoryItem } from "../../src/castore/directory.ts";
import type { DirectoryService } from "../../src/castore/directory_service.ts";
import { directoryKey, getLong } from "../../src/castore/layout.ts";
import type { DirectoryNode, Node } from "../../src/castore/node.ts";
import { directoryIndex, directoryItems, itemAt } from "../../src/castore/read_directory.ts";
import { MissingError } from "../../src/errors.ts";
import type { Item, ListOptions, Page } from "./engine.ts";
import { nameText } from "./path_text.ts";

/** Memory for folders that were looked at. */
const HELD = 256 * 1024 * 1024;
/** Folders whose sizes are remembered. */
const SIZES_HELD = 200_000;
/** What is below a folder is only counted if it is not more than this. */
const MOST_COUNTED = 3_000_000n;
const MOST_ITEMS = 1000;

/** What is below a folder. */
export interface FolderSize {
  /** Bytes of all files; one that stands there twice counts twice. */
  readonly bytes: number;
  /** Things at all depths. */
  readonly below: number;
}

interface Folder {
  readonly encoded: Bytes;
  readonly index: Uint32Array;
  /** The index by size, folders first or not, once somebody wanted it. */
  readonly orders: Map<string, Uint32Array>;
}

export class Folders {
  #folders = new Lru<string, Folder>(HELD);
  #sizes = new Lru<string, FolderSize>(SIZES_HELD);

  constructor(readonly store: ByteStore, readonly directories: DirectoryService) {}

  /** A page of a folder. */
  async page(
    node: DirectoryNode,
    { offset = 0, limit = MOST_ITEMS, order = "name" }: ListOptions,
  ): Promise<Page> {
    const folder = await this.#open(node.digest);
    const size = await this.sizeOf(node);
    const index = order === "name" ? folder.index : this.#ordered(folder, order, size !== undefined);
    const start = Math.max(0, Math.trunc(offset));
    const at = index.subarray(start, start + Math.min(Math.max(0, Math.trunc(limit)), MOST_ITEMS));
    const items = await Promise.all([...at].map((position) => this.item(itemAt(folder.encoded, position))));
    return { total: index.length, offset: start, items };
  }

  /** What is shown of a thing. */
  async item({ name, node }: { name: Uint8Array; node: Node }): Promise<Item> {
    const text = nameText(name);
    switch (node.type) {
      case "symlink":
        return { name: text, type: node.type, target: nameText(node.target) };
      case "file": {
        const { size, executable } = node;
        return { name: text, type: node.type, size, executable, digest: toHex(node.digest) };
      }
      case "directory": {
        const size = await this.sizeOf(node);
        const digest = toHex(node.digest);
        return { name: text, type: node.type, digest, ...(size && { size: size.bytes, below: size.below }) };
      }
    }
  }

  /** The item of a name, without sizes of folders. */
  async items(digest: Digest): Promise<Iterable<DirectoryItem>> {
    return directoryItems((await this.#open(digest, false)).encoded);
  }

  /** What is below a folder; `undefined` if it is too much to count. */
  async sizeOf(node: DirectoryNode): Promise<FolderSize | undefined> {
    const known = this.#sizes.get(toHex(node.digest));
    if (known) return known;
    if (node.size > MOST_COUNTED) return undefined;
    return await this.#measure(node.digest);
  }

  /** Measures a folder and all below it. */
  async #measure(root: Digest): Promise<FolderSize> {
    const own: { key: string; bytes: number; count: number; folders: string[] }[] = [];
    for await (const { digest, encoded } of this.directories.getClosure(root)) {
      const folder = { key: toHex(digest), bytes: 0, count: 0, folders: [] as string[] };
      for (const { node } of directoryItems(encoded)) {
        folder.count++;
        if (node.type === "file") folder.bytes += node.size;
        else if (node.type === "directory") folder.folders.push(toHex(node.digest));
      }
      own.push(folder);
    }
    if (own.length === 0) throw new MissingError("directory", formatDigest(root));
    const byKey = new Map(own.map((folder) => [folder.key, folder]));
    const sizes = new Map<string, FolderSize>();
    const todo = [own[0]];
    while (todo.length > 0) {
      const folder = todo[todo.length - 1];
      const waiting = folder.folders.filter((key) => !sizes.has(key));
      if (waiting.length > 0) {
        for (const key of waiting) todo.push(byKey.get(key)!);
        continue;
      }
      todo.pop();
      let { bytes, count } = folder;
      for (const key of folder.folders) {
        const size = sizes.get(key)!;
        bytes += size.bytes;
        count += size.below;
      }
      sizes.set(folder.key, { bytes, below: count });
    }
    for (const [key, size] of sizes) this.#sizes.set(key, size, 1);
    return sizes.get(own[0].key)!;
  }

  async #open(digest: Digest, indexed = true): Promise<Folder> {
    const key = toHex(digest);
    const held = this.#folders.get(key);
    if (held) return held;
    const encoded = await getLong(this.store, directoryKey(digest));
    if (!encoded) throw new MissingError("directory", formatDigest(digest));
    const folder = {
      encoded,
      index: indexed ? directoryIndex(encoded) : new Uint32Array(0),
      orders: new Map(),
    };
    if (indexed) this.#folders.set(key, folder, encoded.length + folder.index.length * 12);
    return folder;
  }

  #ordered(folder: Folder, order: "size" | "folders", measured: boolean): Uint32Array {
    const kept = folder.orders.get(order);
    if (kept) return kept;
    const keys = new Float64Array(folder.index.length);
    folder.index.forEach((at, i) => {
      const { node } = itemAt(folder.encoded, at);
      if (order === "folders") keys[i] = node.type === "directory" ? 0 : 1;
      else if (node.type === "file") keys[i] = -node.size;
      else if (node.type === "directory" && measured) {
        keys[i] = -(this.#sizes.get(toHex(node.digest))?.bytes ?? 0);
      }
    });
    const ranks = Uint32Array.from(keys.keys()).sort((a, b) => keys[a] - keys[b] || a - b);
    const ordered = ranks.map((rank) => folder.index[rank]);
    folder.orders.set(order, ordered);
    return ordered;
  }
}
