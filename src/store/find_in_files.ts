/**
 * Where in a path's contents a text is mentioned: in which files, and in which symlinks' targets.
 */
import { type Bytes, concat, fromText } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import type { BlobService } from "../castore/blob_service.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import type { Node } from "../castore/node.ts";
import { LimitError, MissingError } from "../errors.ts";

/** Most places looked at: few Directories that hold each other can stand for more than anybody could read. */
const MOST_PLACES = 10_000_000;

/** A mention: the names down to it, and the first byte of the text, in the file or in the target. */
export interface Mention {
  readonly path: readonly Bytes[];
  readonly inTarget: boolean;
  readonly offset: number;
}

export interface FindOptions {
  readonly blobs: BlobService;
  readonly directories: DirectoryService;
  readonly signal?: AbortSignal;
  /** Told bytes of files as they were looked through. */
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Files and symlinks that mention a text of 2 to 255 bytes, the first mention of each, in the order of a NAR. Contents that stand in
 * many places are read once. Throws {@link MissingError} for what is not stored.
 */
export async function* findInFiles(
  root: Node,
  text: string,
  options: FindOptions,
): AsyncGenerator<Mention, void, void> {
  const needle = new Needle(fromText(text));
  const known = new Map<string, number>();
  const todo: { node: Node; path: readonly Bytes[] }[] = [{ node: root, path: [] }];
  let places = 0;
  for (let next = todo.pop(); next; next = todo.pop()) {
    if (++places > MOST_PLACES) {
      throw new LimitError(MOST_PLACES, `Cannot look through this: it has over ${MOST_PLACES} files`);
    }
    options.signal?.throwIfAborted();
    const { node, path } = next;
    if (node.type === "directory") {
      const directory = await options.directories.get(node.digest);
      if (!directory) throw new MissingError("directory", formatDigest(node.digest));
      for (const item of [...directory.items].reverse()) {
        todo.push({ node: item.node, path: [...path, item.name] });
      }
      continue;
    }
    if (node.type === "symlink") {
      const offset = needle.in(node.target);
      if (offset >= 0) yield { path, inTarget: true, offset };
      continue;
    }
    const key = toHex(node.digest);
    const offset = known.get(key) ?? await offsetIn(node.digest, needle, options);
    known.set(key, offset);
    if (offset >= 0) yield { path, inTarget: false, offset };
  }
}

/** Where a blob mentions the text first; -1: nowhere. */
async function offsetIn(digest: Digest, needle: Needle, options: FindOptions): Promise<number> {
  const blob = await options.blobs.open(digest);
  if (!blob) throw new MissingError("blob", formatDigest(digest));
  let tail: Bytes = new Uint8Array(0);
  let at = 0;
  for await (const piece of blob) {
    options.signal?.throwIfAborted();
    options.onBytes?.(piece.length);
    // The text may stand across two pieces: their seam is looked at by itself.
    const seam = concat([tail, piece.subarray(0, needle.length - 1)]);
    const across = needle.in(seam);
    if (across >= 0) return at - tail.length + across;
    const inside = needle.in(piece);
    if (inside >= 0) return at + inside;
    const end = concat([tail, piece.subarray(-(needle.length - 1))]);
    tail = end.slice(-(needle.length - 1));
    at += piece.length;
  }
  return -1;
}

/** A text that is looked for as Horspool does: by its last byte, skipping as far as that allows. */
class Needle {
  readonly length: number;
  #skips: Uint8Array;

  constructor(readonly bytes: Bytes) {
    this.length = bytes.length;
    if (this.length < 2 || this.length > 255) {
      throw new RangeError("Cannot look for this text: want 2 to 255 bytes");
    }
    this.#skips = new Uint8Array(256).fill(this.length);
    for (let i = 0; i < this.length - 1; i++) this.#skips[bytes[i]] = this.length - 1 - i;
  }

  /** Where it stands first; -1: nowhere. */
  in(text: Bytes): number {
    const { bytes, length } = this;
    const last = length - 1;
    for (let end = last; end < text.length; end += this.#skips[text[end]]) {
      let same = 0;
      while (same < length && text[end - same] === bytes[last - same]) same++;
      if (same === length) return end - last;
    }
    return -1;
  }
}
