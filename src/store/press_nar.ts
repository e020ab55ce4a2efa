/**
 * Pressing: laying a NAR out in zstd frames, once, so that the file `.nar.zst` is then served by joining what is stored.
 *
 * Larger files bring their chunks. The words between them, and small files, are gathered into runs, which are put as chunks: a frame
 * for each of thousands of small files would be long, and one for the words before each no shorter than they are. Runs are cut by
 * their content (FastCDC), so that they follow from the NAR alone, and two versions of a tree share most of them. A small file is
 * therefore stored twice, by itself and in a run; the bound on what is small weighs that against the length of the file. Measured,
 * as parts of the whole archive in zstd of level 1, and what more is stored:
 *
 *   bound        a toolchain of 15,036 files   20,000 files of 4 KiB
 *    2 KiB            1.085, +5 %                  1.095, +10 %
 *    4 KiB            1.075, +7 %                  1.014, +92 %
 *   16 KiB            1.050, +14 %
 *
 * First the whole archive is walked and the runs are put, then its chunks are read as they are stored, for the lengths of their
 * frames and the hash of the file; the record is written last. Memory: 40 bytes a chunk, and some MiB.
 */
import { Background } from "../bytes/background.ts";
import type { Bytes } from "../bytes/bytes.ts";
import { type ChunkMeta, SHORT_LENGTH } from "../castore/blob_service.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { formatDigest } from "../castore/digest.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import { getLong, pressedKey, putLong } from "../castore/layout.ts";
import type { FileNode, Node } from "../castore/node.ts";
import { DamageError, LimitError, MissingError } from "../errors.ts";
import { type ChunkSizes, cutPoint, DEFAULT_CHUNK_SIZES } from "../hash/fastcdc.ts";
import type { HashProvider } from "../hash/hasher.ts";
import { writeRecord } from "./collections.ts";
import { confirmRecord } from "./confirm.ts";
import { narLayout } from "./nar_layout.ts";
import { checkSize, NarParts, stretchBytes } from "./nar_parts.ts";
import { ChunkRows, pressedName, PressedNar } from "./pressed_nar.ts";
import { frameOf, storedChunks, type StoringBlobs } from "./stored_chunks.ts";

/** Files of at most so many bytes go into runs. */
const SMALL_FILE = 2 * 1024;
/** Lengths of runs: each is one chunk. One is shorter where a larger file begins. */
const RUN: ChunkSizes = { min: 32 * 1024, average: 64 * 1024, max: SHORT_LENGTH };
/** Runs on their way to the store, in bytes. */
const WRITE_WINDOW = 8 * 1024 * 1024;
/** Memory that the list of a long file's chunks takes, about. */
const LIST = 64 * 1024;
/** Most chunks of a NAR that is pressed; its record takes 40 bytes for each. */
const MOST_CHUNKS = 1_000_000;

export interface PressOptions {
  readonly blobs: StoringBlobs;
  readonly directories: DirectoryService;
  readonly names: ByteStore;
  /** Where the record goes: the store in which the blobs' chunks are. */
  readonly bytes: ByteStore;
  readonly hashes: HashProvider;
  readonly signal?: AbortSignal;
  /** Files of at most so many bytes go into runs; default 2 KiB. Other files come of it. */
  readonly smallFile?: number;
  /** Most chunks; default a million. */
  readonly mostChunks?: number;
}

/** The record of a node's NAR, if there is one. One that is damaged counts as none. */
export async function readPressed(bytes: ByteStore, node: Node): Promise<PressedNar | undefined> {
  const key = pressedKey(pressedName(node));
  try {
    const record = await getLong(bytes, key);
    return record && new PressedNar(record.slice(), key); // not a view of a whole pack
  } catch (error) {
    if (error instanceof DamageError) return undefined;
    throw error;
  }
}

/**
 * Presses the NAR of a node, also where that was done before. Throws {@link MissingError} and {@link DamageError} where a part of
 * it is not there or damaged, {@link LimitError} for one of too many chunks; no record is left then. `StoreBusyError`:
 * garbage collection took a part of it meanwhile.
 */
export async function pressNar(node: Node, options: PressOptions): Promise<PressedNar> {
  const key = pressedKey(pressedName(node));
  const { names, bytes } = options;
  return await writeRecord(names, async () => {
    const record = await press(node, options);
    // What is there under a key of content-addressed values is not replaced.
    if (await bytes.has(key)) await bytes.delete(key);
    await hurried(bytes, () => putLong(bytes, key, record));
    return new PressedNar(record, key);
  }, async (pressed) => {
    await confirmRecord("the pressed NAR", () => checkChunks(pressed, options), () => bytes.delete(key));
  });
}

async function checkChunks(pressed: PressedNar, { blobs }: PressOptions): Promise<void> {
  for (let row = 0; row < pressed.count; row++) {
    const digest = pressed.digest(row);
    if (!await blobs.has(digest)) throw new MissingError("chunk", formatDigest(digest));
  }
}

async function press(node: Node, options: PressOptions): Promise<Bytes> {
  const { blobs, hashes, signal } = options;
  const rows = await layOut(node, options);
  const hasher = await hashes.create("sha256");
  let fileSize = 0;
  for await (const { first, forms } of storedChunks(rows, 0, rows.count, blobs)) {
    signal?.throwIfAborted();
    forms.forEach((form, i) => {
      const frame = frameOf(form);
      hasher.update(frame);
      rows.setLength(first + i, frame.length);
      fileSize += frame.length;
    });
  }
  return rows.encode(fileSize, hasher.digest());
}

/** The chunks of a NAR, all of which are durable. */
async function layOut(node: Node, options: PressOptions): Promise<ChunkRows> {
  const { blobs, directories, signal, smallFile = SMALL_FILE, mostChunks = MOST_CHUNKS } = options;
  const layout = await narLayout(node, directories);
  const rows = new ChunkRows();
  const runs = new Runs(rows, blobs);
  const parts = new NarParts(layout.segments(), blobs, {
    shortLength: smallFile,
    ask: ({ file }) => chunksOf(file, blobs),
    mostWeight: LIST,
  });
  try {
    for (let part = parts.next(); part; part = parts.next()) {
      signal?.throwIfAborted();
      if (part.type === "stretch") {
        for (const bytes of await stretchBytes(part, blobs)) {
          const room = runs.add(bytes);
          if (room) await room;
        }
      } else {
        await runs.end();
        for (const { digest, size } of await part.asked) rows.add(size, digest);
      }
      if (rows.count > mostChunks) {
        throw new LimitError(mostChunks, `Cannot press the NAR: it has over ${mostChunks} chunks`);
      }
    }
    await runs.end();
  } finally {
    await hurried(blobs, () => runs.idle());
  }
  runs.check();
  return rows;
}

/** The chunks of a larger file. One that is short is its chunk, which need not be read to know that. */
async function chunksOf(file: FileNode, blobs: StoringBlobs): Promise<readonly ChunkMeta[]> {
  const { digest, size } = file;
  if (size <= SHORT_LENGTH) return [{ digest, size }];
  if (size <= DEFAULT_CHUNK_SIZES.max) {
    // It may be one chunk, too. As it is stored, it is not decompressed to learn that.
    const [form] = await blobs.getStored([digest]);
    if (form) {
      checkSize(file, form.size);
      return [{ digest, size }];
    }
  }
  const chunks = await blobs.chunks(digest);
  if (!chunks) throw new MissingError("blob", formatDigest(digest));
  checkSize(file, chunks.reduce((sum, chunk) => sum + chunk.size, 0));
  return chunks;
}

/** Gathers runs, cuts and puts them. */
class Runs {
  #rows: ChunkRows;
  #blobs: StoringBlobs;
  #writes = new Background(WRITE_WINDOW);
  #buffer: Bytes = new Uint8Array(4 * RUN.max);
  /** What of the buffer is gathered and not put. */
  #start = 0;
  #filled = 0;

  constructor(rows: ChunkRows, blobs: StoringBlobs) {
    this.#rows = rows;
    this.#blobs = blobs;
  }

  /** Adds bytes, which are read before it returns. A promise is for room. */
  add(bytes: Bytes): void | Promise<void> {
    if (this.#filled + bytes.length > this.#buffer.length) this.#moveUp(bytes.length);
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
    if (this.#filled - this.#start >= RUN.max) return this.#put(RUN.max);
  }

  /** Ends the run: a larger file begins, or the NAR has ended. */
  end(): void | Promise<void> {
    if (this.#filled > this.#start) return this.#put(1);
  }

  /** Waits until nothing is on its way to the store. */
  idle(): Promise<void> {
    return this.#writes.idle();
  }

  /** Throws what putting failed with, if it did. */
  check(): void {
    this.#writes.check();
  }

  #moveUp(room: number): void {
    const gathered = this.#buffer.subarray(this.#start, this.#filled);
    if (gathered.length + room > this.#buffer.length) this.#buffer = new Uint8Array(gathered.length + room);
    this.#buffer.set(gathered);
    this.#filled = gathered.length;
    this.#start = 0;
  }

  /** Puts runs as long as so many bytes are gathered. */
  async #put(least: number): Promise<void> {
    while (this.#filled - this.#start >= least) {
      const ahead = this.#buffer.subarray(this.#start, Math.min(this.#filled, this.#start + RUN.max));
      const run = ahead.subarray(0, cutPoint(ahead, RUN));
      await this.#writes.room(run.length);
      const row = this.#rows.add(run.length);
      const putting = this.#blobs.put(run).then(({ digest }) => this.#rows.setDigest(row, digest));
      this.#writes.follow(run.length, putting);
      this.#start += run.length;
    }
  }
}

/** Waits for what was put, of which there is no more to come. */
async function hurried<T>(store: { hurry?(): () => void }, wait: () => Promise<T>): Promise<T> {
  const calm = store.hurry?.();
  try {
    return await wait();
  } finally {
    calm?.();
  }
}
