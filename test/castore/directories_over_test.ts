/** Directories on a ByteStore, seen from below: what is stored, how many at once, and what a failure leaves. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { directoriesOver } from "../../src/castore/directories_over.ts";
import { type Directory, directoryDigest, directoryOf, directorySize } from "../../src/castore/directory.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { COMPLICATED, folder, symlink, WITH_KEEP } from "../contract/_castore_samples.ts";
import { inTime, pause, WatchedStore } from "./_watched_store.ts";

/** A folder of many different folders, leaves first. */
function wide(count: number): Directory[] {
  const leaves = Array.from(
    { length: count },
    (_, i) => directoryOf([symlink("i", `${i}`.padEnd(4000, "-"))]),
  );
  const items = leaves.map((leaf, i) =>
    folder(`${i}`, directoryDigest(leaf), directorySize(leaf, "documented"))
  );
  return [...leaves, directoryOf(items)];
}

Deno.test("directories: each is one value, its encoding after a zero byte", async () => {
  const store = openMemory();
  await directoriesOver(store).putClosure([WITH_KEEP.directory, COMPLICATED.directory]);
  const keys = [
    "dir/3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a",
    "dir/8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e",
  ];
  assert.deepEqual(await Array.fromAsync(store.list("")), keys);
  const keep = Uint8Array.fromHex(
    "12290a052e6b6565701220af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
  );
  sameBytes(await store.get(keys[1]), concat([new Uint8Array(1), keep]));
});

Deno.test("directories: a closure is read ahead, with a bound", async () => {
  const store = new WatchedStore(openMemory());
  const directories = directoriesOver(store);
  const root = await directories.putClosure(wide(1000));
  store.before = () => pause(1);
  store.most = 0;
  let count = 0;
  for await (const _ of directories.getClosure(root)) count++;
  assert.equal(count, 1001);
  assert.ok(store.most > 16 && store.most <= 128, `${store.most} at once`);
});

Deno.test("directories: a closure is stored many at a time, at the pace of the store", async () => {
  const store = new WatchedStore(openMemory());
  const gate = Promise.withResolvers<void>();
  store.before = () => gate.promise;
  let given = 0;
  function* source() {
    for (const directory of wide(8_000)) {
      given++;
      yield directory;
    }
  }
  const putting = directoriesOver(store).putClosure(source());
  for (let last = -1; last !== given;) {
    last = given;
    await pause(50);
  }
  assert.ok(given > 1000 && given < 8_000, `${given} Directories were taken while nothing could be stored`);
  gate.resolve();
  await inTime(putting, 20_000);
});

Deno.test("directories: a put that fails ends its source, and nothing goes on behind it", async () => {
  const store = new WatchedStore(openMemory());
  let puts = 0;
  store.before = async () => {
    const fails = ++puts === 5;
    await pause(1);
    if (fails) throw new RangeError("no luck");
  };
  let returned = false;
  async function* source() {
    try {
      for (const directory of wide(200)) {
        await pause();
        yield directory;
      }
    } finally {
      returned = true;
    }
  }
  const directories = directoriesOver(store);
  await assert.rejects(inTime(directories.putClosure(source())), /no luck/);
  assert.equal(returned, true);
  assert.equal(store.underWay, 0);
  assert.ok(puts < 100, `${puts} puts were begun`);
});

Deno.test("directories: a refused closure ends its source, and nothing goes on behind it", async () => {
  const store = new WatchedStore(openMemory());
  store.before = () => pause(5);
  let returned = false;
  function* source() {
    try {
      yield WITH_KEEP.directory;
      yield directoryOf([folder("keep", WITH_KEEP.digest, 42n)]);
      yield COMPLICATED.directory;
    } finally {
      returned = true;
    }
  }
  await assert.rejects(inTime(directoriesOver(store).putClosure(source())), /wrong size/);
  assert.equal(returned, true);
  assert.equal(store.underWay, 0);
});
