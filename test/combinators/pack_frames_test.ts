/** Packs of compressed values: plain to who asks for values, frames to who asks for what is stored. */
import assert from "node:assert/strict";
import { zstdDecompressSync } from "node:zlib";
import { nativeFrames } from "../../src/adapters/native/frames.ts";
import { openFrames } from "../../src/cli/frames.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { type Bytes, fromText } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { frameContentSize } from "../../src/bytes/zstd_frame.ts";
import type { FrameEncoder } from "../../src/combinators/pack_frames.ts";
import { PackWriter, readPackTable } from "../../src/combinators/pack_format.ts";
import { FRAME, type PackIndex } from "../../src/combinators/pack_index.ts";
import { openPacked, type PackedStore } from "../../src/combinators/packed.ts";
import { DamageError, FormatError } from "../../src/errors.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { hashOf, pattern } from "../contract/_byte_store_samples.ts";
import { INDEXES } from "./_packs.ts";

const encoder = openFrames({ level: 1, workers: 0 }).encoder!;
const both = { decoder: nativeFrames, encoder };

const key = (n: number) => `chunk/${hashOf(n)}`;
const prose = (n: number, length: number): Bytes => {
  const text = Array.from({ length: length / 8 }, (_, i) => `${(i * (n + 3)) % 997} grains `).join("");
  return fromText(text).subarray(0, length);
};
const noise = (n: number, length: number): Bytes => {
  const bytes = new Uint8Array(length);
  let state = n + 1;
  for (let i = 0; i < length; i++) bytes[i] = (state = Math.imul(state, 1664525) + 1013904223 | 0) >>> 24;
  return bytes;
};
/** Values of every sort: empty, too short, compressible, not, and as long as a chunk may be. */
const VALUES: readonly Bytes[] = [
  new Uint8Array(0),
  fromText("short"),
  prose(1, 4096),
  noise(1, 4096),
  prose(2, 100_000),
  noise(2, 100_000),
  prose(3, 512 * 1024),
  ...Array.from({ length: 40 }, (_, i) => prose(10 + i, 3000 + i)),
];

interface Parts {
  readonly bytes: ReturnType<typeof openMemory>;
  readonly names: ReturnType<typeof openMemory>;
}
const newParts = (): Parts => ({ bytes: openMemory(), names: openMemory() });

async function fill(store: PackedStore): Promise<void> {
  await Promise.all(VALUES.map((value, i) => store.put(key(i), value)));
}

async function checkAll(store: PackedStore): Promise<void> {
  for (const [i, value] of VALUES.entries()) {
    sameBytes((await store.get(key(i)))!, value);
    const range = { start: 10, end: 2000 };
    sameBytes((await store.get(key(i), range))!, value.subarray(10, 2000));
  }
  const forms = await store.getStored([...VALUES.keys()].map(key));
  for (const [i, form] of forms.entries()) {
    assert.equal(form!.size, VALUES[i].length);
    const plain = form!.frame ? zstdDecompressSync(form!.bytes) : form!.bytes;
    sameBytes(plain as Bytes, VALUES[i]);
    if (form!.frame) assert.equal(frameContentSize(form!.bytes), VALUES[i].length);
  }
  assert.deepEqual(forms.map((form) => form!.frame).slice(0, 7), [
    false,
    false,
    true,
    false,
    true,
    false,
    true,
  ]);
}

for (const [kind, makeIndex] of Object.entries(INDEXES)) {
  const open = async (parts: Parts, index?: PackIndex, frames: Partial<typeof both> = both) => {
    return await openPacked({
      ...parts,
      index: index ?? await makeIndex(),
      frames: frames as typeof both,
    });
  };

  Deno.test(`packed frames with ${kind}: values are what they were, warm, cold, and with the index made anew`, async () => {
    const parts = newParts();
    const store = await open(parts);
    await fill(store);
    await checkAll(store);
    assert.equal((await store.getStored([key(999)]))[0], undefined);
    await store[Symbol.asyncDispose]();
    await using anew = await open(parts);
    await checkAll(anew);
    const sum = VALUES.reduce((all, { length }) => all + length, 0);
    const { live } = await anew.use();
    assert.ok(live < sum * 0.6, `${live} of ${sum} bytes`);
  });

  Deno.test(`packed frames with ${kind}: a value that was just put is found, stored, while it is compressed`, async () => {
    await using store = await open(newParts());
    const putting = store.put(key(2), VALUES[2]);
    while (!await store.get(key(2))) await new Promise((resolve) => setTimeout(resolve));
    const [form] = await store.getStored([key(2)]);
    assert.ok(form!.frame);
    await putting;
  });

  Deno.test(`packed frames with ${kind}: compaction moves frames as they are`, async () => {
    const parts = newParts();
    const store = await open(parts);
    await fill(store);
    const before = await store.getStored([...VALUES.keys()].map(key));
    const plenty = Array.from(
      { length: 30 },
      (_, i) => [`chunk/${hashOf(5000 + i)}`, prose(i, 60_000)] as const,
    );
    await Promise.all(plenty.map(([key, value]) => store.put(key, value)));
    for (const [key] of plenty) await store.delete(key);
    for (const i of VALUES.keys()) if (i % 3 === 0) await store.delete(key(i));
    const { rewritten } = await store.compact({ dead: 0.01 });
    assert.ok(rewritten > 0);
    const kept = [...VALUES.keys()].filter((i) => i % 3 !== 0);
    const check = async (store: PackedStore) => {
      const after = await store.getStored(kept.map(key));
      for (const [n, i] of kept.entries()) {
        assert.equal(after[n]!.frame, before[i]!.frame);
        sameBytes(after[n]!.bytes, before[i]!.bytes);
        sameBytes((await store.get(key(i)))!, VALUES[i]);
      }
      assert.equal(await store.get(key(0)), undefined);
    };
    await check(store);
    await store[Symbol.asyncDispose]();
    await using anew = await open(parts);
    await check(anew);
  });

  Deno.test(`packed frames with ${kind}: a bit that flipped is found, and who is beside it is not harmed`, async () => {
    const parts = newParts();
    const store = await open(parts);
    await fill(store);
    const [form] = await store.getStored([key(4)]);
    await store[Symbol.asyncDispose]();
    await flip(parts.bytes, form!.bytes);
    await using anew = await open(parts);
    const damaged = (error: unknown) => error instanceof DamageError && error.message.includes(key(4));
    await assert.rejects(anew.getStored([key(4)]), damaged);
    const plain = await anew.get(key(4)).catch((error) => error);
    // A decoder may not notice: who knows the digest does.
    if (plain instanceof Error) assert.ok(damaged(plain));
    else assert.notDeepEqual(plain, VALUES[4]);
    sameBytes((await anew.get(key(6)))!, VALUES[6]);
    assert.ok((await anew.getStored([key(6)]))[0]!.frame);
  });
}

Deno.test("packed frames: what was stored plain stays, and is read beside frames", async () => {
  const parts = newParts();
  const index = await INDEXES["an index in memory"]();
  const before = await openPacked({ ...parts, index });
  await before.put(key(2), VALUES[2]);
  await before[Symbol.asyncDispose]();
  await using store = await openPacked({
    ...parts,
    index: await INDEXES["an index in memory"](),
    frames: both,
  });
  await store.put(key(2), VALUES[2]);
  await store.put(key(4), VALUES[4]);
  const forms = await store.getStored([key(2), key(4)]);
  assert.deepEqual(forms.map((form) => form!.frame), [false, true]);
  sameBytes((await store.get(key(2)))!, VALUES[2]);
  sameBytes((await store.get(key(4)))!, VALUES[4]);
});

Deno.test("packed frames: only chunks are compressed", async () => {
  await using store = await openPacked({
    ...newParts(),
    index: await INDEXES["an index in memory"](),
    frames: both,
  });
  const keys = [`dir/${hashOf(1)}`, `blob/${hashOf(1)}`, `outboard/${hashOf(1)}`, `chunk/${hashOf(1)}`];
  await Promise.all(keys.map((key) => store.put(key, prose(1, 10_000))));
  assert.deepEqual((await store.getStored(keys)).map((form) => form!.frame), [false, false, false, true]);
});

Deno.test("packed frames: without an encoder they are read, without a decoder that is said", async () => {
  const parts = newParts();
  const store = await openPacked({ ...parts, index: await INDEXES["an index in memory"](), frames: both });
  await fill(store);
  await store[Symbol.asyncDispose]();
  const index = () => INDEXES["an index in memory"]();
  await using reading = await openPacked({
    ...parts,
    index: await index(),
    frames: { decoder: nativeFrames },
  });
  await checkAll(reading);
  await reading.put(key(500), prose(500, 9000));
  assert.equal((await reading.getStored([key(500)]))[0]!.frame, false);
  await using blind = await openPacked({ ...parts, index: await index() });
  await assert.rejects(
    blind.get(key(2)),
    (error) => error instanceof FormatError && /without a decoder/.test(error.message),
  );
  assert.ok((await blind.getStored([key(2)]))[0]!.frame);
});

Deno.test("packed frames: a chunk is put with others or in a pack of its own, whatever packs hold", async () => {
  const parts = newParts();
  await using store = await openPacked({
    ...parts,
    index: await INDEXES["an index in memory"](),
    frames: both,
    packLength: 512 * 1024,
  });
  const value = prose(7, 500_000);
  await Promise.all([store.put(key(1), value), store.put(key(2), prose(8, 400_000))]);
  assert.deepEqual((await store.getStored([key(1), key(2)])).map((form) => form!.frame), [true, true]);
  // One that fits in no pack is kept by itself, and plain.
  await store.put(key(3), prose(9, 1_000_000));
  assert.equal((await store.getStored([key(3)]))[0]!.frame, false);
  sameBytes((await store.get(key(3)))!, prose(9, 1_000_000));
});

Deno.test("packed frames: who puts hears that compressing failed, and nothing is stored", async () => {
  let fail = true;
  const failing: FrameEncoder = {
    encode: (values) => fail ? Promise.reject(new Error("no luck")) : encoder.encode(values),
  };
  await using store = await openPacked({
    ...newParts(),
    index: await INDEXES["an index in memory"](),
    frames: { decoder: nativeFrames, encoder: failing },
  });
  await assert.rejects(store.put(key(2), VALUES[2]), /no luck/);
  assert.equal(await store.has(key(2)), false);
  fail = false;
  await store.put(key(2), VALUES[2]);
  sameBytes((await store.get(key(2)))!, VALUES[2]);
});

Deno.test("packed frames: the form of a pack is pinned", () => {
  const writer = new PackWriter(new Uint8Array(4096));
  writer.add("chunk/a", fromText("plain"));
  writer.add("chunk/b", pattern(20, 3), true);
  const { name, bytes } = writer.end();
  assert.equal(toHex(bytes), PINNED);
  assert.deepEqual(readPackTable(bytes, name), [
    { key: "chunk/a", offset: 0, length: 5 },
    { key: "chunk/b", offset: FRAME + 5, length: 20 },
  ]);
  // The highest bit of an offset means nothing in a pack that says it has no frames.
  const older = bytes.slice();
  older[older.length - 1] = "1".charCodeAt(0);
  assert.throws(() => readPackTable(older, name), DamageError);
});

// Values, the table with the offsets 0 and 0x80000005, its digest, where it begins, two entries, "firnpak2".
const PINNED =
  "706c61696ece673f298d601e7d4a99fc90a0cc6e797d07a9bf07006368756e6b2f61000000000500000007006368756e6b2f" +
  "6205000080140000001942662ba1ef2be599b0dac49936bfbfc61a480fa95a03e20b450071d3a2481519000000020000006669726e70616b32";

/** Changes a bit where the part begins. */
async function flip(store: ReturnType<typeof openMemory>, part: Bytes): Promise<void> {
  for await (const at of store.list("")) {
    const value = (await store.get(at))!.slice();
    const hex = toHex(value).indexOf(toHex(part));
    if (hex < 0) continue;
    value[hex / 2 + (part.length >> 1)] ^= 4;
    await store.put(at, value);
    return;
  }
  throw new Error("Cannot damage the bytes: they are not there");
}
