/** A near store in front of a far one: the contracts, and what is asked of whom. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import type { BlobService } from "../../src/castore/blob_service.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import type { Digest } from "../../src/castore/digest.ts";
import { blobKey, chunkKey, directoryKey, outboardKey } from "../../src/castore/layout.ts";
import { type FarServices, nearFar } from "../../src/combinators/near_far.ts";
import { DamageError, StoreFullError } from "../../src/errors.ts";
import { outboardOf } from "../../src/hash/bao.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { parseStorePathBase } from "../../src/nix/store_path.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import { servicesOver } from "../../src/store/services.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { A, B, D, WITH_KEEP } from "../contract/_castore_samples.ts";
import { blobServiceContract } from "../contract/blob_service.ts";
import { directoryServiceContract } from "../contract/directory_service.ts";
import { pathInfoServiceContract } from "../contract/path_info_service.ts";
import { testContract } from "../contract/run.ts";
import { openRemote, Watched } from "../adapters/grpc/_remotes.ts";

const dispose = { [Symbol.asyncDispose]: async () => {} };
const openHome = () => ({ names: openMemory(), bytes: openMemory() });

const KINDS: Record<string, () => FarServices> = {
  "a store in memory": () => servicesOver(openHome()),
  "a remote": () => openRemote(),
};
for (const [name, far] of Object.entries(KINDS)) {
  const open = () => {
    const remote = name === "a remote" ? { remote: true as const } : {};
    return Promise.resolve({ ...nearFar({ near: openHome(), far: far() }), ...remote, ...dispose });
  };
  testContract(`blobs near, and far in ${name}`, blobServiceContract, open);
  testContract(`directories near, and far in ${name}`, directoryServiceContract, open);
  testContract(`path infos near, and far in ${name}`, pathInfoServiceContract, open);
}

/** Services that note what they are asked for, and may be told to wait or fail. */
function counted(services: FarServices) {
  const calls: string[] = [];
  const watch = <T extends object>(name: string, service: T): T =>
    new Proxy(service, {
      get(target, method) {
        const member = target[method as keyof T];
        if (typeof member !== "function") return member;
        return (...args: unknown[]) => {
          calls.push(`${name}.${String(method)}`);
          return member.apply(target, args);
        };
      },
    });
  const far = {
    blobs: watch("blobs", services.blobs),
    directories: watch("directories", services.directories),
    pathInfos: watch("pathInfos", services.pathInfos),
  };
  return { far, calls };
}

/** A store in memory behind an empty one. */
function openBoth(near = openHome(), change: (far: FarServices) => Partial<FarServices> = () => ({})) {
  const behind = servicesOver(openHome());
  const { far, calls } = counted({ ...behind, ...change(behind) });
  const log: string[] = [];
  const store = nearFar({ near, far, log: (line) => log.push(line) });
  return { ...store, near, behind, calls, log };
}

async function read(blobs: BlobService, digest: Digest, start?: number, end?: number): Promise<Bytes> {
  const range = start === undefined || end === undefined ? undefined : { start, end };
  return await (await blobs.open(digest, { range }))!.bytes();
}

const INFO: PathInfo = {
  storePath: parseStorePathBase("00bgd045z0d4icpbc2yyz4gx48ak44la-foo"),
  node: { type: "symlink", target: new Uint8Array([97]) },
  references: [],
  narSha256: new Uint8Array(32),
  narSize: 1,
  signatures: [],
  unclaimedReferences: [],
  registeredAt: 5,
};
const { hashPart } = INFO.storePath;

Deno.test("a short blob is asked for once, whichever part of it is read", async () => {
  const { blobs, behind, calls } = openBoth();
  const bytes = pattern(1000);
  const { digest } = await behind.blobs.put(bytes);
  assert.deepEqual(await read(blobs, digest, 10, 20), bytes.slice(10, 20));
  assert.deepEqual(await read(blobs, digest), bytes);
  assert.deepEqual(await blobs.chunks(digest), [{ digest, size: 1000 }]);
  assert.deepEqual(calls, ["blobs.open"]);
});

Deno.test("of a long blob the chunks that are read are kept, and only those", async () => {
  const { blobs, behind, calls, near } = openBoth();
  const bytes = pattern(5_000_000);
  const { digest } = await behind.blobs.put(bytes);
  const chunks = (await behind.blobs.chunks(digest))!;
  assert.deepEqual(await read(blobs, digest, 0, 10), bytes.slice(0, 10));
  assert.deepEqual(calls.splice(0), ["blobs.open", "blobs.chunks", "blobs.open"]);
  assert.deepEqual(await Array.fromAsync(near.bytes.list("")), [chunkKey(chunks[0].digest)]);
  assert.deepEqual(await read(blobs, digest, 5, 10), bytes.slice(5, 10));
  assert.deepEqual(calls.splice(0), []);
  assert.deepEqual(await read(blobs, digest), bytes);
  assert.equal(calls.splice(0).length, chunks.length - 1);
  assert.equal(await near.bytes.has(blobKey(digest)), true);
});

Deno.test("a long blob read whole is complete near, and one read part by part", async () => {
  const bytes = pattern(3_000_000);
  const parts: [number?, number?][][] = [[[]], [[0, 1_000_000], [2_000_000, 3_000_000], [
    900_000,
    2_100_000,
  ]]];
  for (const ranges of parts) {
    const { blobs, behind, near } = openBoth();
    const { digest } = await behind.blobs.put(bytes);
    for (const [start, end] of ranges) await read(blobs, digest, start, end);
    const alone = openBoth(near);
    assert.deepEqual(await read(alone.blobs, digest), bytes);
    assert.deepEqual(
      await read(alone.blobs, digest, 1_500_000, 1_500_001),
      bytes.slice(1_500_000, 1_500_001),
    );
    assert.deepEqual(alone.calls, []);
  }
});

Deno.test("a long blob of a remote is read chunk by chunk, none of them twice and no outboard for it", async () => {
  const watched = new Watched();
  const behind = servicesOver(openHome());
  const { blobs } = nearFar({ near: openHome(), far: openRemote({ watched, services: behind }) });
  const { digest } = await behind.blobs.put(pattern(5_000_000));
  const chunks = (await behind.blobs.chunks(digest))!;
  assert.equal((await read(blobs, digest, 1_000_000, 4_000_000)).length, 3_000_000);
  assert.equal((await read(blobs, digest)).length, 5_000_000);
  assert.equal(watched.count("BlobService/Stat"), 1);
  assert.ok(
    watched.count("BlobService/Read") <= chunks.length + 1,
    `${watched.count("BlobService/Read")} reads`,
  );
});

Deno.test("an outboard is asked for once and kept, of a blob that is near not asked for at all", async () => {
  const { blobs, behind, calls, near } = openBoth();
  const bytes = pattern(3_000_000);
  const { digest } = await behind.blobs.put(bytes);
  const { outboard } = await outboardOf(bytes);
  assert.deepEqual(await Promise.all([blobs.outboard(digest), blobs.outboard(digest)]), [outboard, outboard]);
  assert.deepEqual(calls.splice(0).sort(), ["blobs.chunks", "blobs.outboard"]);
  assert.deepEqual(await Array.fromAsync(near.bytes.list("")), [outboardKey(digest)]);
  assert.deepEqual(await blobs.outboard(digest), outboard);
  assert.deepEqual(calls.splice(0), ["blobs.chunks"]);

  await read(blobs, digest);
  await near.bytes.delete(outboardKey(digest));
  const alone = openBoth(near);
  assert.deepEqual(await alone.blobs.outboard(digest), outboard);
  assert.deepEqual(alone.calls, []);
  assert.equal(await alone.blobs.outboard(blake3(pattern(1))), undefined);
});

Deno.test("an outboard of another blob is refused, and one that is damaged near asked for anew", async () => {
  const other = (await outboardOf(pattern(3_000_000, 2))).outboard;
  const lying = openBoth(openHome(), ({ blobs }) => ({
    blobs: Object.assign(Object.create(blobs), {
      chunks: blobs.chunks.bind(blobs),
      outboard: () => Promise.resolve(other),
    }),
  }));
  const { digest } = await lying.behind.blobs.put(pattern(3_000_000));
  await assert.rejects(lying.blobs.outboard(digest), DamageError);
  assert.deepEqual(await Array.fromAsync(lying.near.bytes.list("")), []);

  const { blobs, behind, near, log, calls } = openBoth();
  await behind.blobs.put(pattern(3_000_000));
  const outboard = await blobs.outboard(digest);
  calls.splice(0);
  await near.bytes.put(outboardKey(digest), new Uint8Array(100));
  assert.deepEqual(await blobs.outboard(digest), outboard);
  assert.deepEqual([log.length, calls], [1, ["blobs.chunks", "blobs.outboard"]]);
  assert.equal((await near.bytes.get(outboardKey(digest)))!.length, 3 + outboard!.length);
});

Deno.test("a blob that far does not split is cut and kept near when it is read whole", async () => {
  const bytes = pattern(6_000_000);
  const digest = blake3(bytes);
  const { blobs, near, log } = openBoth(openHome(), ({ blobs }) => ({
    blobs: Object.assign(Object.create(blobs), {
      open: blobs.open.bind(blobs),
      put: blobs.put.bind(blobs),
      chunks: () => Promise.resolve([{ digest, size: bytes.length }]),
    }),
  }));
  await blobs.put((async function* () {
    for (let at = 0; at < bytes.length; at += 500_000) yield await bytes.subarray(at, at + 500_000);
    for (let i = 0; i < 9; i++) yield new Uint8Array(0);
  })());
  for await (const key of near.bytes.list("")) await near.bytes.delete(key);
  assert.deepEqual(await read(blobs, digest, 5_000_000, 5_000_010), bytes.slice(5_000_000, 5_000_010));
  assert.deepEqual(await Array.fromAsync(near.bytes.list("")), []);
  let pieces = 0;
  for await (const _ of (await blobs.open(digest))!) if (++pieces === 6) break;
  assert.deepEqual(await Array.fromAsync(near.bytes.list("blob/")), [], "blobs, after one that was left");
  assert.deepEqual(await read(blobs, digest), bytes);
  const alone = openBoth(near);
  assert.deepEqual(await read(alone.blobs, digest), bytes);
  assert.deepEqual([alone.calls, log], [[], []]);
});

Deno.test("reads of one thing at one time share a call, later ones of what is absent ask again", async () => {
  const { blobs, directories, pathInfos, behind, calls } = openBoth();
  const { digest } = await behind.blobs.put(pattern(1000));
  await behind.directories.putClosure([A.directory, B.directory, D.directory]);
  await behind.pathInfos.put(INFO);
  const many = <T>(ask: () => Promise<T>) => Promise.all(Array.from({ length: 10 }, ask));
  for (const bytes of await many(() => read(blobs, digest))) assert.deepEqual(bytes, pattern(1000));
  assert.deepEqual(calls.splice(0), ["blobs.open"]);
  for (const closure of await many(() => Array.fromAsync(directories.getClosure(D.digest)))) {
    assert.deepEqual(closure.map(({ digest }) => digest), [D.digest, A.digest, B.digest]);
  }
  assert.deepEqual(calls.splice(0), ["directories.getClosure"]);
  for (const info of await many(() => pathInfos.get(hashPart))) assert.equal(info?.narSize, 1);
  assert.deepEqual(calls.splice(0), ["pathInfos.get"]);
  const absent = blake3(pattern(7));
  assert.equal(await blobs.open(absent), undefined);
  await behind.blobs.put(pattern(7));
  assert.equal((await blobs.open(absent))?.size, 7);
  assert.deepEqual(calls.splice(0), ["blobs.open", "blobs.open"]);
});

Deno.test("a closure that was left by one reader goes on for the others, and is closed after the last", async () => {
  let closed = 0;
  const { directories, behind } = openBoth(openHome(), ({ directories }) => ({
    directories: Object.assign(Object.create(directories), {
      async *getClosure(root: Digest) {
        try {
          for await (const named of directories.getClosure(root)) {
            await new Promise((resolve) => setTimeout(resolve, 1));
            yield named;
          }
        } finally {
          closed++;
        }
      },
      putClosure: directories.putClosure.bind(directories),
    }),
  }));
  await behind.directories.putClosure([A.directory, B.directory, D.directory]);
  const leave = async () => {
    for await (const _ of directories.getClosure(D.digest)) return;
  };
  const [, whole] = await Promise.all([leave(), Array.fromAsync(directories.getClosure(D.digest)), leave()]);
  assert.equal(whole.length, 3);
  assert.equal(closed, 1);
});

Deno.test("a closure and a path info that were read are near", async () => {
  const { directories, pathInfos, behind, near } = openBoth();
  await behind.directories.putClosure([A.directory, B.directory, D.directory]);
  await behind.pathInfos.put(INFO);
  await Array.fromAsync(directories.getClosure(D.digest));
  await pathInfos.get(hashPart);
  const alone = openBoth(near);
  assert.equal((await Array.fromAsync(alone.directories.getClosure(D.digest))).length, 3);
  assert.deepEqual(await alone.pathInfos.get(hashPart), INFO);
  assert.deepEqual(alone.calls, []);
});

Deno.test("what near lacks of a closure, or has damaged, comes from far, in order and once", async () => {
  const lacks: ((bytes: ByteStore, key: string) => Promise<void>)[] = [
    (bytes, key) => bytes.delete(key),
    (bytes, key) => bytes.put(key, new Uint8Array([0, 1])),
  ];
  for (const lack of lacks) {
    for (const { digest } of [A, B, D]) {
      const { directories, behind, near } = openBoth();
      await behind.directories.putClosure([A.directory, B.directory, D.directory]);
      await Array.fromAsync(directories.getClosure(D.digest));
      await lack(near.bytes, directoryKey(digest));
      const got = await Array.fromAsync(directories.getClosure(D.digest));
      assert.deepEqual(got.map(({ digest }) => digest), [D.digest, A.digest, B.digest]);
    }
  }
});

Deno.test("damage near is told to the log, mended and not delivered", async () => {
  const { blobs, behind, near, log } = openBoth();
  const { digest } = await behind.blobs.put(pattern(1000));
  await read(blobs, digest);
  await near.bytes.put(chunkKey(digest), pattern(1000, 1));
  assert.deepEqual(await read(blobs, digest), pattern(1000));
  assert.equal(log.length, 1);
  assert.match(log[0], /near store failed/);
  assert.deepEqual(await near.bytes.get(chunkKey(digest)), pattern(1000));
});

Deno.test("a near store without room fails nothing and is told to the log", async () => {
  const full = (store: ByteStore): ByteStore => {
    const refuse = () => Promise.reject(new StoreFullError("Cannot write: no room"));
    return Object.assign(Object.create(store), {
      put: refuse,
      update: refuse,
      get: store.get.bind(store),
      list: store.list.bind(store),
    });
  };
  const near = { names: full(openMemory()), bytes: full(openMemory()) };
  const { blobs, directories, pathInfos, behind, log } = openBoth(near);
  for (const bytes of [pattern(1000), pattern(3_000_000)]) {
    const { digest } = await blobs.put(bytes);
    assert.equal(await behind.blobs.has(digest), true);
    assert.deepEqual(await read(blobs, digest), bytes);
    assert.deepEqual(await read(blobs, digest, 5, 500), bytes.slice(5, 500));
  }
  await directories.putClosure([A.directory, B.directory]);
  assert.equal((await Array.fromAsync(directories.getClosure(B.digest))).length, 2);
  await pathInfos.put(INFO);
  assert.deepEqual(await pathInfos.get(hashPart), INFO);
  assert.ok(log.length >= 8 && log.every((line) => line.includes("no room")), log.join("\n"));
});

Deno.test("what far refuses is not near", async () => {
  const refuse = async (source: AsyncIterable<unknown> | Iterable<unknown>) => {
    if (!(source instanceof Uint8Array)) { for await (const _ of source); }
    throw new StoreFullError("Cannot write: no room");
  };
  const { blobs, directories, pathInfos, near } = openBoth(openHome(), (sound) => ({
    blobs: Object.assign(Object.create(sound.blobs), { put: refuse }),
    directories: Object.assign(Object.create(sound.directories), { putClosure: refuse }),
    pathInfos: Object.assign(Object.create(sound.pathInfos), { put: () => refuse([]) }),
  }));
  await assert.rejects(blobs.put(pattern(1000)), StoreFullError);
  const stream = async function* () {
    for (let i = 0; i < 5; i++) yield await pattern(600_000, i);
  };
  await assert.rejects(blobs.put(stream()), StoreFullError);
  await assert.rejects(directories.putClosure([WITH_KEEP.directory]), StoreFullError);
  await assert.rejects(pathInfos.put(INFO), StoreFullError);
  assert.deepEqual(await Array.fromAsync(near.bytes.list("")), []);
  assert.deepEqual(await Array.fromAsync(near.names.list("")), []);
});

Deno.test("what is written is read near, but for streams too long to hold", async () => {
  const { blobs, directories, pathInfos, calls, near } = openBoth();
  const short = await blobs.put(pattern(2_000_000));
  const stream = async function* (count: number) {
    for (let i = 0; i < count; i++) yield await pattern(1_000_000, i);
  };
  const streamed = await blobs.put(stream(5));
  await directories.putClosure([A.directory, B.directory]);
  await pathInfos.put(INFO);
  calls.splice(0);
  assert.equal((await read(blobs, short.digest)).length, 2_000_000);
  assert.equal((await read(blobs, streamed.digest)).length, 5_000_000);
  assert.equal((await Array.fromAsync(directories.getClosure(B.digest))).length, 2);
  assert.deepEqual(await pathInfos.get(hashPart), INFO);
  assert.deepEqual(calls, []);
  const keys = (await Array.fromAsync(near.bytes.list(""))).length;
  const long = await blobs.put(stream(20));
  assert.equal((await Array.fromAsync(near.bytes.list(""))).length, keys);
  assert.equal((await read(blobs, long.digest)).length, 20_000_000);
});

Deno.test("chunks of another blob are noticed, and their list is not kept", async () => {
  const [bytes, other] = [pattern(3_000_000, 1), pattern(3_000_000, 2)];
  const digest = blake3(bytes);
  const { blobs, behind, near } = openBoth(openHome(), ({ blobs }) => ({
    blobs: Object.assign(Object.create(blobs), {
      open: (_: Digest, options?: Parameters<BlobService["open"]>[1]) => blobs.open(blake3(other), options),
      chunks: () => blobs.chunks(blake3(other)),
    }),
  }));
  await behind.blobs.put(other);
  await assert.rejects(read(blobs, digest), DamageError);
  assert.equal(await near.bytes.has(blobKey(digest)), false);
});

Deno.test("a path info that was changed far away replaces the near one when it is put", async () => {
  const { pathInfos, behind } = openBoth();
  await pathInfos.put(INFO);
  await behind.pathInfos.delete(hashPart);
  await pathInfos.put({ ...INFO, narSize: 2 });
  assert.equal((await pathInfos.get(hashPart))?.narSize, 2);
  await pathInfos.delete(hashPart);
  assert.equal(await pathInfos.get(hashPart), undefined);
});
