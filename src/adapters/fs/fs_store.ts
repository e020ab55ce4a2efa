/**
 * A ByteStore in a directory: one file a value.
 *
 *   <directory>/lock       held while the store is open: one process at a time
 *   <directory>/tmp/       files being written; emptied when the store is opened
 *   <directory>/values/    the values, at the paths that key_path.ts gives
 */
import { BufferPool } from "../../bytes/buffer_pool.ts";
import type { Bytes } from "../../bytes/bytes.ts";
import { Turns } from "../../bytes/turns.ts";
import {
  type ByteRange,
  type ByteStore,
  checkKey,
  checkValue,
  MAX_KEY_LENGTH,
  MAX_VALUE_LENGTH,
} from "../../castore/byte_store.ts";
import { DurableFiles, type FsPlatform } from "./durable_files.ts";
import { pathOfKey, pieceOfFile, pieceOfFolder } from "./key_path.ts";
import { lockFile } from "./lock.ts";

/**
 * Opens the store in this directory, which is made when missing. Throws `StoreBusyError` while another process has it
 * open. Disposing waits for what is being written.
 */
export async function openFs(directory: string, platform: FsPlatform = Deno): Promise<ByteStore> {
  await platform.mkdir(directory, { recursive: true });
  const lock = await lockFile(`${directory}/lock`, platform);
  try {
    const temporary = `${directory}/tmp`;
    await platform.mkdir(temporary, { recursive: true });
    await platform.remove(temporary, { recursive: true });
    await platform.mkdir(temporary);
    await platform.mkdir(`${directory}/values`, { recursive: true });
    for (const folder of [directory, `${directory}/..`]) {
      using file = await platform.open(folder);
      await file.syncData();
    }
    return new FsStore(new DurableFiles(platform, `${directory}/values`, temporary), lock);
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

/** Values of this length and more are copied into buffers that are used again. */
const POOLED = 1024 * 1024;
/** Such buffers kept: for as many writes as keep a disk busy. */
const BUFFERS_KEPT = 4;

class FsStore implements ByteStore {
  #files: DurableFiles;
  #lock: AsyncDisposable;
  /** Writes of one key wait for each other, or a `put` could fall between the read and the write of an `update`. */
  #turns = new Turns();
  #buffers = new BufferPool(MAX_VALUE_LENGTH, BUFFERS_KEPT);

  constructor(files: DurableFiles, lock: AsyncDisposable) {
    this.#files = files;
    this.#lock = lock;
  }

  async get(key: string, range?: ByteRange): Promise<Bytes | undefined> {
    return await this.#files.read(this.#pathOf(key), MAX_VALUE_LENGTH, range);
  }

  async has(key: string): Promise<boolean> {
    return await this.#files.has(this.#pathOf(key));
  }

  async put(key: string, value: Bytes): Promise<void> {
    checkKey(key);
    checkValue(value);
    const pooled = value.length >= POOLED ? this.#buffers.take() : undefined;
    const copy = pooled?.subarray(0, value.length) ?? new Uint8Array(value.length);
    copy.set(value);
    try {
      await this.#turns.take(key, () => this.#write(key, copy));
    } finally {
      if (pooled) this.#buffers.give(pooled);
    }
  }

  async delete(key: string): Promise<void> {
    checkKey(key);
    await this.#turns.take(key, () => this.#remove(key));
  }

  async update(
    key: string,
    change: (current: Bytes | undefined) => Bytes | undefined,
  ): Promise<Bytes | undefined> {
    checkKey(key);
    return await this.#turns.take(key, async () => {
      const current = await this.get(key);
      const next = change(current);
      if (next === current) return current;
      if (next) {
        checkValue(next);
        await this.#write(key, next.slice());
      } else {
        await this.#remove(key);
      }
      return next;
    });
  }

  async *list(prefix: string): AsyncGenerator<string, void, void> {
    // No lawful key begins with such a prefix, and no path is made of it.
    if (prefix.length > MAX_KEY_LENGTH || /[^!-~]/.test(prefix)) return;
    // All keys with this prefix lie in the folders that it fills itself.
    const { folders, file } = pathOfKey(prefix);
    const start = prefix.slice(0, prefix.length - pieceOfFile(file)!.length);
    yield* this.#walk([this.#files.directory, ...folders].join("/"), start, prefix);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turns.idle();
    await this.#lock[Symbol.asyncDispose]();
  }

  /** Keys with the prefix in one folder, whose own pieces are `start`. */
  async *#walk(folder: string, start: string, prefix: string): AsyncGenerator<string, void, void> {
    for (const { name, isFolder, text } of await this.#itemsOf(folder, start)) {
      if (isFolder) {
        if (text.startsWith(prefix) || prefix.startsWith(text)) {
          yield* this.#walk(`${folder}/${name}`, text, prefix);
        }
      } else if (text.startsWith(prefix)) {
        yield text;
      }
    }
  }

  /** What is in a folder, in byte order of the keys; names that are not ours (a lost+found, say) are left out. */
  async #itemsOf(
    folder: string,
    start: string,
  ): Promise<{ name: string; isFolder: boolean; text: string }[]> {
    const items = [];
    try {
      for await (const { name, isDirectory } of this.#files.platform.readDir(folder)) {
        const piece = isDirectory ? pieceOfFolder(name) : pieceOfFile(name);
        if (piece !== undefined) items.push({ name, isFolder: isDirectory, text: start + piece });
      }
    } catch (error) {
      if (!(error instanceof this.#files.platform.errors.NotFound)) throw error;
    }
    // The value `ab` comes before the folder of all that begins with `ab` and goes on.
    return items.sort((a, b) => a.text < b.text ? -1 : a.text > b.text ? 1 : a.isFolder ? 1 : -1);
  }

  #pathOf(key: string): string {
    checkKey(key);
    const { folders, file } = pathOfKey(key);
    return [this.#files.directory, ...folders, file].join("/");
  }

  async #write(key: string, value: Bytes): Promise<void> {
    const { folders, file } = pathOfKey(key);
    await this.#files.write(folders, file, value);
  }

  async #remove(key: string): Promise<void> {
    const { folders, file } = pathOfKey(key);
    await this.#files.remove(folders, file);
  }
}
