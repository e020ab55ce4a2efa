/**
 * Pins: names that keep a store path, and all it refers to, from being collected as garbage.
 */
import type { ByteStore } from "../castore/byte_store.ts";
import { pathKey, rootKey } from "../castore/layout.ts";
import { FormatError, MissingError } from "../errors.ts";
import { deletedSince, sequenceOf } from "./collections.ts";
import { decodePin, encodePin } from "./messages.ts";

/** The longest name of a pin, in characters. */
export const MAX_PIN_NAME_LENGTH = 128;

/** A name and the path it keeps. */
export interface Pin {
  readonly name: string;
  readonly hashPart: string;
  /** When it was pinned, in milliseconds since 1970. */
  readonly pinnedAt: number;
}

/**
 * The pins of a store.
 *
 * - A pin keeps one path, by its hash part, and whatever that path refers to, directly or not.
 * - A name is 1 to {@link MAX_PIN_NAME_LENGTH} letters, digits and `+ - . _ @ : /`, and begins with a letter or digit; another
 *   is a `FormatError`. Several names may keep one path.
 */
export interface Pins {
  /** The pin, or `undefined`. */
  get(name: string): Promise<Pin | undefined>;
  /**
   * Pins a path. A name that is pinned already keeps the new path from now on, and no longer the old one. A path that is not
   * here is a `MissingError`, and nothing has changed. Resolved means that no collection deletes it any more.
   */
  add(name: string, hashPart: string): Promise<Pin>;
  /** Removes a pin. Resolves to whether there was one. The path stays until garbage is collected. */
  remove(name: string): Promise<boolean>;
  /** All pins by name in byte order, lazily. */
  list(): AsyncIterable<Pin>;
}

/** The pins kept in a ByteStore (the `names` of a home). */
export function pinsOver(names: ByteStore, now: () => number = Date.now): Pins {
  return new PinsOver(names, now);
}

class PinsOver implements Pins {
  constructor(readonly names: ByteStore, readonly now: () => number) {}

  async get(name: string): Promise<Pin | undefined> {
    const value = await this.names.get(keyOf(name));
    return value && { name, ...decodePin(value) };
  }

  async add(name: string, hashPart: string): Promise<Pin> {
    const key = keyOf(name);
    const before = await sequenceOf(this.names);
    await this.#checkPath(name, hashPart);
    const old = await this.names.get(key);
    const value = encodePin({ hashPart, pinnedAt: this.now() });
    await this.names.put(key, value);
    if (await deletedSince(before, this.names, this.now)) {
      try {
        await this.#checkPath(name, hashPart);
      } catch (error) {
        if (old) await this.names.put(key, old);
        else await this.names.delete(key);
        throw error;
      }
    }
    return { name, ...decodePin(value) };
  }

  async remove(name: string): Promise<boolean> {
    const there = await this.names.has(keyOf(name));
    await this.names.delete(keyOf(name));
    return there;
  }

  async *list(): AsyncGenerator<Pin, void, void> {
    const prefix = rootKey("");
    for await (const key of this.names.list(prefix)) {
      const value = await this.names.get(key);
      if (value) yield { name: key.slice(prefix.length), ...decodePin(value) };
    }
  }

  async #checkPath(name: string, hashPart: string): Promise<void> {
    if (await this.names.has(pathKey(hashPart))) return;
    throw new MissingError("path", hashPart, `Cannot pin ${name}: no path ${hashPart} is in this store`);
  }
}

function keyOf(name: string): string {
  if (name.length > MAX_PIN_NAME_LENGTH || !/^[0-9A-Za-z][0-9A-Za-z+\-._@:/]*$/.test(name)) {
    throw new FormatError(
      "pin",
      `Cannot use the pin name ${
        JSON.stringify(name.slice(0, 200))
      }: want 1 to ${MAX_PIN_NAME_LENGTH} letters, ` +
        `digits and + - . _ @ : /, beginning with a letter or digit`,
    );
  }
  return rootKey(name);
}
