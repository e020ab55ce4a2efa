/**
 * Hashes of what is stored, recomputed from it: of a rendered NAR, of a file's contents, and of a NAR that mentions its own
 * hash part.
 */
import { type Bytes, fromText } from "../bytes/bytes.ts";
import type { BlobService } from "../castore/blob_service.ts";
import { formatDigest } from "../castore/digest.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import type { FileNode, Node } from "../castore/node.ts";
import { MissingError } from "../errors.ts";
import type { Hasher, HashName, HashProvider } from "../hash/hasher.ts";
import { HASH_PART_LENGTH } from "../nix/store_path.ts";
import { narLayout } from "./nar_layout.ts";
import { renderNar } from "./render_nar.ts";

/** What is needed to hash what is stored. */
export interface HashContext {
  readonly blobs: BlobService;
  readonly directories: DirectoryService;
  readonly hashes: HashProvider;
  /** Nobody waits any more once it is aborted: its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The hash of the NAR of a node, and its size in bytes. */
export async function hashNar(
  node: Node,
  algorithm: HashName,
  context: HashContext,
): Promise<{ digest: Bytes; size: number }> {
  const layout = await narLayout(node, context.directories);
  const hasher = await context.hashes.create(algorithm);
  for await (const piece of renderNar(layout, context.blobs)) {
    context.signal?.throwIfAborted();
    hasher.update(piece);
  }
  return { digest: hasher.digest(), size: layout.size };
}

/**
 * The hash of a NAR with its own hash part left out, as Nix names paths that refer to themselves: each occurrence counts as
 * 32 zero bytes, and after the NAR follows `|<offset>` for each, in decimal.
 */
export async function hashNarModulo(
  node: Node,
  hashPart: string,
  algorithm: HashName,
  context: HashContext,
): Promise<Bytes> {
  const layout = await narLayout(node, context.directories);
  const modulo = new ModuloHasher(await context.hashes.create(algorithm), hashPart);
  for await (const piece of renderNar(layout, context.blobs)) modulo.update(piece);
  return modulo.digest();
}

/** The hash of a file's contents. */
export async function hashFile(file: FileNode, algorithm: HashName, context: HashContext): Promise<Bytes> {
  const reader = await context.blobs.open(file.digest);
  if (!reader) throw new MissingError("blob", formatDigest(file.digest));
  const hasher = await context.hashes.create(algorithm);
  for await (const piece of reader) hasher.update(piece);
  return hasher.digest();
}

/** Hashes a stream with a text of 32 characters blanked out wherever it stands. */
export class ModuloHasher implements Hasher {
  #hasher: Hasher;
  #text: Bytes;
  #offsets: number[] = [];
  /** Bytes not hashed yet, because an occurrence may begin in them. */
  #held: Bytes = new Uint8Array(0);
  #heldAt = 0;

  constructor(hasher: Hasher, hashPart: string) {
    this.#hasher = hasher;
    this.#text = fromText(hashPart);
  }

  update(bytes: Bytes): void {
    const buffer = new Uint8Array(this.#held.length + bytes.length);
    buffer.set(this.#held);
    buffer.set(bytes, this.#held.length);
    let from = 0;
    for (let at = this.#find(buffer, 0); at >= 0; at = this.#find(buffer, from)) {
      buffer.fill(0, at, at + HASH_PART_LENGTH);
      this.#offsets.push(this.#heldAt + at);
      from = at + HASH_PART_LENGTH;
    }
    const settled = Math.max(from, buffer.length - (HASH_PART_LENGTH - 1));
    this.#hasher.update(buffer.subarray(0, settled));
    this.#held = buffer.subarray(settled);
    this.#heldAt += settled;
  }

  digest(): Bytes {
    this.#hasher.update(this.#held);
    for (const offset of this.#offsets) this.#hasher.update(fromText(`|${offset}`));
    return this.#hasher.digest();
  }

  #find(buffer: Bytes, from: number): number {
    const text = this.#text;
    for (let at = buffer.indexOf(text[0], from); at >= 0; at = buffer.indexOf(text[0], at + 1)) {
      let same = 1;
      while (same < text.length && buffer[at + same] === text[same]) same++;
      if (same === text.length) return at;
    }
    return -1;
  }
}
