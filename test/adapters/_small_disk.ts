/**
 * A real full disk: a small file system in memory, mounted for one test. Such a test needs `mounting`.
 */
import assert from "node:assert/strict";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { StoreFullError } from "../../src/errors.ts";

const DISK_LENGTH = 8 << 20;
const FILLER_LENGTH = 4 << 20;

/** Checks what a store in a directory does when its disk is full, and when there is room again. */
export async function checkFullDisk(
  open: (directory: string) => Promise<ByteStore>,
  checkRefused: (directory: string) => Promise<void> = async () => {},
): Promise<void> {
  const directory = await Deno.makeTempDir();
  await run("mount", "-t", "tmpfs", "-o", `size=${DISK_LENGTH}`, "tmpfs", directory);
  try {
    const filler = `${directory}/filler`;
    await Deno.writeFile(filler, new Uint8Array(FILLER_LENGTH));
    await using store = await open(directory);
    await store.put("first", new Uint8Array(300_000).fill(1));
    const stored = await fill(store, "long", 300_000);
    await fill(store, "short", 1000);
    await assert.rejects(store.put("first", new Uint8Array(400_000).fill(2)), StoreFullError);
    await assert.rejects(store.update("first", () => new Uint8Array(400_000).fill(3)), StoreFullError);
    assert.deepEqual(await store.get("first"), new Uint8Array(300_000).fill(1));
    for (let i = 0; i < stored; i++) {
      assert.deepEqual(await store.get(`long/${i}`), new Uint8Array(300_000).fill(i), `value ${i}`);
    }
    assert.equal(await store.get(`long/${stored}`), undefined);
    assert.equal((await Array.fromAsync(store.list("long/"))).length, stored);
    await checkRefused(directory);
    await Deno.remove(filler);
    await store.put(`long/${stored}`, new Uint8Array(300_000).fill(9));
    assert.deepEqual(await store.get(`long/${stored}`), new Uint8Array(300_000).fill(9));
    await store.update("first", () => new Uint8Array(400_000).fill(3));
    assert.deepEqual(await store.get("first"), new Uint8Array(400_000).fill(3));
  } finally {
    await run("umount", directory);
    await Deno.remove(directory);
  }
}

/** Puts values until there is no room, which must come. Returns how many are stored. */
async function fill(store: ByteStore, name: string, length: number): Promise<number> {
  for (let count = 0; count < DISK_LENGTH / length; count++) {
    try {
      await store.put(`${name}/${count}`, new Uint8Array(length).fill(count));
    } catch (error) {
      assert.ok(error instanceof StoreFullError, `threw ${error}`);
      return count;
    }
  }
  throw new Error(`Cannot fill the disk with ${name} values`);
}

async function run(command: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(command, { args }).output();
  if (!success) throw new Error(`Cannot ${command}: ${new TextDecoder().decode(stderr)}`);
}
