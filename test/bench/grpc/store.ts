/**
 * The store under both servers of the comparison, on whatever runtime: Node has no Deno KV. Two kinds:
 *
 *   memory   values in memory; one that is there already is not copied again, so a blob that repeats itself costs no more
 *            than it has different chunks
 *   files    one file a value, by node:fs, not synced
 */
import { existsSync } from "node:fs";
import { mkdir, readFile, rename, writeFile } from "node:fs/promises";
import type { Bytes } from "../../../src/bytes/bytes.ts";
import { type BlobService } from "../../../src/castore/blob_service.ts";
import { blobsOver } from "../../../src/castore/blobs_over.ts";
import type { ByteRange, ByteStore } from "../../../src/castore/byte_store.ts";

/** Blobs over one of these stores. @param place `memory`, or a folder that may be missing */
export async function openBlobs(place: string): Promise<BlobService> {
  if (place === "memory") return blobsOver(new MemoryValues());
  await mkdir(place, { recursive: true });
  return blobsOver(new FileValues(place));
}

/** What blobs need of a store; the rest throws. */
abstract class Values implements ByteStore {
  abstract get(key: string, range?: ByteRange): Promise<Bytes | undefined>;
  abstract has(key: string): Promise<boolean>;
  abstract put(key: string, value: Bytes): Promise<void>;

  delete(key: string): Promise<void> {
    return Promise.reject(new Error(`Cannot delete ${key}: not in a benchmark`));
  }

  // deno-lint-ignore require-yield
  async *list(prefix: string): AsyncGenerator<string> {
    throw await Promise.reject(new Error(`Cannot list ${prefix}: not in a benchmark`));
  }

  update(key: string): Promise<Bytes | undefined> {
    return Promise.reject(new Error(`Cannot update ${key}: not in a benchmark`));
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

class MemoryValues extends Values {
  #values = new Map<string, Bytes>();

  get(key: string): Promise<Bytes | undefined> {
    return Promise.resolve(this.#values.get(key));
  }

  has(key: string): Promise<boolean> {
    return Promise.resolve(this.#values.has(key));
  }

  put(key: string, value: Bytes): Promise<void> {
    if (!this.#values.has(key)) this.#values.set(key, value.slice());
    return Promise.resolve();
  }
}

class FileValues extends Values {
  #writing = 0;

  constructor(readonly folder: string) {
    super();
  }

  async get(key: string): Promise<Bytes | undefined> {
    try {
      return await readFile(this.#path(key)) as Bytes;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  has(key: string): Promise<boolean> {
    return Promise.resolve(existsSync(this.#path(key)));
  }

  async put(key: string, value: Bytes): Promise<void> {
    const path = this.#path(key);
    if (existsSync(path)) return;
    const temporary = `${this.folder}/writing-${this.#writing++}`;
    await writeFile(temporary, value.slice()); // the caller may use its bytes again
    await rename(temporary, path);
  }

  #path(key: string): string {
    return `${this.folder}/${key.replaceAll("/", "-")}`;
  }
}
