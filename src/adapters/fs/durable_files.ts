/**
 * Files that appear whole or not at all and outlast a crash: written under a temporary name, brought to the disk,
 * renamed, and the folder brought to the disk too. Needs a file system where a folder can be opened and synced (POSIX).
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { Budget } from "../../bytes/budget.ts";
import type { ByteRange } from "../../castore/byte_store.ts";
import { StoreFullError } from "../../errors.ts";
import { Rounds } from "./rounds.ts";

/** What is needed of a platform; `Deno` is one. */
export type FsPlatform = Pick<
  typeof Deno,
  "open" | "mkdir" | "readDir" | "remove" | "rename" | "stat" | "errors"
>;

/** Files open at once: enough to keep a disk busy, far below the limits on a process. */
const OPEN_FILES = 64;

/** Files below one directory, named by their folders (outermost first) and their own name. */
export class DurableFiles {
  #open = new Budget(OPEN_FILES);
  #folders = new Map<string, Promise<void>>();
  #syncs = new Rounds((folder) => this.#sync(folder));
  #temporaries = 0;

  /**
   * @param directory where the files are; exists
   * @param temporary an empty directory of the same file system
   */
  constructor(readonly platform: FsPlatform, readonly directory: string, readonly temporary: string) {
    this.#folders.set(directory, Promise.resolve());
  }

  /** The bytes of a file or of a range of it, which ends at `limit` at the latest; `undefined` when there is no file. */
  async read(path: string, limit: number, range?: ByteRange): Promise<Bytes | undefined> {
    return await this.#unlessMissing(() =>
      this.#withFile(path, { read: true }, async (file) => {
        // Not by `readFile`, which for packs costs this thread twice as much: it copies what it has read once more.
        const start = range ? Math.min(range.start, limit) : 0;
        const end = range ? Math.min(range.end, limit) : Math.min((await file.stat()).size, limit);
        const bytes = new Uint8Array(Math.max(0, end - start));
        if (start > 0) file.seekSync(start, 0); // which touches no disk
        let filled = 0;
        while (filled < bytes.length) {
          const count = await file.read(bytes.subarray(filled));
          if (count === null) return bytes.slice(0, filled);
          filled += count;
        }
        return bytes;
      })
    );
  }

  /** Whether there is such a file. */
  async has(path: string): Promise<boolean> {
    return await this.#unlessMissing(async () => (await this.platform.stat(path)).isFile) ?? false;
  }

  /** Writes or replaces a file, in folders that are made when missing. Throws {@link StoreFullError}. */
  async write(folders: readonly string[], name: string, bytes: Bytes): Promise<void> {
    const temporary = `${this.temporary}/${this.#temporaries++}`;
    const folder = [this.directory, ...folders].join("/");
    const made = this.#folder(folder); // while the file is written
    made.catch(() => {});
    try {
      await this.#withFile(temporary, { write: true, createNew: true }, async (file) => {
        for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
        await file.syncData();
      });
      await made;
      await this.platform.rename(temporary, `${folder}/${name}`);
    } catch (error) {
      await this.#unlessMissing(() => this.platform.remove(temporary));
      throw isFull(error)
        ? new StoreFullError(`Cannot write below ${this.directory}: no room is left there; make some`, {
          cause: error,
        })
        : error;
    }
    await this.#syncs.join(folder);
  }

  /** Removes a file, if it is there. */
  async remove(folders: readonly string[], name: string): Promise<void> {
    const folder = [this.directory, ...folders].join("/");
    await this.#unlessMissing(() => this.platform.remove(`${folder}/${name}`));
    // Also when it was missing: whoever removed it may not have brought that to the disk yet.
    await this.#unlessMissing(() => this.#syncs.join(folder));
  }

  #folder(path: string): Promise<void> {
    const known = this.#folders.get(path);
    if (known) return known;
    const made = this.#makeFolder(path);
    this.#folders.set(path, made);
    made.catch(() => this.#folders.delete(path));
    return made;
  }

  async #makeFolder(path: string): Promise<void> {
    const parent = path.slice(0, path.lastIndexOf("/"));
    await this.#folder(parent);
    try {
      await this.platform.mkdir(path);
    } catch (error) {
      if (!(error instanceof this.platform.errors.AlreadyExists)) throw error;
    }
    // Also when it was there: a process that was killed may have left it in memory only.
    await this.#syncs.join(parent);
  }

  async #sync(folder: string): Promise<void> {
    await this.#withFile(folder, { read: true }, (file) => file.syncData());
  }

  async #withFile<T>(
    path: string,
    options: Deno.OpenOptions,
    use: (file: Deno.FsFile) => Promise<T>,
  ): Promise<T> {
    return await this.#limited(async () => {
      using file = await this.platform.open(path, options);
      return await use(file);
    });
  }

  async #limited<T>(use: () => Promise<T>): Promise<T> {
    await this.#open.take(1);
    try {
      return await use();
    } finally {
      this.#open.give(1);
    }
  }

  async #unlessMissing<T>(use: () => Promise<T>): Promise<T | undefined> {
    try {
      return await use();
    } catch (error) {
      if (error instanceof this.platform.errors.NotFound) return undefined;
      throw error;
    }
  }
}

function isFull(error: unknown): boolean {
  const code = (error as { code?: unknown }).code;
  return code === "ENOSPC" || code === "EDQUOT";
}
