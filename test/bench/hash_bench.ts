/**
 * Speeds of the hashes, each against a peer in the same run: `deno run -A test/bench/hash_bench.ts`. One line of JSON a
 * row; `ratio` is ours over the peer's. The two take turns, and the best of 21 rounds counts (of 5 where a round is
 * 1 GiB): whatever else the machine does can only slow a round.
 *
 * `b3sum` is the Rust implementation; its rows are there only where it is on PATH. It reads its input from a file in the
 * page cache, ours is in memory.
 */
import { createHash } from "node:crypto";
import { createBLAKE3, createSHA256 } from "hash-wasm";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { type Bytes, EMPTY } from "../../src/bytes/bytes.ts";
import { chunksOf } from "../castore/_chunks.ts";
import { BlobHasher } from "../../src/hash/blob_hasher.ts";
import { ownHashes } from "../../src/hash/blob_hashes.ts";
import { blake3, createBlake3, kernelName } from "../../src/hash/blake3.ts";
import { cutPoint, DEFAULT_CHUNK_SIZES } from "../../src/hash/fastcdc.ts";
import { plainCutPoint } from "../../src/hash/fastcdc_plain.ts";
import { type HashPool, openHashPool } from "../../src/hash/hash_pool.ts";
import type { Hasher } from "../../src/hash/hasher.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { writeNar } from "../../src/nar/writer.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { servicesOver } from "../../src/store/services.ts";

const ROUNDS = 21, LONG_ROUNDS = 5;
const KIB = 1024, MIB = 1024 * 1024;

type Task = () => void | Promise<void>;

/** Measures two tasks that each work through `size` bytes. */
async function compare(name: string, size: number, ours: Task, peer: string, theirs: Task): Promise<void> {
  const speeds: [number[], number[]] = [[], []];
  const rounds = size > 8 * MIB ? LONG_ROUNDS : ROUNDS;
  for (let round = rounds > 5 ? -3 : -1; round < rounds; round++) {
    for (const [which, work] of [ours, theirs].entries()) {
      const start = performance.now();
      const wait = work();
      if (wait) await wait;
      if (round >= 0) speeds[which].push(size / 1000 / (performance.now() - start));
    }
  }
  const [value, other] = speeds.map((list) => Math.max(...list));
  const row = { name, value: Math.round(value), unit: "MB/s", peer: `${peer} ${Math.round(other)}` };
  console.log(JSON.stringify({ ...row, ratio: Number((value / other).toFixed(2)) }));
}

/** Does the work as often as makes 8 MiB of inputs of this size. */
function repeated(size: number, work: (input: Bytes) => void): () => void {
  const input = DATA.subarray(0, size);
  return () => {
    for (let done = 0; done < 8 * MIB; done += size) work(input);
  };
}

function chunkAll(cut: (bytes: Bytes) => number): () => void {
  return () => {
    for (let at = 0; at < DATA.length;) at += cut(DATA.subarray(at));
  };
}

const DATA = new Uint8Array(8 * MIB);
for (let at = 0; at < DATA.length; at += 64 * KIB) crypto.getRandomValues(DATA.subarray(at, at + 64 * KIB));

const peer = await createBLAKE3();
for (const size of [64, KIB, 4 * KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB]) {
  await compare(
    `${kernelName} BLAKE3, ${size} bytes at once`,
    8 * MIB,
    repeated(size, (input) => blake3(input)),
    "hash-wasm",
    repeated(size, (input) => peer.init().update(input).digest("binary")),
  );
}
for (const size of [64, 500, KIB, 4 * KIB, 16 * KIB]) {
  const inputs = Array.from(
    { length: Math.min(1024, 512 * KIB / size) },
    (_, i) => DATA.subarray(i * size, (i + 1) * size),
  );
  const all = inputs.length * size;
  await compare(
    `${kernelName} BLAKE3, ${inputs.length} inputs of ${size} bytes in one call`,
    8 * MIB,
    () => {
      for (let done = 0; done < 8 * MIB; done += all) ownHashes.digests(inputs);
    },
    "hash-wasm, one by one",
    repeated(size, (input) => peer.init().update(input).digest("binary")),
  );
}
const hasher = createBlake3();
peer.init();
for (const size of [4 * KIB, 64 * KIB, MIB]) {
  await compare(
    `${kernelName} BLAKE3, updates of ${size} bytes`,
    8 * MIB,
    repeated(size, (input) => hasher.update(input)),
    "hash-wasm",
    repeated(size, (input) => peer.update(input)),
  );
}
const several = Array.from({ length: 8 }, () => createBlake3());
let turn = 0;
await compare(
  `${kernelName} BLAKE3, eight hashers in turn, updates of 65536 bytes`,
  8 * MIB,
  repeated(64 * KIB, (input) => several[turn++ % 8].update(input)),
  "hash-wasm alone",
  repeated(64 * KIB, (input) => peer.update(input)),
);
await compare(
  `${kernelName} FastCDC, default sizes`,
  8 * MIB,
  chunkAll((bytes) => cutPoint(bytes)),
  "plain TypeScript",
  chunkAll((bytes) => plainCutPoint(bytes, DEFAULT_CHUNK_SIZES)),
);

const sha256 = await createSHA256();
sha256.init();
const portable = await portableHashes.create("sha256"), native = await nativeHashes.create("sha256");
const direct = createHash("sha256");
await compare(
  "portable SHA-256, updates of 65536 bytes",
  8 * MIB,
  repeated(64 * KIB, (input) => portable.update(input)),
  "hash-wasm",
  repeated(64 * KIB, (input) => sha256.update(input)),
);
await compare(
  "native SHA-256, updates of 65536 bytes",
  8 * MIB,
  repeated(64 * KIB, (input) => native.update(input)),
  "node:crypto",
  repeated(64 * KIB, (input) => direct.update(input)),
);

const hashWasm = repeated(64 * KIB, (input) => peer.update(input));
await compare(
  "chunks cut and hashed, one thread",
  8 * MIB,
  () => {
    for (const chunk of chunksOf(DATA)) blake3(chunk);
  },
  "hash-wasm BLAKE3 alone",
  hashWasm,
);
await compare(
  "chunks cut and hashed, the whole hashed with its outboard, one thread",
  8 * MIB,
  () => {
    const blob = new BlobHasher(ownHashes);
    for (let at = 0; at < DATA.length;) {
      at += blob.cut(DATA.subarray(at, at + DEFAULT_CHUNK_SIZES.max)).length;
    }
  },
  "hash-wasm BLAKE3 alone",
  hashWasm,
);

const LONG = new Uint8Array(1024 * MIB);
for (let at = 0; at < LONG.length; at += 64 * KIB) crypto.getRandomValues(LONG.subarray(at, at + 64 * KIB));

/** Hashes all of LONG. */
function long(start: () => Hasher): () => void {
  return () => {
    const hasher = start();
    for (let at = 0; at < LONG.length; at += MIB) hasher.update(LONG.subarray(at, at + MIB));
    hasher.digest();
  };
}

/** Takes LONG in as a NAR of one file, in pieces as a server reads them. */
async function ingestLong(hashes: HashPool): Promise<void> {
  const services = servicesOver({ names: openMemory(), bytes: openMemory() }, hashes);
  const nar = writeNar((function* () {
    yield { type: "file" as const, name: EMPTY, executable: false, size: LONG.length };
    for (let at = 0; at < LONG.length; at += 256 * KIB) {
      yield { type: "data" as const, bytes: LONG.subarray(at, at + 256 * KIB) };
    }
    yield { type: "end" as const };
  })());
  await ingestNar(nar, { ...services, hashes });
}

for (const workers of [0, 1, 2]) {
  const spawn = () => new Worker(new URL("../hash/_lane_worker.ts", import.meta.url), { type: "module" });
  await using pool = openHashPool({ hashes: nativeHashes, spawn, workers });
  await pool.started(10_000);
  const beside = `${workers} workers beside this thread`;
  await compare(
    `ingest of a 1 GiB file into memory, ${beside}`,
    LONG.length,
    () => ingestLong(pool),
    "SHA-256 of node:crypto alone",
    long(() => createHash("sha256") as unknown as Hasher),
  );
  const b3sum = await besideB3sum();
  if (!b3sum) continue;
  const ours = long(() => workers === 0 ? createBlake3() : pool.createBlake3());
  await compare(
    `${kernelName} BLAKE3 of 1 GiB, ${beside}`,
    LONG.length,
    ours,
    "b3sum, one thread",
    b3sum.task,
  );
  await Deno.remove(b3sum.file);
}

/** `b3sum` over a file that holds LONG, or `undefined` where it is not installed. */
async function besideB3sum(): Promise<{ file: string; task: () => Promise<void> } | undefined> {
  const file = await Deno.makeTempFile({ prefix: "firn-bench-" });
  const command = new Deno.Command("b3sum", { args: ["--num-threads", "1", file], stdout: "null" });
  try {
    await command.output(); // of an empty file: only to see whether it is there
  } catch {
    return void await Deno.remove(file);
  }
  await Deno.writeFile(file, LONG);
  return { file, task: async () => void await command.output() };
}
