/** Hashing many inputs, and chunks with their groups, in one call: hash-wasm and the parts of the tree are the second opinions. */
import assert from "node:assert/strict";
import { createBLAKE3 } from "hash-wasm";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { outboardOf } from "../../src/hash/bao.ts";
import { BlobHasher } from "../../src/hash/blob_hasher.ts";
import { ownHashes, stage } from "../../src/hash/blob_hashes.ts";
import { subtreeValue } from "../../src/hash/blake3_tree.ts";
import vectors from "../vectors/hash/blake3.json" with { type: "json" };
import { chunksOf } from "../castore/_chunks.ts";
import { countedBytes, seeded, seededBytes } from "./_inputs.ts";

const GROUP = 16 * 1024;
const oracle = await createBLAKE3();

function expected(bytes: Bytes): string {
  return oracle.init().update(bytes).digest();
}

function texts(digests: readonly Uint8Array[]): string[] {
  return digests.map(toHex);
}

Deno.test("together: the official vectors, alone and with each other", () => {
  const inputs = vectors.cases.map(({ length }) => countedBytes(length));
  const digests = vectors.cases.map(({ digest }) => digest);
  assert.deepEqual(texts(ownHashes.digests(inputs)), digests);
  for (const [i, input] of inputs.entries()) {
    assert.deepEqual(texts(ownHashes.digests([input])), [digests[i]]);
  }
});

Deno.test("together: lengths around every boundary up to 512 KiB, one and eight at a time, and in any company", () => {
  const bytes = seededBytes(524_288, 51);
  const lengths = [0, 1, 63, 64, 65, 127, 128, 129];
  for (let chunks = 1; chunks <= 512; chunks *= 2) {
    lengths.push(...[-1, 0, 1].map((by) => 1024 * chunks + by));
  }
  const inputs = lengths.filter((length) => length <= bytes.length).map((length) =>
    bytes.subarray(0, length)
  );
  for (const input of inputs) {
    const want = expected(input);
    assert.deepEqual(texts(ownHashes.digests([input])), [want], `${input.length} bytes`);
    if (input.length > 60_000) continue;
    const eight = Array.from({ length: 8 }, () => input);
    assert.deepEqual(texts(ownHashes.digests(eight)), eight.map(() => want), `8 times ${input.length} bytes`);
  }
  const next = seeded(52);
  for (let round = 0; round < 60; round++) {
    const company = Array.from({ length: 1 + next(50) }, () => inputs[next(inputs.length)]);
    assert.deepEqual(texts(ownHashes.digests(company)), company.map(expected), `round ${round}`);
  }
});

Deno.test("together: more inputs than fit at once, none, and one that is longer than there is room for", () => {
  const bytes = seededBytes(3_000_000, 53);
  const tiny = Array.from({ length: 3000 }, (_, i) => bytes.subarray(i, i + i % 130));
  assert.deepEqual(texts(ownHashes.digests(tiny)), tiny.map(expected));
  assert.deepEqual(ownHashes.digests([]), []);
  const mixed = [bytes.subarray(5, 15), bytes, bytes.subarray(0, 524_289)];
  assert.deepEqual(texts(ownHashes.digests(mixed)), mixed.map(expected));
});

Deno.test("a chunk's groups are those that lie wholly in it, wherever it begins", () => {
  const bytes = seededBytes(524_288, 54);
  const next = seeded(55);
  const starts = [0, 1, GROUP - 1, GROUP, GROUP + 1, 2 ** 40 + 77];
  for (let round = 0; round < 60; round++) {
    const start = round < starts.length ? starts[round] : next(1 << 30);
    const chunk = bytes.subarray(0, round % 2 ? next(524_288) : 524_288 - next(3));
    const { digest, groups } = stage!.chunk(chunk, start);
    assert.equal(toHex(digest), expected(chunk));
    const want: string[] = [];
    for (let group = Math.ceil(start / GROUP); (group + 1) * GROUP <= start + chunk.length; group++) {
      const at = group * GROUP - start;
      want.push(toHex(subtreeValue(chunk.subarray(at, at + GROUP), group * 16)));
    }
    assert.equal(toHex(groups), want.join(""), `${chunk.length} bytes at ${start}`);
  }
});

Deno.test("a blob's chunks, digest and outboard are what each gives by itself", async () => {
  const bytes = seededBytes(5_000_000, 56);
  for (
    const length of [0, 1, GROUP, GROUP + 1, 131_072, 400_000, 524_289, 16 * GROUP, 3_000_001, bytes.length]
  ) {
    const whole = bytes.subarray(0, length);
    const hasher = new BlobHasher(ownHashes);
    const digests: Uint8Array[] = [];
    for (let at = 0; at < length;) {
      const { length: cut, digest } = hasher.cut(whole.subarray(at, at + 524_288));
      digests.push(await digest);
      at += cut;
    }
    assert.deepEqual(texts(digests), [...chunksOf(whole)].map(expected), `chunks of ${length} bytes`);
    const { digest, size, outboard } = await hasher.end();
    assert.equal(toHex(digest), expected(whole));
    assert.equal(size, length);
    assert.deepEqual(outboard, digests.length > 1 ? (await outboardOf(whole)).outboard : undefined);
  }
});
