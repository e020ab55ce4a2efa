/** Hashing in workers: node:crypto, hash-wasm and the vectors of BLAKE3 are the second opinions. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { blake3 as peer } from "hash-wasm";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { BlobHasher } from "../../src/hash/blob_hasher.ts";
import { outboardOf } from "../../src/hash/bao.ts";
import { HASH_LENGTHS, type HashName } from "../../src/hash/hasher.ts";
import { HashLane, laneMemory } from "../../src/hash/hash_lane.ts";
import { type HashPool, openHashPool } from "../../src/hash/hash_pool.ts";
import { seeded, seededBytes } from "./_inputs.ts";

const MIB = 1024 * 1024;
const NAMES = Object.keys(HASH_LENGTHS) as HashName[];

function open(workers: number, name?: string): HashPool {
  const spawn = () => new Worker(new URL("_lane_worker.ts", import.meta.url), { type: "module", name });
  return openHashPool({ hashes: nativeHashes, spawn, workers, hashers: workers });
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

Deno.test("a worker that is alone takes no whole hashes unless told to", async () => {
  const spawn = () =>
    new Worker(new URL("_lane_worker.ts", import.meta.url), { type: "module", name: "failing" });
  await using pool = openHashPool({ hashes: nativeHashes, spawn, workers: 1 });
  assert.ok(await pool.started(10_000));
  const bytes = seededBytes(MIB, 37);
  const hasher = await pool.create("sha256");
  hasher.update(bytes);
  assert.equal(toHex(hasher.digest()), createHash("sha256").update(bytes).digest("hex"));
});

Deno.test("a pool whose worker has failed unnoticed can be closed", async () => {
  const pool = open(1, "failing");
  assert.ok(await pool.started(10_000));
  const hasher = await pool.create("sha256");
  hasher.update(new Uint8Array(16 * 512 * 1024)); // all of its slots, so that there is none to ask it to stop in
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
    for (const ms of [0, 10, 20, 30, 40, 60, 80]) { // before it has started, or just then
      const begun = openHashPool({ hashes: portableHashes, spawn, workers: 1 });
      await new Promise((resolve) => setTimeout(resolve, ms));
      await begun[Symbol.asyncDispose]();
    }
    const failing = openHashPool({
      hashes: portableHashes,
      spawn: () => new Worker(${
    JSON.stringify(new URL("_lane_worker.ts", import.meta.url).href)
  }, { type: "module", name: "failing" }),
      workers: 1,
      hashers: 1,
    });
    await failing.started(10_000);
    (await failing.create("sha256")).update(new Uint8Array(16 * 512 * 1024));
    await failing[Symbol.asyncDispose]();
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

for (const workers of [0, 1, 2]) {
  Deno.test(`digests and chunks of blobs, ${workers} workers`, async () => {
    await using pool = open(workers);
    await pool.started(10_000);
    const next = seeded(41);
    const bytes = seededBytes(6 * MIB, 42);
    for (let round = 0; round < 30; round++) {
      const inputs = Array.from({ length: next(300) }, () => {
        const start = next(bytes.length - 20_000);
        return bytes.subarray(start, start + next(round % 3 === 0 ? 20_000 : 1500));
      });
      const expected = await Promise.all(inputs.map((input) => peer(input)));
      const given = inputs.map((input) => input.slice());
      const digests = pool.digests(given);
      for (const input of given) input.fill(0);
      assert.deepEqual((await digests).map((digest) => toHex(digest)), expected);
    }
    // Many at once: more than the workers take.
    const hashers = Array.from({ length: 3 }, () => new BlobHasher(pool));
    const lengths = [bytes.length, 3 * MIB + 1, 200_000];
    const chunks = hashers.map((hasher, i) => {
      const cuts: { start: number; end: number; digest: Uint8Array | Promise<Uint8Array> }[] = [];
      for (let at = 0; at < lengths[i];) {
        const { length, digest } = hasher.cut(bytes.slice(at, Math.min(at + 524_288, lengths[i])));
        cuts.push({ start: at, end: at += length, digest });
      }
      return cuts;
    });
    for (const [i, hasher] of hashers.entries()) {
      const whole = bytes.subarray(0, lengths[i]);
      const { digest, size, outboard } = await hasher.end();
      assert.equal(size, lengths[i]);
      assert.equal(toHex(digest), await peer(whole));
      const bao = await outboardOf(whole);
      if (chunks[i].length > 1) assert.deepEqual(outboard, bao.outboard);
      for (const { start, end, digest } of chunks[i]) {
        assert.equal(toHex(await digest), await peer(bytes.subarray(start, end)), `${start} to ${end}`);
      }
    }
  });
}

Deno.test("a worker that fails rejects what it was to hash, and takes no more", async () => {
  const memory = laneMemory();
  const worker = new Worker(new URL("_lane_worker.ts", import.meta.url), { type: "module", name: "failing" });
  worker.postMessage(memory);
  const lane = new HashLane(memory);
  while (!lane.ready) await new Promise((resolve) => setTimeout(resolve, 5));
  const input = seededBytes(100_000, 43);
  const work = { operation: "digests" } as const;
  const digest = () => lane.promise(work, [input], toHex);
  assert.equal(await digest(), await peer(input));
  lane.put({ operation: "update", hasher: 1, hash: "sha256" }, [input]); // makes it fail
  await assert.rejects(digest(), /the worker that hashes has failed/);
  assert.equal(lane.ready, false);
  await assert.rejects(digest(), /have been stopped/);
  assert.equal(lane.stop(), true);
});
