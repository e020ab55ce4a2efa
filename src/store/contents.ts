/**
 * Walking over everything that is stored of a path: its Directories, its files' chunks, the lists and outboards of those that
 * have several. What is missing or damaged is told, and the rest is walked.
 *
 * Memory: the encoded Directories from the root down to where the walk is, some beside each other.
 */
import { type Bytes, equals } from "../bytes/bytes.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import type { Digest } from "../castore/digest.ts";
import {
  blobKey,
  chunkKey,
  decodeChunkList,
  directoryKey,
  joinLong,
  outboardKey,
  piecesOf,
  pressedKey,
} from "../castore/layout.ts";
import type { Node } from "../castore/node.ts";
import { directoryItems } from "../castore/read_directory.ts";
import { DamageError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import { PressedNar } from "./pressed_nar.ts";

/** Kinds of stored values, as the layout of the keys has them. */
export type ValueKind = "chunk" | "blob" | "outboard" | "dir" | "pressed";

/** Told what is found. */
export interface ContentsVisitor {
  /** Whether to look at a Directory or file and all below. */
  enter(kind: "dir" | "file", digest: Digest): boolean;
  /** A stored value of something that was entered, perhaps not for the first time. */
  value(kind: ValueKind, digest: Digest, length: number): void;
  /** A Directory or file that was entered and is not there, or not as it was. What of it is there was told. */
  broken(kind: "dir" | "file", digest: Digest): void;
}

/** Things looked at at once. */
const AT_ONCE = 128;
/** Directories among them: they may be long. */
const DIRECTORIES_AT_ONCE = 16;
/** Bytes of a value's head: it tells what follows. */
const HEAD = { start: 0, end: 1 };

/** Walks over what a node speaks of. */
export async function walkContents(
  bytes: ByteStore,
  root: Node,
  visitor: ContentsVisitor,
  signal?: AbortSignal,
): Promise<void> {
  /** Nodes that were not looked at, deepest last. */
  const waiting: Iterator<Node>[] = [[root][Symbol.iterator]()];
  while (waiting.length > 0) {
    signal?.throwIfAborted();
    const looks: Promise<Bytes | void>[] = [];
    let directories = 0;
    while (waiting.length > 0 && looks.length < AT_ONCE && directories < DIRECTORIES_AT_ONCE) {
      const { done, value: node } = waiting[waiting.length - 1].next();
      if (done) waiting.pop();
      else if (node.type === "directory" && visitor.enter("dir", node.digest)) {
        looks.push(readDirectory(bytes, node.digest, visitor));
        directories++;
      } else if (node.type === "file" && visitor.enter("file", node.digest)) {
        looks.push(lookAtFile(bytes, node.digest, node.size, visitor));
      }
    }
    for (const encoded of await Promise.all(looks)) if (encoded) waiting.push(nodesOf(encoded));
  }
}

/** Tells what is stored of a blob. */
export async function lookAtFile(
  bytes: ByteStore,
  digest: Digest,
  size: number | undefined,
  visitor: ContentsVisitor,
): Promise<void> {
  const chunk = chunkKey(digest);
  if (await bytes.has(chunk)) {
    return visitor.value("chunk", digest, size ?? (await bytes.get(chunk))?.length ?? 0);
  }
  const key = blobKey(digest);
  try {
    const list = await readLong(bytes, "blob", key, digest, visitor);
    if (!list) return visitor.broken("file", digest);
    let length = 0;
    for (const { digest, size } of decodeChunkList(list, key)) {
      visitor.value("chunk", digest, size);
      length += size;
    }
    await lookAtOutboard(bytes, digest, length, visitor);
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
    visitor.broken("file", digest);
  }
}

/**
 * Tells what is stored of a pressed NAR, by the name of its record. One that is damaged, or not there, makes nothing broken: it is
 * made anew when it is asked for.
 */
export async function lookAtPressed(bytes: ByteStore, name: Digest, visitor: ContentsVisitor): Promise<void> {
  const key = pressedKey(name);
  try {
    const value = await bytes.get(key);
    if (!value) return;
    const pressed = new PressedNar(await joinLong(bytes, key, value), key);
    visitor.value("pressed", name, value.length);
    for (const piece of piecesOf(value, key)) visitor.value("chunk", piece.digest, piece.size);
    for (let row = 0; row < pressed.count; row++) {
      visitor.value("chunk", pressed.digest(row), pressed.size(row));
    }
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
  }
}

/** An outboard of up to 1 MiB, so of 256 MiB, is one value of a known length. */
async function lookAtOutboard(
  bytes: ByteStore,
  digest: Digest,
  size: number,
  visitor: ContentsVisitor,
): Promise<void> {
  const key = outboardKey(digest);
  const head = await bytes.get(key, HEAD);
  if (!head) return;
  const length = 3 + 64 * (Math.ceil(size / 16384) - 1);
  if (head[0] === 0) return visitor.value("outboard", digest, length);
  await readLong(bytes, "outboard", key, digest, visitor, false);
}

/** Tells of a Directory, and resolves to its encoding. */
async function readDirectory(
  bytes: ByteStore,
  digest: Digest,
  visitor: ContentsVisitor,
): Promise<Bytes | undefined> {
  try {
    const encoded = await readLong(bytes, "dir", directoryKey(digest), digest, visitor);
    if (encoded && equals(blake3(encoded), digest)) return encoded.slice(); // not a view of a whole pack
  } catch (error) {
    if (!(error instanceof DamageError)) throw error;
  }
  visitor.broken("dir", digest);
}

/** Reads a long value and tells of it and of its pieces. */
async function readLong(
  bytes: ByteStore,
  kind: ValueKind,
  key: string,
  digest: Digest,
  visitor: ContentsVisitor,
  whole = true,
): Promise<Bytes | undefined> {
  const value = await bytes.get(key);
  if (!value) return undefined;
  visitor.value(kind, digest, value.length);
  for (const piece of piecesOf(value, key)) visitor.value("chunk", piece.digest, piece.size);
  return whole ? await joinLong(bytes, key, value) : undefined;
}

function* nodesOf(encoded: Bytes): Generator<Node, void, void> {
  for (const { node } of directoryItems(encoded)) yield node;
}
