/**
 * Reading values out of packs. Values of one tree lie next to each other, so a short value is read with its
 * surroundings (a window), which answer for its neighbours; a long value is read by itself.
 */
import { type Bytes, concat } from "../bytes/bytes.ts";
import { Lru } from "../bytes/lru.ts";
import type { ByteRange, ByteStore } from "../castore/byte_store.ts";
import { DamageError } from "../errors.ts";
import type { PackLocation } from "./pack_index.ts";

/** Bytes of a pack that are read at once for short values. */
const WINDOW = 1024 * 1024;
/** Windows kept, in bytes. */
const WINDOWS_KEPT = 32 * WINDOW;
/** A value of this length and more is read by itself. */
const LONG = 128 * 1024;

export class PackReader {
  #large: ByteStore;
  #small: ByteStore;
  #windows = new Lru<string, Promise<Bytes | undefined>>(WINDOWS_KEPT);

  constructor(large: ByteStore, small: ByteStore) {
    this.#large = large;
    this.#small = small;
  }

  /** The value at a location, or those of its bytes the range covers. Throws `DamageError` if the pack is not there or ends too soon. */
  async read(key: string, location: PackLocation, range?: ByteRange): Promise<Bytes> {
    const from = Math.min(range?.start ?? 0, location.length);
    const to = Math.max(from, Math.min(range?.end ?? location.length, location.length));
    const start = location.offset + from;
    const end = location.offset + to;
    const bytes = end - start >= LONG
      ? await this.#store(location).get(location.pack, { start, end })
      : await this.#fromWindows(location, start, end);
    if (bytes?.length !== end - start) {
      throw new DamageError(
        "value",
        key,
        `Cannot read ${key}: its pack ${location.pack} is missing or cut short`,
      );
    }
    return bytes;
  }

  async #fromWindows(location: PackLocation, start: number, end: number): Promise<Bytes | undefined> {
    const parts: Bytes[] = [];
    for (let at = start; at < end;) {
      const index = Math.floor(at / WINDOW);
      const window = await this.#window(location, index);
      const windowStart = index * WINDOW;
      const part = window?.subarray(at - windowStart, end - windowStart);
      if (!part || part.length === 0) return undefined;
      parts.push(part);
      at += part.length;
    }
    return concat(parts); // a copy: windows are shared, what a caller gets is its own
  }

  #window(location: PackLocation, index: number): Promise<Bytes | undefined> {
    const key = `${location.pack} ${index}`;
    const held = this.#windows.get(key);
    if (held) return held;
    const start = index * WINDOW;
    const window = this.#store(location).get(location.pack, { start, end: start + WINDOW });
    this.#windows.set(key, window, WINDOW);
    window.then((bytes) => {
      if (!bytes) this.#windows.delete(key);
    }, () => this.#windows.delete(key));
    return window;
  }

  #store(location: PackLocation): ByteStore {
    return location.small ? this.#small : this.#large;
  }
}
