/**
 * The outline of a file or folder on this machine: its Directories, the digests of its files and their chunks, and the hash of its
 * archive, found in one reading. Its contents stay where they are, and are read again, chunk by chunk, when they are wanted.
 */
import { RawNames } from "../adapters/fs/raw_names.ts";
import { readTree } from "../adapters/fs/read_tree.ts";
import { openMemory } from "../adapters/memory/memory_store.ts";
import { nativeHashes } from "../adapters/native/hashes.ts";
import type { ContentSource } from "../adapters/nix_http/push_paths.ts";
import { type Bytes, EMPTY, equals } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import type { ChunkMeta } from "../castore/blob_service.ts";
import { chunkStream } from "../castore/chunking.ts";
import type { Digest } from "../castore/digest.ts";
import { DigestTable } from "../castore/digest_table.ts";
import { directoriesOver } from "../castore/directories_over.ts";
import type { FileNode, Node } from "../castore/node.ts";
import { directoryItems } from "../castore/read_directory.ts";
import { UnreadableError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import { BlobHasher } from "../hash/blob_hasher.ts";
import { MOST_AT_ONCE, ownHashes } from "../hash/blob_hashes.ts";
import { writeNar } from "../nar/writer.ts";
import { type IngestedNar, ingestNar } from "../store/ingest_nar.ts";

export interface Outline extends IngestedNar, ContentSource {}

export interface OutlineOptions {
  readonly rawNames: RawNames;
  readonly signal?: AbortSignal;
  /** Told bytes of the archive that were read since it was told last. */
  readonly read?: (bytes: number) => void;
}

/** Reads what is at a path. Throws as `readTree`, and the reason of an aborted signal. */
export async function outline(path: string, { rawNames, signal, read }: OutlineOptions): Promise<Outline> {
  const blobs = new BlobOutlines();
  const directories = directoriesOver(openMemory());
  const paths: string[] = [];
  let before = 0;
  const nar = await ingestNar(writeNar(readTree(path, { rawNames, file: (path) => paths.push(path) })), {
    blobs,
    directories,
    hashes: nativeHashes,
    onProgress: (bytes) => {
      signal?.throwIfAborted();
      read?.(bytes - before);
      before = bytes;
    },
  });
  const places = new Places(paths);
  const folders = new Map<string, Bytes>();
  if (nar.node.type === "directory") {
    for await (const { digest, encoded } of directories.getClosure(nar.node.digest)) {
      folders.set(toHex(digest), encoded);
    }
  }
  let index = 0;
  for (const file of filesInOrder(nar.node, folders)) {
    places.add(index++, file, blobs.chunks(file.digest));
  }
  return {
    ...nar,
    directories,
    blobs: {
      chunks: (digest) => Promise.resolve(places.asChunk(digest) ?? blobs.chunks(digest)),
      open: (digest) => Promise.resolve(places.open(digest)),
    },
  };
}

/** Takes blobs, and keeps only of which chunks those are made that have several. */
class BlobOutlines {
  readonly #lists = new Map<string, readonly ChunkMeta[]>();

  chunks(digest: Digest): readonly ChunkMeta[] | undefined {
    return this.#lists.get(toHex(digest));
  }

  async put(source: Bytes | AsyncIterable<Bytes>): Promise<ChunkMeta> {
    const hasher = new BlobHasher(ownHashes);
    const chunks: ChunkMeta[] = [];
    if (source instanceof Uint8Array) {
      for (let at = 0; at < source.length;) {
        const { length, digest } = hasher.cut(source.subarray(at, at + MOST_AT_ONCE));
        chunks.push({ digest: digest as Digest, size: length }); // which are no promises where this thread hashes
        at += length;
      }
    } else {
      for await (const { chunk, digest } of chunkStream(source, (ahead) => hasher.cut(ahead))) {
        chunks.push({ digest: await digest, size: chunk.length });
      }
    }
    const { digest, size } = await hasher.end();
    if (chunks.length > 1) this.#lists.set(toHex(digest), chunks);
    return { digest, size };
  }

  putAll(blobs: readonly Bytes[]): Promise<ChunkMeta[]> {
    const digests = ownHashes.digests(blobs);
    return Promise.resolve(blobs.map(({ length }, i) => ({ digest: digests[i], size: length })));
  }
}

/** Every file below a node, in the order of the archive; equal ones as often as they are there. */
function* filesInOrder(root: Node, folders: ReadonlyMap<string, Bytes>): Generator<FileNode, void, void> {
  const open = [[{ node: root }][Symbol.iterator]() as Iterator<{ readonly node: Node }>];
  while (open.length > 0) {
    const { done, value } = open[open.length - 1].next();
    if (done) open.pop();
    else if (value.node.type === "file") yield value.node;
    else if (value.node.type === "directory") {
      open.push(directoryItems(folders.get(toHex(value.node.digest))!));
    }
  }
}

/** Where in which file each chunk lies. */
class Places {
  readonly #paths: readonly string[];
  readonly #chunks = new DigestTable();
  readonly #files: number[] = [];
  readonly #starts: number[] = [];
  readonly #sizes: number[] = [];

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** @param index which file it is, in the order of the archive */
  add(index: number, { digest, size }: FileNode, chunks: readonly ChunkMeta[] = [{ digest, size }]): void {
    let start = 0;
    for (const chunk of chunks) {
      if (this.#chunks.add(chunk.digest)) {
        this.#files.push(index);
        this.#starts.push(start);
        this.#sizes.push(chunk.size);
      }
      start += chunk.size;
    }
  }

  /** What a blob that is one chunk is made of. */
  asChunk(digest: Digest): readonly ChunkMeta[] | undefined {
    const place = this.#chunks.indexOf(digest);
    if (place < 0) return undefined;
    return this.#sizes[place] === 0 ? [] : [{ digest, size: this.#sizes[place] }];
  }

  open(digest: Digest): { bytes(): Promise<Bytes> } | undefined {
    const place = this.#chunks.indexOf(digest);
    if (place < 0) return undefined;
    const path = this.#paths[this.#files[place]];
    return {
      bytes: async () => {
        const bytes = await readPart(path, this.#starts[place], this.#sizes[place]);
        if (equals(blake3(bytes), digest)) return bytes;
        throw new UnreadableError(`Cannot send ${path}: it has changed since it was first read; push again`);
      },
    };
  }
}

/** Bytes of a file, as many as there are. */
async function readPart(path: string, start: number, size: number): Promise<Bytes> {
  if (size === 0) return EMPTY;
  try {
    using file = Deno.openSync(path);
    if (start > 0) await file.seek(start, Deno.SeekMode.Start);
    const bytes = new Uint8Array(size);
    let length = 0;
    while (length < size) {
      const read = file.readSync(bytes.subarray(length));
      if (read === null) break;
      length += read;
    }
    return bytes.subarray(0, length);
  } catch (cause) {
    const why = (cause as Error).message.replace(/: [a-z]+ '.*'$/s, "");
    throw new UnreadableError(`Cannot read ${path} again: ${why}`, { cause });
  }
}
