import assert from "node:assert/strict";
import { openFs } from "../../src/adapters/fs/fs_store.ts";
import { pathOfKey, pieceOfFile, pieceOfFolder } from "../../src/adapters/fs/key_path.ts";
import { lockFile } from "../../src/adapters/fs/lock.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { StoreBusyError } from "../../src/errors.ts";
import { ODD_KEYS } from "../contract/_byte_store_samples.ts";
import { byteStoreContract } from "../contract/byte_store.ts";
import { testContract } from "../contract/run.ts";
import { mounting, permissions, testNeeding } from "../needs.ts";
import { checkFullDisk } from "./_small_disk.ts";

const test = testNeeding(permissions);

testContract("fs", byteStoreContract, openFresh, [permissions]);

/** An empty store whose directory goes when it is disposed of. */
async function openFresh(): Promise<ByteStore> {
  const directory = await Deno.makeTempDir();
  const store = await openFs(directory);
  const dispose = store[Symbol.asyncDispose].bind(store);
  store[Symbol.asyncDispose] = async () => {
    await dispose();
    await Deno.remove(directory, { recursive: true });
  };
  return store;
}

Deno.test("fs: keys lie at these paths", () => {
  const paths = {
    "pack/3fab": "pa/ck%2F/3f/=ab",
    "pack/3f": "pa/ck%2F/=3f",
    a: "=a",
    "a/": "a%2F/=",
    "a/b": "a%2F/=b",
    "ab/": "ab/%2F/=",
    "..": "=%2E.",
    "../x": "%2E./%2F/=x",
    "/": "%2F/=",
    "%41=": "%254/=1%3D",
    "x~y.z": "x%7E/=y.z",
    ["k".repeat(82)]: `kk/=${"k".repeat(80)}`,
    ["k".repeat(83)]: `kk/${"k".repeat(80)}/=k`,
  };
  for (const [key, path] of Object.entries(paths)) {
    const { folders, file } = pathOfKey(key);
    assert.equal([...folders, file].join("/"), path);
  }
});

Deno.test("fs: names fit into a file system, and give back their key", () => {
  for (const key of ODD_KEYS) {
    const { folders, file } = pathOfKey(key);
    for (const name of [...folders, file]) {
      assert.ok(name.length <= 255 && name.length > 0 && !/^\.|\//.test(name));
    }
    assert.equal(folders.map(pieceOfFolder).join("") + pieceOfFile(file), key);
  }
});

Deno.test("fs: names that no key gives stand for nothing", () => {
  for (const name of ["a", "=%zz", "=%2f", "=.a", "=a b", "=%61", ".=a"]) {
    assert.equal(pieceOfFile(name), undefined, name);
  }
  for (const name of ["", "lost+found", ".snapshots", "%2f", "%61"]) {
    assert.equal(pieceOfFolder(name), undefined, name);
  }
});

test("fs: values are there when the directory is opened again", async () => {
  const directory = await Deno.makeTempDir();
  {
    await using store = await openFs(`${directory}/deep/down`);
    await store.put("a", new Uint8Array([1, 2, 3]));
    await store.put("a/b", new Uint8Array(100_000));
    store.put("late", new Uint8Array([4])); // disposing waits for it
  }
  {
    await using store = await openFs(`${directory}/deep/down`);
    assert.deepEqual(await Array.fromAsync(store.list("")), ["a", "a/b", "late"]);
    assert.deepEqual(await store.get("a"), new Uint8Array([1, 2, 3]));
    assert.deepEqual(await store.get("a/b"), new Uint8Array(100_000));
  }
  await Deno.remove(directory, { recursive: true });
});

test(
  "fs: temporaries left by a crash are removed, strange files are not listed",
  async () => {
    const directory = await Deno.makeTempDir();
    {
      await using store = await openFs(directory);
      await store.put("kept", new Uint8Array(5));
    }
    await Deno.writeTextFile(`${directory}/tmp/0`, "half of a va");
    await Deno.writeTextFile(`${directory}/values/.nfs0001`, "strange");
    await Deno.mkdir(`${directory}/values/lost+found`);
    {
      await using store = await openFs(directory);
      assert.deepEqual(await Array.fromAsync(Deno.readDir(`${directory}/tmp`)), []);
      assert.deepEqual(await Array.fromAsync(store.list("")), ["kept"]);
    }
    await Deno.remove(directory, { recursive: true });
  },
);

test("fs: one opener at a time, and a lock dies with its process", async () => {
  const directory = await Deno.makeTempDir();
  const path = `${directory}/lock`;
  {
    await using _store = await openFs(directory);
    await assert.rejects(
      openFs(directory),
      (error) => error instanceof StoreBusyError && error.message.includes(path),
    );
  }
  const program = `const f = await Deno.open(${JSON.stringify(path)}, { write: true });
      await f.lock(true); console.log("locked"); setInterval(() => f, 1000);`;
  const child = new Deno.Command(Deno.execPath(), { args: ["eval", program], stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  await reader.read();
  await assert.rejects(lockFile(path), StoreBusyError);
  child.kill("SIGKILL");
  await child.status;
  await reader.cancel();
  await (await lockFile(path))[Symbol.asyncDispose]();
  await (await openFs(directory))[Symbol.asyncDispose]();
  await Deno.remove(directory, { recursive: true });
});

testNeeding(mounting)("fs: a full disk is a StoreFullError, and nothing of the refused is left", async () => {
  await checkFullDisk(
    (directory) => openFs(`${directory}/store`),
    async (directory) => assert.deepEqual(await Array.fromAsync(Deno.readDir(`${directory}/store/tmp`)), []),
  );
});
