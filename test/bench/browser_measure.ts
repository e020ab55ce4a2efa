/** What is measured of a store in IndexedDB, in a worker of a browser. */
import { openIdb } from "../../src/adapters/idb/open_idb.ts";
import { type Bytes, fromText } from "../../src/bytes/bytes.ts";
import { openHashPool } from "../../src/hash/hash_pool.ts";
import type { HashProvider } from "../../src/hash/hasher.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import type { NarToken } from "../../src/nar/reader.ts";
import { writeNar } from "../../src/nar/writer.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import { servicesOver } from "../../src/store/services.ts";
import { measureFrames } from "./browser_frames.ts";

/** What is measured of a store. */
export interface StoreRequest {
  /** Bytes of the archive of large files. */
  readonly bigBytes: number;
  /** Whether SHA-256 has a worker of its own. */
  readonly pool: boolean;
}

/** What is measured: a store, or how frames are decompressed. */
export type BenchRequest = StoreRequest | "frames";

export interface BenchRow {
  readonly name: string;
  readonly unit: "MB/s" | "s";
  readonly value: number;
}

const PIECE = 256 * 1024;
const SMALL_FILES = 20_000;
const SMALL_LENGTH = 4096;
const BIG_FILE = 32_000_000;

/** Bytes that do not repeat, by the platform's generator. */
function randomBytes(length: number): Bytes {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += 65_536) crypto.getRandomValues(bytes.subarray(at, at + 65_536));
  return bytes;
}

export function* bigFiles(bytes: number): Generator<NarToken> {
  yield { type: "directory", name: new Uint8Array() };
  for (let made = 0; made < bytes; made += BIG_FILE) {
    const size = Math.min(BIG_FILE, bytes - made);
    yield { type: "file", name: fromText(`${made}`.padStart(12, "0")), executable: false, size };
    for (let at = 0; at < size; at += PIECE) {
      yield { type: "data", bytes: randomBytes(Math.min(PIECE, size - at)) };
    }
    yield { type: "end" };
  }
  yield { type: "end" };
}

export function* smallFiles(): Generator<NarToken> {
  yield { type: "directory", name: new Uint8Array() };
  for (let folder = 0; folder < SMALL_FILES / 100; folder++) {
    yield { type: "directory", name: fromText(`${folder}`.padStart(4, "0")) };
    for (let file = 0; file < 100; file++) {
      const name = fromText(`${file}`.padStart(2, "0"));
      yield { type: "file", name, executable: false, size: SMALL_LENGTH };
      yield { type: "data", bytes: randomBytes(SMALL_LENGTH) };
      yield { type: "end" };
    }
    yield { type: "end" };
  }
  yield { type: "end" };
}

/** The archive in memory, in the pieces that a download comes in. */
export async function archiveOf(tokens: Iterable<NarToken>): Promise<Bytes[]> {
  const pieces: Bytes[] = [];
  let piece = new Uint8Array(PIECE);
  let filled = 0;
  const reader = writeNar(tokens).getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    for (let at = 0; at < next.value.length;) {
      const part = next.value.subarray(at, at + PIECE - filled);
      piece.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < PIECE) continue;
      pieces.push(piece);
      piece = new Uint8Array(PIECE);
      filled = 0;
    }
  }
  pieces.push(piece.subarray(0, filled));
  return pieces;
}

async function secondsOf(task: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await task();
  return (performance.now() - start) / 1000;
}

/** Measures one row after the other, and tells each. */
export async function measure(
  request: BenchRequest,
  tell: (row: BenchRow) => void,
): Promise<void> {
  if (request === "frames") return await measureFrames(tell);
  const { bigBytes, pool } = request;
  const spawn = () => new Worker(new URL("/page.js#lane", location.href), { type: "module" });
  const lanes = pool ? openHashPool({ hashes: portableHashes, spawn, workers: 1, hashers: 1 }) : undefined;
  if (lanes && !await lanes.started(20_000)) throw new Error("the worker that hashes has not started");
  const hashes: HashProvider = lanes ?? portableHashes;
  for (const [name, tokens] of [["big", bigFiles(bigBytes)], ["small", smallFiles()]] as const) {
    const pieces = await archiveOf(tokens);
    await measureArchive(name, pieces, hashes, tell);
  }
  await lanes?.[Symbol.asyncDispose]();
}

async function measureArchive(
  name: string,
  pieces: Bytes[],
  hashes: HashProvider,
  tell: (row: BenchRow) => void,
): Promise<void> {
  const megabytes = pieces.reduce((sum, { length }) => sum + length, 0) / 1e6;
  const options = { indexedDB, name: `bench-${name}` };
  await deleteDatabase(options.name);
  let node;
  {
    await using home = await openIdb(options);
    const services = servicesOver(home);
    const seconds = await secondsOf(
      async () => ({ node } = await ingestNar(pieces, { ...services, hashes })),
    );
    tell({ name: `ingest/${name}`, unit: "MB/s", value: megabytes / seconds });
  }
  {
    const start = performance.now();
    await using home = await openIdb(options);
    tell({ name: `open/${name}`, unit: "s", value: (performance.now() - start) / 1000 });
    const { blobs, directories } = servicesOver(home);
    let length = 0;
    const seconds = await secondsOf(async () => {
      for await (const piece of renderNar(await narLayout(node!, directories), blobs)) length += piece.length;
    });
    if (length / 1e6 !== megabytes) throw new Error(`${length} bytes were rendered`);
    tell({ name: `render/${name}`, unit: "MB/s", value: megabytes / seconds });
  }
  await deleteDatabase(options.name);
}

function deleteDatabase(name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.deleteDatabase(name);
    request.onsuccess = () => resolve();
    request.onerror = () => reject(request.error);
  });
}
