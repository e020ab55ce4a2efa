/**
 * A pack: many small values in one. It describes itself, so an index of packs can be made again from packs alone.
 *
 *   pack    := values table trailer
 *   values  := the bytes of each value, one after the other
 *   table   := { u16 keyLength, key, u32 offset, u32 length }     one entry a value, in the order of the values
 *   trailer := digest(32)  u32 tableOffset  u32 entries  "firnpak1"
 *
 * Numbers are little endian, offsets count from the start of the pack, keys are ASCII, digest is the BLAKE3 of the table.
 * Limits: a pack has at most 4 MiB. Unchecked here: the values; whoever reads them knows their digests.
 */
import { type Bytes, equals, fromText } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { DamageError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import type { PackEntry } from "./pack_index.ts";

const MAGIC = fromText("firnpak1");
const TRAILER = 32 + 4 + 4 + MAGIC.length;

/** Collects values into a pack. */
export class PackWriter {
  readonly entries: PackEntry[] = [];
  #buffer: Bytes;
  #at = 0;
  #table = 0;

  /** @param buffer where the pack is written; its length bounds the pack's */
  constructor(buffer: Bytes) {
    this.#buffer = buffer;
  }

  /** Length of the pack, in bytes, if it were ended now. */
  get length(): number {
    return this.#at + this.#table + TRAILER;
  }

  /** Adds a value and returns where it lies, or `undefined` if it does not fit. The bytes are copied. */
  add(key: string, value: Bytes): PackEntry | undefined {
    const row = 2 + key.length + 8;
    if (this.length + row + value.length > this.#buffer.length) return undefined;
    const entry = { key, offset: this.#at, length: value.length };
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    this.#table += row;
    this.entries.push(entry);
    return entry;
  }

  /** A value that was added: a view. */
  value(entry: PackEntry): Bytes {
    return this.#buffer.subarray(entry.offset, entry.offset + entry.length);
  }

  /** Ends the pack. The bytes are a view of the buffer. */
  end(): { name: string; bytes: Bytes } {
    const view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset);
    const tableOffset = this.#at;
    let at = tableOffset;
    for (const { key, offset, length } of this.entries) {
      view.setUint16(at, key.length, true);
      at += 2;
      for (let i = 0; i < key.length; i++) this.#buffer[at++] = key.charCodeAt(i);
      view.setUint32(at, offset, true);
      view.setUint32(at + 4, length, true);
      at += 8;
    }
    const digest = blake3(this.#buffer.subarray(tableOffset, at));
    this.#buffer.set(digest, at);
    view.setUint32(at + 32, tableOffset, true);
    view.setUint32(at + 36, this.entries.length, true);
    this.#buffer.set(MAGIC, at + 40);
    return { name: toHex(digest), bytes: this.#buffer.subarray(0, at + TRAILER) };
  }
}

/** Decoding a table at once and cutting the keys out of that is several times faster than decoding each key. */
const oneByteACharacter = new TextDecoder("latin1");

/** The table of a whole pack. Throws {@link DamageError} if the bytes are not a pack; `name` is for the message. */
export function readPackTable(pack: Bytes, name: string): PackEntry[] {
  const trailer = pack.length - TRAILER;
  if (trailer < 0 || !equals(pack.subarray(trailer + 40), MAGIC)) throw new DamageError("pack", name);
  const view = new DataView(pack.buffer, pack.byteOffset, pack.length);
  const tableOffset = view.getUint32(trailer + 32, true);
  const count = view.getUint32(trailer + 36, true);
  if (
    tableOffset > trailer ||
    !equals(blake3(pack.subarray(tableOffset, trailer)), pack.subarray(trailer, trailer + 32))
  ) {
    throw new DamageError("pack", name);
  }
  const text = oneByteACharacter.decode(pack.subarray(tableOffset, trailer));
  const entries: PackEntry[] = [];
  for (let at = tableOffset; at < trailer;) {
    const end = at + 2 + (at + 2 <= trailer ? view.getUint16(at, true) : 0);
    if (end + 8 > trailer) throw new DamageError("pack", name);
    const entry = {
      key: text.slice(at + 2 - tableOffset, end - tableOffset),
      offset: view.getUint32(end, true),
      length: view.getUint32(end + 4, true),
    };
    if (entry.offset + entry.length > tableOffset) throw new DamageError("pack", name);
    entries.push(entry);
    at = end + 8;
  }
  if (entries.length !== count) throw new DamageError("pack", name);
  return entries;
}
