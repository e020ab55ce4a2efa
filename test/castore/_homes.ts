/**
 * The homes that the contracts of the services are run over, each new and empty, and a way to damage what is in one.
 */
import { DatabaseSync } from "node:sqlite";
import { openDenoKv } from "../../src/adapters/deno_kv/deno_kv_store.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { nativeFrames } from "../../src/adapters/native/frames.ts";
import { openSqliteIndex } from "../../src/adapters/sqlite/sqlite_index.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { type HomeOptions, openHome } from "../../src/cli/home.ts";
import { plainBytes } from "../../src/combinators/pack_frames.ts";
import { readPackTable } from "../../src/combinators/pack_format.ts";
import {
  indexOver,
  isFrame,
  type PackEntry,
  type PackIndex,
  startOf,
} from "../../src/combinators/pack_index.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import { type Home, type Services, servicesOver } from "../../src/store/services.ts";
import type { Backing } from "../contract/_castore_samples.ts";
import { type Need, permissions } from "../needs.ts";

/** A home, the services over it, and what the cases about damage need. */
export interface TestHome extends Home, Omit<Services, "bytes">, Backing, AsyncDisposable {}

/** A kind of home. */
export interface HomeKind {
  readonly name: string;
  readonly needs: readonly Need[];
  open(): Promise<TestHome>;
}

/** Every kind of home. */
export const HOMES: readonly HomeKind[] = [
  { name: "memory", needs: [], open: openMemoryHome },
  {
    name: "packs in memory, index in memory",
    needs: [],
    open: () => openPackedHome(indexOver(openMemory())),
  },
  {
    name: "packs in memory, index in SQLite",
    needs: [],
    open: () => openPackedHome(openSqliteIndex(new DatabaseSync(":memory:"))),
  },
  { name: "deno kv", needs: [permissions], open: openKvHome },
  { name: "folder", needs: [permissions], open: () => openFolderHome() },
  {
    name: "folder, compressed",
    needs: [permissions],
    open: () => openFolderHome({ frames: { level: 1, workers: 1 } }),
  },
];

function openMemoryHome(): Promise<TestHome> {
  const [names, bytes] = [openMemory(), openMemory()];
  return Promise.resolve(testHome({ names, bytes }, (part) => corruptIn(part, bytes), async () => {}));
}

async function openPackedHome(index: PackIndex | Promise<PackIndex>): Promise<TestHome> {
  const [names, large] = [openMemory(), openMemory()];
  const bytes = await openPacked({ bytes: large, names, index: await index });
  const close = async () => await bytes[Symbol.asyncDispose]();
  return testHome({ names, bytes }, (part) => corruptIn(part, large, names), close);
}

async function openKvHome(): Promise<TestHome> {
  const kv = await Deno.openKv(":memory:");
  const names = openDenoKv(kv, { prefix: "names" });
  const bytes = openDenoKv(kv, { prefix: "bytes" });
  return testHome({ names, bytes }, (part) => corruptIn(part, bytes), () => Promise.resolve(kv.close()));
}

async function openFolderHome(options?: HomeOptions): Promise<TestHome> {
  const folder = await Deno.makeTempDir();
  const home = await openHome(folder, () => {}, options);
  const corrupt = async (part: Bytes) => {
    if (!await corruptFile(part, `${folder}/bytes/values`)) await corruptIn(part, home.names);
  };
  return testHome(home, corrupt, async () => {
    await home[Symbol.asyncDispose]();
    await Deno.remove(folder, { recursive: true });
  });
}

function testHome(home: Home, corrupt: TestHome["corrupt"], close: () => Promise<void>): TestHome {
  const { bytes } = home;
  return { ...servicesOver(home), bytes, corrupt, [Symbol.asyncDispose]: close };
}

async function corruptIn(part: Bytes, ...stores: ByteStore[]): Promise<void> {
  for (const store of stores) {
    for await (const key of store.list("")) {
      const value = await store.get(key);
      if (value && flipIn(value, part)) return await store.put(key, value);
    }
  }
  throw new Error("Cannot damage the bytes: they are not stored as they are");
}

async function corruptFile(part: Bytes, folder: string): Promise<boolean> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) {
      if (await corruptFile(part, path)) return true;
      continue;
    }
    const value = await Deno.readFile(path);
    if (!flipIn(value, part)) continue;
    await Deno.chmod(path, 0o644);
    await Deno.writeFile(path, value);
    return true;
  }
  return false;
}

/**
 * Changes a bit where the part begins in the value, or in the frame that holds it in a pack. Returns whether it is there; its first
 * 32 bytes tell.
 */
function flipIn(value: Uint8Array, part: Uint8Array): boolean {
  const at = indexOfPart(value, part);
  if (at >= 0) {
    value[at] ^= 1;
    return true;
  }
  for (const { frame, plain } of framesIn(value as Bytes)) {
    if (indexOfPart(plain, part) < 0) continue;
    frame[frame.length >> 1] ^= 1;
    return true;
  }
  return false;
}

function indexOfPart(value: Uint8Array, part: Uint8Array): number {
  const head = part.subarray(0, 32);
  for (let at = value.indexOf(head[0]); at >= 0; at = value.indexOf(head[0], at + 1)) {
    if (head.every((byte, i) => value[at + i] === byte)) return at;
  }
  return -1;
}

/** The frames of a pack, if it is one, and what they hold. */
function* framesIn(pack: Bytes): Generator<{ frame: Bytes; plain: Bytes }, void, void> {
  let entries: PackEntry[];
  try {
    entries = readPackTable(pack, "pack");
  } catch {
    return;
  }
  for (const entry of entries.filter(isFrame)) {
    const start = startOf(entry);
    const frame = pack.subarray(start, start + entry.length);
    yield { frame, plain: plainBytes(frame, entry, nativeFrames) };
  }
}
