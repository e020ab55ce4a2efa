/** Trees for the tests of the store: archives of them, made by the writer of NARs, and a store to put them into. */
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { type Bytes, compare, concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { collect, iterate } from "../../src/bytes/streams.ts";
import type { BlobService } from "../../src/castore/blob_service.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import type { NarToken } from "../../src/nar/parser.ts";
import { writeNar } from "../../src/nar/writer.ts";
import { ingestNar, type IngestOptions } from "../../src/store/ingest_nar.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import { servicesOver } from "../../src/store/services.ts";
import { pattern } from "../contract/_byte_store_samples.ts";

/** A tree as a value: bytes are a file, a text is a symlink, a record a folder; `!` before a name: executable. */
export type Tree = Bytes | string | { readonly [name: string]: Tree };

/** The NAR of a tree. */
export async function narOf(tree: Tree): Promise<Bytes> {
  return await collect(iterate(writeNar(tokensOf(tree, ""))));
}

function* tokensOf(tree: Tree, path: string): Generator<NarToken> {
  const last = path.slice(path.lastIndexOf("/") + 1);
  const name = path === "" ? EMPTY : fromText(last.replace(/^!/, ""));
  if (tree instanceof Uint8Array) {
    yield { type: "file", name, executable: last.startsWith("!"), size: tree.length };
    if (tree.length > 0) yield { type: "data", bytes: tree };
    yield { type: "end" };
  } else if (typeof tree === "string") {
    yield { type: "symlink", name, target: fromText(tree) };
  } else {
    yield { type: "directory", name };
    const entries = Object.entries(tree).map(([child, node]) => ({
      child,
      node,
      key: fromText(child.replace(/^!/, "")),
    }));
    for (const { child, node } of entries.sort((a, b) => compare(a.key, b.key))) {
      yield* tokensOf(node, `${path}/${child}`);
    }
    yield { type: "end" };
  }
}

/** Numbers that look random and are the same each time. */
export function numbers(seed: number): (below: number) => number {
  let state = seed * 2654435761 >>> 0 || 1;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * below);
  };
}

/** A folder of everything there is, with files of up to `longest` bytes. */
export function randomTree(seed: number, longest = 3000): Tree {
  const next = numbers(seed);
  const fill = (depth: number): Tree => {
    const folder: Record<string, Tree> = {};
    for (let i = next(9); i >= 0; i--) {
      const name = `${["a", "A", "a-", "é", "~", " ", "a."][next(7)]}${i}`;
      const kind = next(10);
      if (kind < 3 && depth < 5) folder[name] = fill(depth + 1);
      else if (kind < 5) folder[name] = "x".repeat(1 + next(200));
      else {
        const length = [next(20), next(longest), 8 * next(20)][next(3)];
        folder[kind === 9 ? `!${name}` : name] = pattern(length, next(4));
      }
    }
    return folder;
  };
  return fill(0);
}

/** A NAR of folders inside each other, so many, with this in the last. */
export async function deepNar(depth: number, inside: Tree): Promise<Bytes> {
  function* tokens(): Generator<NarToken> {
    for (let i = 0; i < depth; i++) yield { type: "directory", name: i === 0 ? EMPTY : fromText("d") };
    yield* tokensOf(inside, "/f");
    for (let i = 0; i < depth; i++) yield { type: "end" };
  }
  return await collect(iterate(writeNar(tokens())));
}

/** Services over memory, and what ingesting into them needs. */
export function openStore(wrap: (blobs: BlobService) => BlobService = (blobs) => blobs) {
  const [names, bytes] = [openMemory(), openMemory()];
  const services = servicesOver({ names, bytes });
  const blobs = wrap(services.blobs);
  const options: IngestOptions = { blobs, directories: services.directories, hashes: portableHashes };
  return { ...services, blobs, names, bytes, hashes: portableHashes, options };
}

export type TestStore = ReturnType<typeof openStore>;

/** Takes in a NAR. */
export async function ingest(store: TestStore, nar: Bytes) {
  return await ingestNar([nar], store.options);
}

/** The archive of a node, or a stretch of it. */
export async function render(
  store: TestStore,
  node: Parameters<typeof narLayout>[0],
  range?: { start: number; end: number },
): Promise<Bytes> {
  const pieces: Bytes[] = [];
  for await (const piece of renderNar(await narLayout(node, store.directories), store.blobs, range)) {
    pieces.push(piece);
  }
  return concat(pieces);
}

/** A source that gives its pieces in one array that it uses again. */
export async function* reusing(
  bytes: Bytes,
  lengthOf: (i: number) => number,
): AsyncGenerator<Bytes, void, void> {
  let piece: Bytes = new Uint8Array(65536);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const part = bytes.subarray(at, at + lengthOf(i));
    if (part.length > piece.length) piece = new Uint8Array(part.length);
    piece.set(part);
    yield piece.subarray(0, part.length);
    piece.fill(0xee, 0, part.length);
    at += part.length;
  }
}
