/** Hashing in workers: node:crypto, hash-wasm and the vectors of BLAKE3 are the second opinions. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { blake3 as peer } from "hash-wasm";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { HASH_LENGTHS, type HashName } from "../../src/hash/hasher.ts";
import { type HashPool, openHashPool } from "../../src/hash/hash_pool.ts";
import { seeded, seededBytes } from "./_inputs.ts";

const MIB = 1024 * 1024;
const NAMES = Object.keys(HASH_LENGTHS) as HashName[];

function open(workers: number, name?: string): HashPool {
  const spawn = () => new Worker(new URL("_lane_worker.ts", import.meta.url), { type: "module", name });
  return openHashPool({ hashes: nativeHashes, spawn, workers });
}

for (const workers of [0, 1, 2]) {
  Deno.test(`hashers side by side, ${workers} workers`, async () => {
    await using pool = open(workers);
    assert.equal(await pool.started(10_000), workers > 0);
    const next = seeded(31);
    const bytes = seededBytes(6 * MIB, 32);
    const hashers = await Promise.all(Array.from({ length: 12 }, (_, i) => pool.create(NAMES[i % 4])));
    const ends = hashers.map(() => 0);
    for (let round = 0; round < 200; round++) {
      const which = next(hashers.length), start = ends[which];
      if (which === 5) continue; // stays short
      ends[which] = Math.min(bytes.length, start + next(round % 20 === 0 ? 2 * MIB : 60_000));
      hashers[which].update(bytes.subarray(start, ends[which]));
    }
    hashers.forEach((hasher, which) => {
      const expected = createHash(NAMES[which % 4]).update(bytes.subarray(0, ends[which])).digest("hex");
      assert.equal(toHex(hasher.digest()), expected, `${NAMES[which % 4]} of ${ends[which]} bytes`);
    });
  });

  Deno.test(`BLAKE3 in parts, ${workers} workers`, async () => {
    await using pool = open(workers);
    await pool.started(10_000);
    const bytes = seededBytes(9 * MIB, 33);
    const lengths = [0, 1, 1024, 262_143, 262_144, 262_145, 524_287, 524_288, 524_289, 786_433];
    lengths.push(...[MIB, 2 * MIB, 4 * MIB, 8 * MIB].flatMap((length) => [length - 1, length, length + 1]));
    for (const [index, length] of lengths.entries()) {
      const input = bytes.subarray(0, length);
      const hasher = pool.createBlake3();
      const step = [length, 65_536, 262_144, 1_000_003][index % 4] || 1;
      for (let at = 0; at < length; at += step) hasher.update(input.subarray(at, at + step));
      assert.equal(toHex(hasher.digest()), await peer(input), `${length} bytes, ${step} at a time`);
    }
  });
}

Deno.test("input is read before update returns", async () => {
  await using pool = open(1);
  await pool.started(10_000);
  const hasher = await pool.create("sha256"), parts = pool.createBlake3();
  const bytes = seededBytes(MIB, 34);
  const expected = createHash("sha256"), whole: number[] = [];
  const piece = new Uint8Array(300_000);
  for (let at = 0; at < bytes.length; at += piece.length) {
    const part = piece.subarray(0, Math.min(piece.length, bytes.length - at));
    part.set(bytes.subarray(at, at + part.length));
    hasher.update(part);
    parts.update(part);
    expected.update(part);
    whole.push(part.length);
    piece.fill(0);
  }
  assert.equal(toHex(hasher.digest()), expected.digest("hex"));
  assert.equal(toHex(parts.digest()), await peer(bytes));
});

Deno.test("a worker that fails is told of once, then done without", async () => {
  await using pool = open(1, "failing");
  assert.ok(await pool.started(10_000));
  const bytes = seededBytes(MIB, 35);
  const hasher = await pool.create("sha256");
  hasher.update(bytes);
  assert.throws(() => hasher.digest(), /Cannot hash: the worker that hashes has failed/);
  const again = await pool.create("sha256");
  again.update(bytes);
  assert.equal(toHex(again.digest()), createHash("sha256").update(bytes).digest("hex"));
});

Deno.test("a pool whose worker has failed unnoticed can be closed", async () => {
  const pool = open(1, "failing");
  assert.ok(await pool.started(10_000));
  const hasher = await pool.create("sha256");
  hasher.update(new Uint8Array(16 * 256 * 1024)); // all of its slots, so that there is none to ask it to stop in
  await pool[Symbol.asyncDispose]();
});

Deno.test("after the pool is closed short and long inputs are hashed here; what was begun there fails", async () => {
  const pool = open(1);
  await pool.started(10_000);
  const bytes = seededBytes(MIB, 36);
  const begun = await pool.create("sha256");
  begun.update(bytes);
  await pool[Symbol.asyncDispose]();
  assert.throws(() => begun.update(bytes), /have been stopped/);
  const hasher = await pool.create("sha256");
  hasher.update(bytes);
  assert.equal(toHex(hasher.digest()), createHash("sha256").update(bytes).digest("hex"));
});

Deno.test("no worker goes on after the pool is closed", async () => {
  // A worker keeps its process alive: this one ends by itself, or is ended.
  const code = `
    import { openHashPool } from ${
    JSON.stringify(new URL("../../src/hash/hash_pool.ts", import.meta.url).href)
  };
    import { portableHashes } from ${
    JSON.stringify(new URL("../../src/hash/hashes.ts", import.meta.url).href)
  };
    const spawn = () => new Worker(${
    JSON.stringify(new URL("_lane_worker.ts", import.meta.url).href)
  }, { type: "module" });
    const pool = openHashPool({ hashes: portableHashes, spawn, workers: 2 });
    const begun = openHashPool({ hashes: portableHashes, spawn, workers: 1 });
    await begun[Symbol.asyncDispose](); // before it has started
    console.log(await pool.started(10_000));
    const hasher = await pool.create("sha256");
    hasher.update(new Uint8Array(1 << 20));
    await pool[Symbol.asyncDispose]();`;
  const module = `data:application/typescript,${encodeURIComponent(code)}`;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const { code: status, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", config, module],
    signal: AbortSignal.timeout(40_000),
  }).output();
  assert.equal(status, 0, new TextDecoder().decode(stderr));
  assert.equal(new TextDecoder().decode(stdout), "true\n");
});
