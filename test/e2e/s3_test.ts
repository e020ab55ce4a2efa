/**
 * S3 as a home, on a real Ceph: the contract, faults of the network by seed, an OSD that dies, and what is refused.
 */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import type { S3RequestReport } from "../../src/adapters/s3/open_s3.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import { indexOver } from "../../src/combinators/pack_index.ts";
import { RemoteError, StoreFullError } from "../../src/errors.ts";
import { hashOf, ODD_KEYS, pattern, read, sorted, text } from "../contract/_byte_store_samples.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { testContract } from "../contract/run.ts";
import { testNeeding } from "../needs.ts";
import { type Ceph, ceph, startCeph } from "./_ceph.ts";
import { randomFrom, startFaultProxy } from "./_fault_proxy.ts";
import { clientOf, makeBucket, storeOn } from "./_s3.ts";

const test = testNeeding(ceph);
let cluster: Ceph;

if (!ceph()) {
  Deno.test.beforeAll(async () => {
    cluster = await startCeph();
    await Promise.all(["contract", "bucket", "quota"].map((bucket) => makeBucket(cluster, bucket)));
  });
  Deno.test.afterAll(async () => await cluster?.[Symbol.asyncDispose]());
}

let opened = 0;
const open = () => Promise.resolve(storeOn(cluster, { bucket: "contract", prefix: `store/${opened++}` }));
testContract("s3", byteStoreContract, open, [ceph]);

test("s3: objects have the names of their keys, as far as S3 can be asked for such", async () => {
  await using store = storeOn(cluster, { bucket: "bucket", prefix: "names" });
  const keys = ["pack/3fab", "a//b", "a/../b", "%41+", "~"];
  for (const key of keys) await store.put(key, text(key));
  const answer = await clientOf(cluster).fetch(`${cluster.endpoint}/bucket?list-type=2&prefix=names`);
  const names = [...(await answer.text()).matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, name]) => name);
  assert.deepEqual(
    names,
    sorted(["names/pack/3fab", "names/a//b", "names/a/.!./b", "names/%41+", "names/~"]),
  );
  await clientOf(cluster).fetch(`${cluster.endpoint}/bucket/names/.strange`, { method: "PUT", body: "x" })
    .then((put) => put.text());
  assert.deepEqual(await Array.fromAsync(store.list("")), sorted(keys));
});

for (const seed of [1, 2, 3]) {
  test(`s3: what was done is what is there, whatever the network does (seed ${seed})`, async () => {
    await using proxy = startFaultProxy(cluster.endpoint, { seed, rate: 0.25 });
    await using store = storeOn(cluster, {
      bucket: "bucket",
      prefix: `property/${seed}`,
      endpoint: proxy.url,
      attempts: 16,
    });
    const keys = ODD_KEYS.filter((_, i) => i % 8 === seed);
    const left = await Promise.all(keys.map((key, i) => useKey(store, key, randomFrom(seed * 1000 + i))));
    assert.deepEqual(await Array.fromAsync(store.list("")), sorted(keys.filter((_, i) => left[i])));
    assert.ok([...proxy.done.values()].reduce((sum, count) => sum + count, 0) > 20, "faults were done");
  });
}

/** Puts, updates, reads and deletes a value at random, and compares it with what it must be. Resolves to whether one is left. */
async function useKey(store: ByteStore, key: string, random: () => number): Promise<boolean> {
  let want: Uint8Array<ArrayBuffer> | undefined;
  for (let step = 0; step < 12; step++) {
    const value = pattern(Math.floor(random() ** 4 * 100_000), step);
    const choice = Math.floor(random() * 6);
    if (choice < 2) await store.put(key, want = value);
    else if (choice === 2) await store.delete(key).then(() => want = undefined);
    else if (choice === 3) {
      await store.update(key, (current) => {
        assert.deepEqual(current, want, `what change() gets of ${key}`);
        return value;
      });
      want = value;
    } else if (choice === 4) {
      await store.update(key, () => undefined);
      want = undefined;
    } else {
      const start = Math.floor(random() * 1000);
      assert.deepEqual(await store.get(key, { start, end: start + 5000 }), want?.slice(start, start + 5000));
    }
    assert.deepEqual(await store.get(key), want, key);
    assert.equal(await store.has(key), want !== undefined, key);
  }
  return want !== undefined;
}

test("s3: updates of several stores at once all count once, though answers are lost", async () => {
  const faults = ["cut after", "cut in the answer", "busy"] as const;
  await using proxy = startFaultProxy(cluster.endpoint, { seed: 7, rate: 0.3, faults });
  const place = { bucket: "bucket", prefix: "counter", endpoint: proxy.url, attempts: 16 };
  const stores = Array.from({ length: 4 }, () => storeOn(cluster, place));
  const add = (current: Uint8Array | undefined) => text(String(Number(read(current as never) || "0") + 1));
  await Promise.all(Array.from({ length: 80 }, (_, i) => stores[i % 4].update("count", add)));
  assert.equal(read(await stores[0].get("count")), "80");
  assert.ok(proxy.done.get("cut after")! > 0);
  await Promise.all(stores.map((store) => store[Symbol.asyncDispose]()));
});

test("s3: with few attempts and many faults, what was acknowledged is there, and failures say so", async () => {
  await using proxy = startFaultProxy(cluster.endpoint, { seed: 11, rate: 0.6 });
  await using store = storeOn(cluster, {
    bucket: "bucket",
    prefix: "rough",
    endpoint: proxy.url,
    attempts: 2,
  });
  const numbers = Array.from({ length: 120 }, (_, i) => i);
  const results = await Promise.allSettled(numbers.map((i) => store.put(hashOf(i), pattern(i * 500, i))));
  const failed = results.filter((result) => result.status === "rejected");
  assert.ok(failed.length > 10 && failed.length < 110, `${failed.length} failed`);
  for (const { reason } of failed) {
    assert.ok(reason instanceof RemoteError);
    assert.match(reason.message, /^Cannot store [0-9a-f]{16} of s3:\/\/bucket\/rough: /);
  }
  await using sound = storeOn(cluster, { bucket: "bucket", prefix: "rough" });
  for (const i of numbers) {
    const value = await sound.get(hashOf(i));
    if (results[i].status === "fulfilled" || value) {
      assert.deepEqual(value, pattern(i * 500, i), `value ${i}`);
    }
  }
});

test("s3: a value that is written once is not written again", async () => {
  const writeOnce = (key: string) => key.startsWith("pack/");
  await using store = storeOn(cluster, { bucket: "bucket", prefix: "once", writeOnce });
  await store.put("pack/a", pattern(4 << 20, 1));
  await store.put("pack/a", pattern(4 << 20, 2));
  assert.deepEqual(await store.get("pack/a"), pattern(4 << 20, 1));
  await store.put("other", text("old"));
  await store.put("other", text("new"));
  assert.equal(read(await store.get("other")), "new");
});

test("s3: each attempt is reported, and no more are under way than may be", async () => {
  await using proxy = startFaultProxy(cluster.endpoint, { seed: 3, rate: 0, faults: ["busy"] });
  const reports: S3RequestReport[] = [];
  let now = 0, most = 0;
  const counting: typeof fetch = async (...args) => {
    most = Math.max(most, ++now);
    return await fetch(...args).finally(() => now--);
  };
  await using store = storeOn(cluster, {
    ...{ bucket: "bucket", prefix: "reports", endpoint: proxy.url, fetch: counting, requests: 3 },
    onRequest: (report) => reports.push(report),
  });
  await Promise.all(Array.from({ length: 20 }, (_, i) => store.put(`k${i}`, pattern(1000, i))));
  assert.ok(most >= 2 && most <= 3, `${most} at once`);
  assert.equal(reports.length, 20);
  for (const { operation, status, bytes, attempt, ms } of reports) {
    assert.deepEqual([operation, status, bytes, attempt], ["PutObject", 200, 1000, 1]);
    assert.ok(ms > 0);
  }
  reports.length = 0;
  proxy.rate = 1;
  const answered = store.get("k1");
  while (reports.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  proxy.rate = 0;
  assert.deepEqual(await answered, pattern(1000, 1));
  assert.deepEqual(reports.slice(0, 2).map(({ status, attempt }) => [status, attempt]), [[503, 1], [503, 2]]);
  assert.equal(reports.at(-1)!.status, 200);
});

/** Every call on a store, each with what its error must say. */
async function allRefused(store: ByteStore & { check(): Promise<void> }, why: RegExp): Promise<void> {
  const calls = {
    get: () => store.get("key"),
    range: () => store.get("key", { start: 0, end: 5 }),
    has: () => store.has("key"),
    put: () => store.put("key", text("x")),
    delete: () => store.delete("key"),
    list: () => Array.fromAsync(store.list("")),
    update: () => store.update("key", () => text("x")),
    check: () => store.check(),
  };
  for (const [name, call] of Object.entries(calls)) {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof RemoteError, `${name}: ${error}`);
      assert.match(error.message, why, name);
      return true;
    });
  }
}

test("s3: a missing bucket, wrong credentials and a wrong clock are told as what they are", async () => {
  const { accessKey, secretKey } = cluster;
  await using missing = storeOn(cluster, { bucket: "no-such-bucket" });
  await allRefused(missing, /there is no bucket no-such-bucket; make it, or correct the address/);
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey + "0" };
  await using wrong = storeOn(cluster, { bucket: "bucket", credentials });
  await allRefused(wrong, /the secret key is not that of the access key.*AWS_SECRET_ACCESS_KEY/);
  await using unknown = storeOn(cluster, {
    bucket: "bucket",
    credentials: { ...credentials, accessKeyId: "NOBODY" },
  });
  await allRefused(unknown, /the access key is not known there; see AWS_ACCESS_KEY_ID/);
  for (const hours of [-1, 1]) {
    const now = () => new Date(Date.now() + hours * 3_600_000);
    await using shifted = storeOn(cluster, { bucket: "bucket", now });
    await allRefused(shifted, /the clocks differ: it is \w{3}, .* GMT here and .{15,} there; set the clock/);
  }
  await (await open()).check();
});

test("s3: credentials that a function gives are asked for once", async () => {
  const { accessKey, secretKey } = cluster;
  let asked = 0;
  const credentials = () =>
    Promise.resolve({ accessKeyId: accessKey, secretAccessKey: secretKey }).finally(() => asked++);
  await using store = storeOn(cluster, { bucket: "bucket", prefix: "lent", credentials });
  await Promise.all([store.put("a", text("1")), store.put("b", text("2"))]);
  assert.equal(asked, 1);
});

test("s3: a bucket that is full is a StoreFullError, and nothing of the refused is visible", async () => {
  await cluster.setBucketQuota("quota", 8 << 20);
  await using store = storeOn(cluster, { bucket: "quota" });
  let refused: unknown;
  let stored = 0;
  for (; stored < 20 && !refused; stored++) {
    await store.put(`v${stored}`, pattern(2 << 20, stored)).catch((error) => refused = error);
  }
  assert.ok(refused instanceof StoreFullError, `${refused}`);
  assert.match(refused.message, /quota/);
  for (let i = 0; i < stored - 1; i++) assert.deepEqual(await store.get(`v${i}`), pattern(2 << 20, i));
  assert.equal(await store.has(`v${stored - 1}`), false);
});

// The last: the cluster has one OSD less from then on.
test("s3: an OSD dies during an upload of packs: it ends well, and nothing acknowledged is lost", async () => {
  await using s3 = storeOn(cluster, { bucket: "bucket", prefix: "packs" });
  const names = openMemory();
  const values = Array.from(
    { length: 3000 },
    (_, i) => ({ key: `chunk/${hashOf(i)}`, value: pattern(20_000 + i, i) }),
  );
  const acknowledged = new Set<string>();
  {
    await using packed = await openPacked({ bytes: s3, names, index: await indexOver(names) });
    let killed: Promise<void> | undefined;
    const waiting = new Set<Promise<void>>();
    for (const { key, value } of values) {
      const put = packed.put(key, value).then(() => {
        acknowledged.add(key);
        waiting.delete(put);
        killed ??= cluster.killOsd(1);
      });
      waiting.add(put);
      if (waiting.size > 500) await Promise.race(waiting);
    }
    await Promise.all(waiting);
    await killed;
  }
  assert.equal(acknowledged.size, values.length);
  await using packed = await openPacked({ bytes: s3, names, index: await indexOver(names) });
  for (const { key, value } of values) assert.deepEqual(await packed.get(key), value, key);
});
