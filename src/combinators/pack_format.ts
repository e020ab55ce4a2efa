/**
 * A pack: many small values in one. It describes itself, so an index of packs can be made again from packs alone.
 *
 *   pack    := values table trailer
 *   values  := the bytes of each value, one after the other
 *   table   := { u16 keyLength, key, u32 offset, u32 length }     one entry a value, in the order of the values
 *   trailer := digest(32)  u32 tableOffset  u32 entries  magic    magic = "firnpak1", "firnpak2" if a value is compressed
 *
 * Numbers are little endian, offsets count from the start of the pack, keys are ASCII, digest is the BLAKE3 of the table. The offset
 * of a value that is compressed has its highest bit set (`pack_frames.ts`). Limits: a pack has at most 4 MiB. Unchecked here: the
 * values; whoever reads them knows their digests.
 */
import { type Bytes, equals, fromText } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { DamageError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import { FRAME, isFrame, type PackEntry, startOf } from "./pack_index.ts";

const PLAIN_MAGIC = fromText("firnpak1");
const FRAMES_MAGIC = fromText("firnpak2");
const TRAILER = 32 + 4 + 4 + PLAIN_MAGIC.length;
/** What a value takes in the table, besides its key. */
const ROW = 2 + 8;

/** Length of the pack of these values, in bytes. */
export function packLengthFor(keys: readonly { readonly key: string }[], values: readonly Bytes[]): number {
  let length = TRAILER;
  for (const { key } of keys) length += ROW + key.length;
  for (const value of values) length += value.length;
  return length;
}

/** Collects values into a pack. */
export class PackWriter {
  readonly entries: PackEntry[] = [];
  #buffer: Bytes;
  #at = 0;
  #table = 0;
  #magic = PLAIN_MAGIC;

  /** @param buffer where the pack is written; its length bounds the pack's */
  constructor(buffer: Bytes) {
    this.#buffer = buffer;
  }

  /** Length of the pack, in bytes, if it were ended now. */
  get length(): number {
    return this.#at + this.#table + TRAILER;
  }

  /** Adds a value, which may be compressed, and returns where it lies, or `undefined` if it does not fit. The bytes are copied. */
  add(key: string, value: Bytes, frame = false): PackEntry | undefined {
    const row = ROW + key.length;
    if (this.length + row + value.length > this.#buffer.length) return undefined;
    const entry = { key, offset: frame ? this.#at + FRAME : this.#at, length: value.length };
    if (frame) this.#magic = FRAMES_MAGIC;
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
    this.#table += row;
    this.entries.push(entry);
    return entry;
  }

  /** A value that was added, as it stands there: a view. */
  value(entry: PackEntry): Bytes {
    const start = startOf(entry);
    return this.#buffer.subarray(start, start + entry.length);
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
    this.#buffer.set(this.#magic, at + 40);
    return { name: toHex(digest), bytes: this.#buffer.subarray(0, at + TRAILER) };
  }
}

/** Decoding a table at once and cutting the keys out of that is several times faster than decoding each key. */
const oneByteACharacter = new TextDecoder("latin1");

/** The table of a whole pack. Throws {@link DamageError} if the bytes are not a pack; `name` is for the message. */
export function readPackTable(pack: Bytes, name: string): PackEntry[] {
  const trailer = pack.length - TRAILER;
  const magic = pack.subarray(trailer + 40);
  const mayHaveFrames = trailer >= 0 && equals(magic, FRAMES_MAGIC);
  if (trailer < 0 || !mayHaveFrames && !equals(magic, PLAIN_MAGIC)) throw new DamageError("pack", name);
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
    if (startOf(entry) + entry.length > tableOffset || isFrame(entry) && !mayHaveFrames) {
      throw new DamageError("pack", name);
    }
    entries.push(entry);
    at = end + 8;
  }
  if (entries.length !== count) throw new DamageError("pack", name);
  return entries;
}
