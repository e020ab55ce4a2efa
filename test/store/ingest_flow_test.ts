/** How ingesting flows: many files at once within a bound, long files beside short ones, and failures in the middle. */
import assert from "node:assert/strict";
import { Budget } from "../../src/bytes/budget.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { collect } from "../../src/bytes/streams.ts";
import type { BlobService } from "../../src/castore/blob_service.ts";
import type { DirectoryService } from "../../src/castore/directory_service.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { inTime, pause } from "../castore/_watched_store.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { deepNar, narOf, openStore, render, reusing, type Tree } from "./_trees.ts";

const MIB = 1024 * 1024;

/** A blob service that counts what is under way, waits, and may fail. */
function watched(act: (call: number, streamed: boolean) => Promise<void> | void) {
  const seen = { calls: 0, underWay: 0, most: 0, bytes: 0, mostBytes: 0 };
  const wrap = (blobs: BlobService): BlobService => ({
    has: (digest) => blobs.has(digest),
    open: (digest, options) => blobs.open(digest, options),
    chunks: (digest) => blobs.chunks(digest),
    outboard: (digest) => blobs.outboard(digest),
    async put(source) {
      const bytes = source instanceof Uint8Array ? source.length : 0;
      const call = ++seen.calls;
      seen.most = Math.max(seen.most, ++seen.underWay);
      seen.mostBytes = Math.max(seen.mostBytes, seen.bytes += bytes);
      const copy = source instanceof Uint8Array ? source.slice() : source;
      try {
        await act(call, bytes === 0 && !(source instanceof Uint8Array));
        return await blobs.put(copy);
      } finally {
        seen.underWay--;
        seen.bytes -= bytes;
      }
    },
  });
  return { seen, wrap };
}

function manyFiles(count: number, length: number): Tree {
  return Object.fromEntries(Array.from({ length: count }, (_, i) => [`f${i}`, pattern(length, i)]));
}

Deno.test("flow: 2,000 small files over a slow store go many at a time", async () => {
  const { seen, wrap } = watched(() => pause(20));
  const store = openStore(wrap);
  const nar = await narOf(manyFiles(2000, 4000));
  const { node } = await inTime(ingestNar(reusing(nar, () => 65536), store.options), 20_000);
  assert.equal(seen.calls, 2000);
  assert.ok(seen.most >= 100, `${seen.most} at once`);
  sameBytes(await render(store, node), nar);
});

Deno.test("flow: bytes in flight stay within the budget, and it is given back", async () => {
  for (const limit of [1, 50_000, 300_000]) {
    const budget = new Budget(limit);
    const { seen, wrap } = watched(() => pause(1));
    const store = openStore(wrap);
    const nar = await narOf(manyFiles(60, 40_000));
    await inTime(ingestNar([nar], { ...store.options, budget }), 20_000);
    assert.ok(seen.mostBytes <= Math.max(limit, 40_000), `${seen.mostBytes} bytes of ${limit}`);
    assert.equal(seen.most, Math.max(1, Math.floor(limit / 40_000)));
    assert.equal(budget.used, 0);
  }
});

Deno.test("flow: two archives share one budget", async () => {
  const budget = new Budget(100_000);
  const { seen, wrap } = watched(() => pause(1));
  const store = openStore(wrap);
  const nars = [await narOf(manyFiles(40, 30_000)), await narOf(manyFiles(40, 29_000))];
  await inTime(Promise.all(nars.map((nar) => ingestNar([nar], { ...store.options, budget }))), 20_000);
  assert.ok(seen.mostBytes <= 100_000 && seen.most >= 3, `${seen.mostBytes} bytes, ${seen.most} at once`);
  assert.equal(budget.used, 0);
});

Deno.test("flow: empty files count too, so their number is bounded", async () => {
  const budget = new Budget(64 * 1024);
  const { seen, wrap } = watched(() => pause(1));
  const store = openStore(wrap);
  const nar = await narOf(manyFiles(500, 0));
  const { node } = await inTime(ingestNar([nar], { ...store.options, budget }), 20_000);
  assert.ok(seen.most > 1 && seen.most <= 64, `${seen.most} at once`);
  sameBytes(await render(store, node), nar);
});

Deno.test("flow: a long file does not hold up the short ones after it", async () => {
  const stored = Promise.withResolvers<void>();
  let short = 0;
  const { wrap } = watched((_, streamed) => {
    if (!streamed) short++;
  });
  const store = openStore((blobs) => {
    const inner = wrap(blobs);
    return {
      ...inner,
      async put(source) {
        if (source instanceof Uint8Array) return await inner.put(source);
        const blob = await inner.put(source); // all of it is read, and then it takes its time
        await stored.promise;
        return blob;
      },
    };
  });
  const nar = await narOf({ a: pattern(9 * MIB), ...manyFiles(50, 100) as Record<string, Tree> });
  const ingesting = ingestNar(reusing(nar, () => 65536), store.options);
  while (short < 50) await inTime(pause(5));
  stored.resolve();
  sameBytes(await render(store, (await inTime(ingesting)).node), nar);
});

Deno.test("flow: a folder waits for the files in it, not for those beside it", async () => {
  const gate = Promise.withResolvers<void>();
  const { wrap } = watched((call) => call === 1 ? gate.promise : undefined);
  const store = openStore(wrap);
  const nar = await narOf({ a: { slow: pattern(10, 1) }, b: { quick: pattern(10, 2) } });
  const ingesting = ingestNar([nar], store.options);
  for (let turn = 0; turn < 100 && (await Array.fromAsync(store.bytes.list("dir/"))).length === 0; turn++) {
    await pause(2);
  }
  assert.equal((await Array.fromAsync(store.bytes.list("dir/"))).length, 1);
  gate.resolve();
  sameBytes(await render(store, (await inTime(ingesting)).node), nar);
});

Deno.test("flow: folders deep inside each other that all wait for one file", async () => {
  const { wrap } = watched(() => pause(10));
  const store = openStore(wrap);
  const nar = await deepNar(4096, pattern(10));
  sameBytes(await render(store, (await ingestNar([nar], store.options)).node), nar);
});

Deno.test("flow: a source that fails midway is what ingesting fails with, when all under way has ended", async () => {
  const nar = await narOf({ a: pattern(100), b: pattern(3 * MIB), c: pattern(100) });
  for (const at of [0, 50, 400, 1_000_000, 3 * MIB + 500, nar.length]) {
    const { seen, wrap } = watched(() => pause(10));
    const budget = new Budget(MIB);
    const failing = async function* () {
      yield* reusing(nar.slice(0, at), () => 65536);
      throw new RangeError("the source fails");
    };
    const ingesting = ingestNar(failing(), { ...openStore(wrap).options, budget });
    await assert.rejects(inTime(ingesting), /the source fails/, `at ${at}`);
    assert.equal(seen.underWay, 0);
    assert.equal(budget.used, 0);
  }
});

Deno.test("flow: a store that fails midway is what ingesting fails with, and the source is let go", async () => {
  const trees: Tree[] = [manyFiles(40, 5000), {
    a: pattern(6 * MIB),
    ...manyFiles(10, 10) as Record<string, Tree>,
  }];
  for (const tree of trees) {
    const nar = await narOf(tree);
    for (const failing of [2, 3, 7]) {
      const { seen, wrap } = watched(async (call) => {
        await pause(3);
        if (call === failing) throw new RangeError("no luck");
      });
      const budget = new Budget(20_000);
      let returned = false;
      const source = async function* () {
        try {
          yield* reusing(nar, () => 10_000);
        } finally {
          returned = true;
        }
      };
      const ingesting = ingestNar(source(), { ...openStore(wrap).options, budget });
      await assert.rejects(inTime(ingesting), /no luck/, `call ${failing}`);
      assert.deepEqual([seen.underWay, budget.used, returned], [0, 0, true]);
    }
  }
});

Deno.test("flow: a blob service that refuses a long file without reading it", async () => {
  const nar = await narOf({ a: pattern(9 * MIB) });
  for (const when of [0, 10]) {
    const store = openStore((blobs) => ({
      ...blobs,
      async put(source: Bytes | AsyncIterable<Bytes>) {
        if (source instanceof Uint8Array) return await blobs.put(source);
        await pause(when);
        throw new RangeError("refused");
      },
    }));
    for (const length of [65536, nar.length]) {
      await assert.rejects(inTime(ingestNar(reusing(nar, () => length), store.options), 3000), /refused/);
    }
  }
});

Deno.test("flow: a blob service that reads a long file to the end and then fails", async () => {
  const store = openStore((blobs) => ({
    ...blobs,
    async put(source: Bytes | AsyncIterable<Bytes>) {
      if (source instanceof Uint8Array) return await blobs.put(source);
      await collect(source);
      throw new RangeError("no room");
    },
  }));
  const nar = await narOf({ a: pattern(3 * MIB), b: pattern(10) });
  await assert.rejects(inTime(ingestNar([nar], store.options)), /no room/);
});

Deno.test("flow: a directory service that fails, at once or at the end", async () => {
  const nar = await narOf({ a: { b: { c: pattern(10) } }, d: pattern(2 * MIB) });
  const services: Partial<DirectoryService>[] = [
    { putClosure: () => Promise.reject(new RangeError("no luck")) },
    {
      async putClosure(leavesFirst) {
        for await (const _ of leavesFirst) break;
        throw new RangeError("no luck");
      },
    },
    {
      async putClosure(leavesFirst) {
        for await (const _ of leavesFirst);
        throw new RangeError("no luck");
      },
    },
  ];
  for (const service of services) {
    const { seen, wrap } = watched(() => pause(5));
    const store = openStore(wrap);
    const directories = { ...store.options.directories, ...service } as DirectoryService;
    await assert.rejects(
      inTime(ingestNar(reusing(nar, () => 50_000), { ...store.options, directories })),
      /no luck/,
    );
    assert.equal(seen.underWay, 0);
  }
});

Deno.test("flow: an archive that is wrong after its files fails when those have ended", async () => {
  const nar = (await narOf(manyFiles(20, 100))).slice(0, -8);
  const { seen, wrap } = watched(() => pause(10));
  await assert.rejects(inTime(ingestNar([nar], openStore(wrap).options)), /it ends too early/);
  assert.equal(seen.underWay, 0);
});

Deno.test("flow: equal files are one blob", async () => {
  const store = openStore();
  const nar = await narOf({ a: pattern(500), b: pattern(500), c: { a: pattern(500) } });
  await ingestNar([nar], store.options);
  assert.deepEqual(await Array.fromAsync(store.bytes.list("chunk/")), [
    "chunk/" + blake3(pattern(500)).toHex(),
  ]);
});
