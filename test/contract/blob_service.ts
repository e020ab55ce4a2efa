/**
 * What `BlobService` promises, sentence by sentence. What it promises about the pace of a stream, and about writing
 * nothing, is seen only from below and is tested with its implementations.
 */
import { type Bytes, concat, equals } from "../../src/bytes/bytes.ts";
import { collect } from "../../src/bytes/streams.ts";
import type { BlobService, ChunkMeta } from "../../src/castore/blob_service.ts";
import { chunksOf } from "../castore/_chunks.ts";
import { chunkKey } from "../../src/castore/layout.ts";
import { DamageError } from "../../src/errors.ts";
import { createBao } from "../../src/hash/bao.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { pattern } from "./_byte_store_samples.ts";
import { type Backing, BLOB_B, BLOBS, EMPTY_DIGEST } from "./_castore_samples.ts";
import { type ContractCase, ensure, ensureRejects, ensureSame, promiseOf } from "./case.ts";

/** A BlobService to be examined. */
export interface BlobSubject extends AsyncDisposable {
  readonly blobs: BlobService;
}

/** The most bytes a piece has. */
const MAX_PIECE = 512 * 1024;

/** Around the bounds of chunks, of windows and of what travels in one message. */
const LENGTHS = [
  ...[0, 1, 131071, 131072, 131073, 262144, 524287, 524288, 524289],
  ...[1048575, 1048576, 1048577, 3 * 1048576 + 5, 5 * 1048576 + 1],
];

async function* piecesOf(bytes: Bytes, length: number): AsyncGenerator<Bytes> {
  yield new Uint8Array(0);
  for (let at = 0; at < bytes.length; at += length) yield await bytes.slice(at, at + length);
  yield new Uint8Array(0);
}

async function read(blobs: BlobService, digest: Bytes, start?: number, end?: number): Promise<Bytes> {
  const range = start === undefined || end === undefined ? undefined : { start, end };
  const reader = await blobs.open(digest, { range });
  ensure(reader !== undefined, "a blob that was put is absent");
  return await reader.bytes();
}

function outboardOf(bytes: Bytes): Bytes {
  const hasher = createBao();
  hasher.update(bytes);
  hasher.digest();
  return hasher.outboard();
}

function sizeOf(chunks: readonly ChunkMeta[]): number {
  return chunks.reduce((sum, { size }) => sum + size, 0);
}

/** Every promise of a BlobService that is kept or broken in its answers. */
export const blobServiceContract: readonly ContractCase<BlobSubject>[] = [
  promiseOf("an absent blob is undefined, the empty one too, and has() says false", async ({ blobs }) => {
    for (const digest of [new Uint8Array(32), EMPTY_DIGEST, BLOBS[1].digest]) {
      ensureSame(await blobs.has(digest), false, "has");
      ensureSame(await blobs.open(digest), undefined, "open");
      ensureSame(await blobs.open(digest, { range: { start: 0, end: 1 } }), undefined, "open with a range");
      ensureSame(await blobs.chunks(digest), undefined, "chunks");
      ensureSame(await blobs.outboard(digest), undefined, "outboard");
    }
  }),

  promiseOf("a blob is stored under its BLAKE3 and read back", async ({ blobs }) => {
    for (const { name, bytes, digest } of BLOBS) {
      const stored = await blobs.put(bytes);
      ensureSame(stored.digest, digest, `digest of ${name}`);
      ensureSame(stored.size, bytes.length, `size of ${name}`);
    }
    for (const { name, bytes, digest } of BLOBS) {
      ensureSame(await blobs.has(digest), true, `has ${name}`);
      const reader = await blobs.open(digest);
      ensureSame(reader?.size, bytes.length, `size of the reader of ${name}`);
      ensureSame(await reader!.bytes(), bytes, `bytes of ${name}`);
      ensureSame(await collect((await blobs.open(digest))!), bytes, `pieces of ${name}`);
    }
  }),

  promiseOf("a stream is stored as the same bytes given at once, however it is cut", async ({ blobs }) => {
    for (const [i, length] of LENGTHS.entries()) {
      const bytes = pattern(length, i);
      const digest = blake3(bytes);
      for (const pieceLength of [length || 1, 65537, 524288, 1000003]) {
        const stored = await blobs.put(piecesOf(bytes, pieceLength));
        ensureSame(stored.digest, digest, `digest of ${length} bytes in pieces of ${pieceLength}`);
        ensureSame(stored.size, length, "size");
      }
      ensureSame(await read(blobs, digest), bytes, `${length} bytes that came as a stream`);
      ensureSame((await blobs.put(bytes)).digest, digest, `digest of ${length} bytes at once`);
      ensureSame(await read(blobs, digest), bytes, `${length} bytes`);
    }
  }),

  promiseOf("the chunks of a blob are in order, sum to it, and are blobs themselves", async ({ blobs }) => {
    for (const bytes of [BLOB_B, pattern(200_000), new Uint8Array(3 * 1048576 + 5)]) {
      const { digest } = await blobs.put(bytes);
      const chunks = await blobs.chunks(digest);
      ensure(chunks !== undefined && chunks.length > 0, "there are no chunks");
      ensureSame(sizeOf(chunks), bytes.length, "sum of the sizes");
      const parts: Bytes[] = [];
      for (const chunk of chunks) {
        ensureSame(await blobs.has(chunk.digest), true, "has a chunk");
        const part = await read(blobs, chunk.digest);
        ensureSame(part.length, chunk.size, "size of a chunk");
        const own = await blobs.chunks(chunk.digest);
        ensureSame(own?.map((c) => [c.digest, c.size]), [[chunk.digest, chunk.size]], "chunks of a chunk");
        parts.push(part);
      }
      ensureSame(concat(parts), bytes, "the chunks one after the other");
    }
  }),

  promiseOf("a blob of one chunk lists itself, the empty blob lists nothing", async ({ blobs }) => {
    for (const { bytes } of BLOBS.filter(({ bytes }) => bytes.length < 100)) {
      const { digest, size } = await blobs.put(bytes);
      const want = size === 0 ? [] : [[digest, size]];
      ensureSame(
        (await blobs.chunks(digest))?.map((c) => [c.digest, c.size]),
        want,
        `chunks of ${size} bytes`,
      );
    }
  }),

  promiseOf("an outboard is that of the bytes in groups of 16 KiB, of a chunk too", async ({ blobs }) => {
    for (const length of [0, 1, 16384, 16385, 131073, 524288, 1048577, 3 * 1048576 + 5]) {
      const bytes = pattern(length, 8);
      for (const source of [bytes, piecesOf(bytes, 99_999)]) {
        const { digest } = await blobs.put(source);
        ensureSame(await blobs.outboard(digest), outboardOf(bytes), `outboard of ${length} bytes`);
        ensureSame(await blobs.outboard(digest), outboardOf(bytes), `outboard of ${length} bytes, again`);
      }
    }
    const { digest } = await blobs.put(BLOB_B);
    for (const chunk of (await blobs.chunks(digest))!) {
      const bytes = await read(blobs, chunk.digest);
      ensureSame(await blobs.outboard(chunk.digest), outboardOf(bytes), "outboard of a chunk");
    }
  }),

  promiseOf(
    "a range gives those bytes, its end clamped, and the size stays the blob's",
    async ({ blobs }) => {
      for (const bytes of [new Uint8Array(0), pattern(10), BLOB_B, pattern(1_500_000)]) {
        const { digest } = await blobs.put(bytes);
        const { length } = bytes;
        const ranges = [[0, 10], [10, 20], [25, 35], [12380, 12390], [0, length], [length - 1, length]];
        ranges.push([0, 0], [5, 5], [length, length], [length, length + 10], [length + 1, length + 9]);
        ranges.push([3, Number.MAX_SAFE_INTEGER], [length - 5, length + 5], [0, length + 1], [1, length - 1]);
        ranges.push([524287, 524289], [524288, 524289], [524287, 524288], [100_000, 1_400_000]);
        for (const [start, end] of ranges.filter(([start, end]) => start >= 0 && start <= end)) {
          const reader = await blobs.open(digest, { range: { start, end } });
          ensureSame(reader?.size, length, `size of the blob of ${length} bytes`);
          const about = `bytes ${start} to ${end} of ${length}`;
          ensureSame(await reader!.bytes(), bytes.slice(start, end), about);
          const again = await blobs.open(digest, { range: { start, end } });
          ensureSame(await collect(again!), bytes.slice(start, end), `${about}, in pieces`);
        }
      }
    },
  ),

  promiseOf("pieces have at most 512 KiB and stay valid", async ({ blobs }) => {
    const bytes = pattern(9 * 1048576 + 7);
    const { digest } = await blobs.put(bytes);
    const pieces: Bytes[] = [];
    for await (const piece of (await blobs.open(digest))!) pieces.push(piece);
    await blobs.put(pattern(5 * 1048576));
    await read(blobs, digest);
    for (const { length } of pieces) ensure(length <= MAX_PIECE, `a piece has ${length} bytes`);
    ensureSame(concat(pieces), bytes, "the pieces after more was read and written");
  }),

  promiseOf("ending the iteration early leaves the service in order", async ({ blobs }) => {
    const bytes = pattern(9 * 1048576);
    const { digest } = await blobs.put(bytes);
    for (let turn = 0; turn < 5; turn++) {
      for await (const piece of (await blobs.open(digest))!) {
        ensure(equals(piece, bytes.subarray(0, piece.length)), "the first piece is wrong");
        break;
      }
    }
    await blobs.open(digest); // opened and never read
    ensureSame(await read(blobs, digest), bytes, "the blob after reads that were left");
  }),

  promiseOf("putting a blob that is there already is fine", async ({ blobs }) => {
    for (const bytes of [new Uint8Array(0), pattern(100), BLOB_B]) {
      const first = await blobs.put(bytes);
      const chunks = await blobs.chunks(first.digest);
      for (const again of [bytes, piecesOf(bytes, 70_000)]) {
        ensureSame((await blobs.put(again)).digest, first.digest, "digest when put again");
      }
      const after = await blobs.chunks(first.digest);
      ensureSame(after?.map((c) => c.digest), chunks!.map((c) => c.digest), "chunks when put again");
      ensureSame(await read(blobs, first.digest), bytes, "the blob");
    }
  }),

  promiseOf(
    "bytes given at once may be changed once the call has returned its promise",
    async ({ blobs }) => {
      for (const length of [10, 200_000, 1_000_000, 5_000_000]) {
        const shared = pattern(length, 3);
        const promise = blobs.put(shared);
        shared.fill(1);
        const { digest } = await promise;
        ensureSame(digest, blake3(pattern(length, 3)), `digest of ${length} bytes`);
        ensureSame(await read(blobs, digest), pattern(length, 3), `blob of ${length} bytes`);
      }
    },
  ),

  promiseOf("a piece of a stream may be changed once the next is asked for", async ({ blobs }) => {
    for (const length of [10, 300_000, 5_000_000]) {
      const bytes = pattern(length, 6);
      const reusing = async function* () {
        const piece = new Uint8Array(70_000);
        for (let at = 0; at < length; at += piece.length) {
          const part = bytes.subarray(at, at + piece.length);
          piece.set(part);
          yield await piece.subarray(0, part.length);
          piece.fill(0);
        }
      };
      const { digest } = await blobs.put(reusing());
      ensureSame(digest, blake3(bytes), `digest of ${length} bytes`);
      ensureSame(await read(blobs, digest), bytes, `blob of ${length} bytes`);
    }
  }),

  promiseOf("if the source throws, so does put, and no blob is visible", async ({ blobs }) => {
    for (const length of [10, 1_500_000, 9 * 1048576]) {
      const bytes = pattern(length, 5);
      const thrown = new RangeError("the source fails");
      const failing = async function* () {
        yield* piecesOf(bytes, 300_000);
        throw thrown;
      };
      const error = await ensureRejects(blobs.put(failing()), RangeError, `put of ${length} bytes`);
      ensureSame(error, thrown, "what was thrown");
      ensureSame(await blobs.has(blake3(bytes)), false, "has what came before");
      ensureSame((await blobs.put(bytes)).digest, blake3(bytes), "a put of the whole afterwards");
      ensureSame(await read(blobs, blake3(bytes)), bytes, "the blob");
    }
  }),

  promiseOf(
    "blobs that are put together are stored as if each were put, in their order",
    async ({ blobs }) => {
      if (!blobs.putAll) return;
      const lengths = [0, 1, 63, 64, 65, 1023, 1024, 1025, 4096, 5_000, 16_385, 131_072];
      const many = lengths.map((length, i) => pattern(length, i));
      const twice = [...many, ...many.slice(3, 6)];
      const given = twice.map((bytes) => bytes.slice());
      const putting = blobs.putAll(given);
      // They were read before it returned: the caller may even give their memory away.
      for (const bytes of given) bytes.buffer.transfer();
      const stored = await putting;
      ensureSame(stored.map(({ size }) => size), twice.map(({ length }) => length), "sizes");
      for (const [i, bytes] of twice.entries()) {
        ensureSame(stored[i].digest, blake3(bytes), `digest of ${bytes.length} bytes`);
        ensureSame(await blobs.has(stored[i].digest), true, `has ${bytes.length} bytes`);
        ensureSame(await read(blobs, stored[i].digest), bytes, `blob of ${bytes.length} bytes`);
      }
      ensureSame(await blobs.putAll([]), [], "none");
      const tiny = Array.from({ length: 1500 }, (_, i) => pattern(i % 7, i));
      const tinyStored = await blobs.putAll(tiny);
      ensureSame(tinyStored[1499].digest, blake3(tiny[1499]), "the last of very many");
    },
  ),

  promiseOf(
    "blobs that are got together are what open gives, and undefined where it does",
    async ({ blobs }) => {
      if (!blobs.getAll) return;
      const lengths = [0, 1, 64, 1025, 5_000, 131_072, 100_000, 100_000];
      const many = lengths.map((length, i) => pattern(length, i));
      const digests = many.map((bytes) => blake3(bytes));
      ensureSame(await blobs.getAll(digests), many.map(() => undefined), "before they are put");
      for (const bytes of many) await blobs.put(bytes);
      const absent = blake3(pattern(77, 77));
      const asked = [...digests, absent, digests[1], digests[1]];
      const want = [...many, undefined, many[1], many[1]];
      for (let round = 0; round < 2; round++) {
        const got = await blobs.getAll(asked);
        for (const [i, bytes] of got.entries()) ensureSame(bytes, want[i], `number ${i}`);
      }
      ensureSame(await blobs.getAll([]), [], "none");
      const long = await blobs.put(pattern(3_000_000, 1));
      ensureSame(await blobs.getAll([long.digest]), [undefined], "one that is not short");
    },
  ),

  promiseOf("many blobs are put and read at once", async ({ blobs }) => {
    const contents = Array.from({ length: 400 }, (_, i) => pattern(i % 40 === 0 ? 600_000 + i : i * 37, i));
    const puts = contents.map((bytes, i) => blobs.put(i % 3 ? bytes : piecesOf(bytes, 50_000)));
    const digests = (await Promise.all(puts)).map(({ digest }) => digest);
    const got = await Promise.all(digests.map((digest) => read(blobs, digest)));
    for (const [i, bytes] of contents.entries()) ensureSame(got[i], bytes, `blob ${i}`);
  }),
];

/** What a BlobService promises about values that were changed or lost below it. */
export const blobDamageContract: readonly ContractCase<BlobSubject & Backing>[] = [
  promiseOf("a blob that was changed is a DamageError, read whole or in part", async (subject) => {
    const bytes = pattern(5_000, 1);
    const { digest } = await subject.blobs.put(bytes);
    const other = await subject.blobs.put(pattern(5_000, 2));
    await subject.corrupt(bytes);
    await ensureRejects(read(subject.blobs, digest), DamageError, "reading it");
    await ensureRejects(read(subject.blobs, digest, 4_000, 4_001), DamageError, "reading a range of it");
    if (subject.blobs.getAll) {
      await ensureRejects(
        subject.blobs.getAll([other.digest, digest]),
        DamageError,
        "getting it with another",
      );
    }
    ensureSame(await read(subject.blobs, other.digest), pattern(5_000, 2), "its neighbour");
  }),

  promiseOf(
    "of a chunk that was changed nothing is delivered, and all that comes before is",
    async (subject) => {
      const bytes = pattern(3_000_000, 1);
      const { digest } = await subject.blobs.put(bytes);
      const chunks = (await subject.blobs.chunks(digest))!;
      const before = sizeOf(chunks.slice(0, 2));
      await subject.corrupt(bytes.subarray(before, before + chunks[2].size));
      const pieces: Bytes[] = [];
      const whole = (async () => {
        for await (const piece of (await subject.blobs.open(digest))!) pieces.push(piece);
      })();
      await ensureRejects(whole, DamageError, "reading it");
      ensureSame(concat(pieces), bytes.slice(0, before), "what was delivered");
      const range = await read(subject.blobs, digest, 10, before);
      ensureSame(range, bytes.slice(10, before), "a range that it is not in");
    },
  ),

  promiseOf("a blob of which a chunk is gone is a DamageError", async (subject) => {
    const { digest } = await subject.blobs.put(pattern(3_000_000, 1));
    const chunks = (await subject.blobs.chunks(digest))!;
    await subject.bytes.delete(chunkKey(chunks[1].digest));
    await ensureRejects(read(subject.blobs, digest), DamageError, "reading it");
  }),

  promiseOf("a chunk list that was changed is a DamageError", async (subject) => {
    const bytes = pattern(1_500_000, 1);
    const { digest } = await subject.blobs.put(bytes);
    const { digest: untouched } = await subject.blobs.put(pattern(1_400_000, 2));
    const [first] = chunksOf(bytes);
    const size = new Uint8Array(4);
    new DataView(size.buffer).setUint32(0, first.length, true);
    await subject.corrupt(concat([blake3(first), size]));
    await ensureRejects(read(subject.blobs, digest), DamageError, "reading it");
    await ensureRejects(subject.blobs.chunks(digest), DamageError, "its chunks");
    ensureSame((await read(subject.blobs, untouched)).length, 1_400_000, "another blob");
  }),
];
