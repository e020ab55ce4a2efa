/**
 * Layout of the keys: where each thing lies in a home. Pinned by vectors: a store written once is read for ever.
 *
 * Content-addressed (the `bytes` of a home; `<b3>` is 64 lower-case hex digits):
 *
 *   chunk/<b3>      the bytes of one chunk; a blob of one chunk is just its chunk
 *   blob/<b3>       long value: chunk list of a blob of several chunks
 *   outboard/<b3>   long value: outboard of a blob of several chunks; made anew from the blob where it is missing
 *   dir/<b3>        long value: canonical encoding of one Directory
 *   pressed/<b3>    long value: how a NAR lies in zstd frames (`store/pressed_nar.ts`); not named by its own digest, and made anew from
 *                   the NAR's contents where it is missing
 *
 * Names (the `names` of a home; each an encoded message of `firn.store.v1`):
 *
 *   path/<hash part>       the path's record
 *   nar/<nixbase32>        SHA-256 of a NAR that was received → its root node and size
 *   upload/<file name>     name of a compressed file that was received → the NAR it held
 *   log/… realisations/… build-trace-v2/… debuginfo/…   side files of the binary cache
 *   root/<name>            a pin: one path that is kept, with all it refers to
 *   revoked/<id>           a token that is no longer taken
 *   collection             whether somebody collects garbage, and is deleting
 *   tab/…                  what the page of a store keeps for itself (`web/engine/records.ts`)
 *
 * Where content-addressed values are packed (`combinators/packed.ts`), what lies in `bytes`, and for small packs in `names`, is
 * `pack/<b3>`, and `value/<key>` for a value too long to share a pack; `forgotten` and `forgotten/…` in `names` tell
 * which values of packs are deleted.
 *
 * A long value is 0x00 and the bytes, or, over 1 MiB, 0x01 and for each piece of at most 1 MiB its digest (32 bytes)
 * and length (u32, little endian); the pieces are chunks. So no value is over the ByteStore's bound.
 *
 * A chunk list is 0x01, for each chunk its digest (32 bytes) and length (u32, little endian), and the first 16 bytes of
 * the BLAKE3 of all that: unlike chunks and Directories a list is not named by its own digest, so it carries one.
 *
 * An outboard is 0x01, 0x04 for groups of 2^4 chunks of BLAKE3 (16 KiB), and its parents in pre-order as `hash/bao_tree.ts`
 * has them. It is verified against the blob's digest, so it carries none.
 */
import { type Bytes, concat, equals } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { DamageError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import type { ChunkMeta } from "./blob_service.ts";
import type { ByteStore } from "./byte_store.ts";
import type { Digest } from "./digest.ts";

export const chunkKey = (digest: Digest): string => "chunk/" + toHex(digest);
export const blobKey = (digest: Digest): string => "blob/" + toHex(digest);
export const outboardKey = (digest: Digest): string => "outboard/" + toHex(digest);
export const directoryKey = (digest: Digest): string => "dir/" + toHex(digest);
export const pressedKey = (name: Digest): string => "pressed/" + toHex(name);
export const pathKey = (hashPart: string): string => "path/" + hashPart;
export const narKey = (narSha256Nix32: string): string => "nar/" + narSha256Nix32;
export const uploadKey = (fileName: string): string => "upload/" + fileName;
export const rootKey = (name: string): string => "root/" + name;
export const revokedKey = (id: string): string => "revoked/" + id;
/** What the keys of side files begin with. */
export const SIDE_FILES = ["log/", "realisations/", "build-trace-v2/", "debuginfo/"] as const;
export const COLLECTION_KEY = "collection";

const PIECE = 1024 * 1024;
const META = 36;
const LIST_SUM = 16;
const OUTBOARD_HEAD = new Uint8Array([1, 4]);

/** Chunk metas in a row: digest and u32 length each. */
function encodeMetas(metas: readonly ChunkMeta[], at: number, into: Bytes): void {
  const view = new DataView(into.buffer, into.byteOffset);
  for (const { digest, size } of metas) {
    into.set(digest, at);
    view.setUint32(at + 32, size, true);
    at += META;
  }
}

function decodeMetas(bytes: Bytes): ChunkMeta[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const metas: ChunkMeta[] = [];
  for (let at = 0; at < bytes.length; at += META) {
    metas.push({ digest: bytes.slice(at, at + 32), size: view.getUint32(at + 32, true) });
  }
  return metas;
}

/** Encodes a chunk list. */
export function encodeChunkList(chunks: readonly ChunkMeta[]): Bytes {
  const list = new Uint8Array(1 + chunks.length * META);
  list[0] = 1;
  encodeMetas(chunks, 1, list);
  return concat([list, blake3(list).subarray(0, LIST_SUM)]);
}

/** Decodes a chunk list. Throws {@link DamageError} if it is not one or fails its own check; `key` is for the message. */
export function decodeChunkList(bytes: Bytes, key: string): ChunkMeta[] {
  const list = bytes.subarray(0, Math.max(0, bytes.length - LIST_SUM));
  if (
    list[0] !== 1 || (list.length - 1) % META !== 0 ||
    !equals(blake3(list).subarray(0, LIST_SUM), bytes.subarray(list.length))
  ) {
    throw new DamageError("chunk list", key);
  }
  return decodeMetas(list.subarray(1));
}

/** Encodes an outboard of groups of 16 KiB. */
export function encodeOutboard(outboard: Bytes): Bytes {
  return concat([OUTBOARD_HEAD, outboard]);
}

/** Decodes an outboard, which is not verified. Throws {@link DamageError} if it is none; `key` is for the message. */
export function decodeOutboard(bytes: Bytes, key: string): Bytes {
  const head = bytes.subarray(0, OUTBOARD_HEAD.length);
  if (!equals(head, OUTBOARD_HEAD)) throw new DamageError("outboard", key);
  return bytes.subarray(OUTBOARD_HEAD.length);
}

/** Stores bytes of any length under a key. */
export async function putLong(store: ByteStore, key: string, bytes: Bytes): Promise<void> {
  if (bytes.length <= PIECE) return await store.put(key, concat([new Uint8Array([0]), bytes]));
  const metas: ChunkMeta[] = [];
  const stored: Promise<void>[] = [];
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    const digest = blake3(piece);
    metas.push({ digest, size: piece.length });
    stored.push(store.put(chunkKey(digest), piece));
  }
  await Promise.all(stored);
  const value = new Uint8Array(1 + metas.length * META);
  value[0] = 1;
  encodeMetas(metas, 1, value);
  await store.put(key, value);
}

/**
 * The pieces of a long value, which are chunks; none if it is short. Throws {@link DamageError} if it is no long value; `key`
 * is for the message.
 */
export function piecesOf(value: Bytes, key: string): ChunkMeta[] {
  if (value[0] === 0) return [];
  if (value[0] !== 1 || (value.length - 1) % META !== 0) throw new DamageError("value", key);
  return decodeMetas(value.subarray(1));
}

/** Reads what {@link putLong} stored. Throws {@link DamageError} where pieces are missing or changed. */
export async function getLong(store: ByteStore, key: string): Promise<Bytes | undefined> {
  const value = await store.get(key);
  if (value === undefined) return undefined;
  return await joinLong(store, key, value);
}

/** The bytes of a long value that was read. Throws {@link DamageError} where pieces are missing or changed. */
export async function joinLong(store: ByteStore, key: string, value: Bytes): Promise<Bytes> {
  if (value[0] === 0) return value.subarray(1);
  const pieces = await Promise.all(
    piecesOf(value, key).map(async ({ digest, size }) => {
      const piece = await store.get(chunkKey(digest));
      if (piece?.length !== size || !equals(blake3(piece), digest)) throw new DamageError("value", key);
      return piece;
    }),
  );
  return concat(pieces);
}
