/**
 * Speeds of the hashes, each against a peer in the same run: `deno run -A test/bench/hash_bench.ts`. One line of JSON a
 * row; `ratio` is ours over the peer's. The two take turns, and the best of 21 rounds counts: whatever else the machine
 * does can only slow a round.
 */
import { createHash } from "node:crypto";
import { createBLAKE3, createSHA256 } from "hash-wasm";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { blake3, createBlake3, kernelName } from "../../src/hash/blake3.ts";
import { cutPoint, DEFAULT_CHUNK_SIZES } from "../../src/hash/fastcdc.ts";
import { plainCutPoint } from "../../src/hash/fastcdc_plain.ts";
import { portableHashes } from "../../src/hash/hashes.ts";

const ROUNDS = 21;
const KIB = 1024, MIB = 1024 * 1024;

/** Measures two functions that each work through `size` bytes. */
function compare(name: string, size: number, ours: () => void, peer: string, theirs: () => void): void {
  const speeds: [number[], number[]] = [[], []];
  for (let round = -3; round < ROUNDS; round++) {
    [ours, theirs].forEach((work, which) => {
      const start = performance.now();
      work();
      if (round >= 0) speeds[which].push(size / 1000 / (performance.now() - start));
    });
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
  compare(
    `${kernelName} BLAKE3, ${size} bytes at once`,
    8 * MIB,
    repeated(size, (input) => blake3(input)),
    "hash-wasm",
    repeated(size, (input) => peer.init().update(input).digest("binary")),
  );
}
const hasher = createBlake3();
peer.init();
for (const size of [4 * KIB, 64 * KIB, MIB]) {
  compare(
    `${kernelName} BLAKE3, updates of ${size} bytes`,
    8 * MIB,
    repeated(size, (input) => hasher.update(input)),
    "hash-wasm",
    repeated(size, (input) => peer.update(input)),
  );
}
const several = Array.from({ length: 8 }, () => createBlake3());
let turn = 0;
compare(
  `${kernelName} BLAKE3, eight hashers in turn, updates of 65536 bytes`,
  8 * MIB,
  repeated(64 * KIB, (input) => several[turn++ % 8].update(input)),
  "hash-wasm alone",
  repeated(64 * KIB, (input) => peer.update(input)),
);
compare(
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
compare(
  "portable SHA-256, updates of 65536 bytes",
  8 * MIB,
  repeated(64 * KIB, (input) => portable.update(input)),
  "hash-wasm",
  repeated(64 * KIB, (input) => sha256.update(input)),
);
compare(
  "native SHA-256, updates of 65536 bytes",
  8 * MIB,
  repeated(64 * KIB, (input) => native.update(input)),
  "node:crypto",
  repeated(64 * KIB, (input) => direct.update(input)),
);
