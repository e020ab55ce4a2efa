/**
 * An index of packs as a journal: every pack's table, and every value that was forgotten, in the order in which that became
 * durable. Several may write to one journal and each reads what the others wrote.
 *
 *   record  := pack | forgotten | complete
 *   pack    := 1  small(u8)  key(name of the pack)  { row }
 *   forgotten := 2  { key }
 *   complete := 3                                        every pack is in the journal
 *   row     := key  u32 offset  u32 length
 *   key     := u16 head  digits                          head: length of what follows in bytes, and 2^15 if 32 of those
 *                                                        are a digest, which stands as 64 hex digits at the end of the key
 *
 * Numbers are little endian, keys ASCII. A key that ends in a digest takes 48 bytes instead of 80.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { DamageError } from "../errors.ts";
import type { PackEntry } from "./pack_index.ts";

/** One change of the index. */
export type PackChange =
  | { readonly type: "pack"; readonly pack: string; readonly small: boolean; readonly entries: PackEntry[] }
  | { readonly type: "forgotten"; readonly keys: string[] }
  | { readonly type: "complete" };

/** A change and its place in the journal: each later one has a higher number. */
export interface NumberedChange {
  readonly number: number;
  readonly change: PackChange;
}

/** Who follows a journal. */
export interface JournalFollower {
  /** Number of the last change it was told of; 0 at first. */
  readonly seen: number;
  /** Tells it of changes that are durable, in order and without a gap after `seen`. It leaves out those it has seen. */
  take(changes: readonly NumberedChange[]): void;
}

/** Keeps a journal of packs: what an adapter provides. */
export interface PackJournal {
  /** Tells the follower of every change it has not seen. */
  follow(follower: JournalFollower): Promise<void>;
  /**
   * Appends a change in one transaction: first the follower is told of every other change it has not seen, then `decide` says
   * what to append (`undefined`: nothing). With `bytes`, which are read before this returns its promise, the pack that the
   * change adds is stored in the same transaction. Resolves when that is durable and the follower was told of it.
   */
  append(
    follower: JournalFollower,
    decide: () => PackChange | undefined,
    pack?: { key: string; small: boolean; bytes: Bytes },
  ): Promise<void>;
  /** A change by its number. */
  get(number: number): Promise<PackChange | undefined>;
}

const PACK = 1, FORGOTTEN = 2, COMPLETE = 3;
const DIGEST = 32;
const WITH_DIGEST = 0x8000;
const ENDS_IN_DIGEST = /[0-9a-f]{64}$/;
const oneByteACharacter = new TextDecoder("latin1");

/** Encodes a change. */
export function encodeChange(change: PackChange): Bytes {
  switch (change.type) {
    case "complete":
      return Uint8Array.of(COMPLETE);
    case "forgotten": {
      const room = change.keys.reduce((sum, key) => sum + 2 + key.length, 1);
      const writer = new ChangeWriter(room);
      writer.byte(FORGOTTEN);
      for (const key of change.keys) writer.key(key);
      return writer.end();
    }
    case "pack": {
      const room = change.entries.reduce((sum, { key }) => sum + 10 + key.length, 4 + change.pack.length);
      const writer = new ChangeWriter(room);
      writer.byte(PACK);
      writer.byte(change.small ? 1 : 0);
      writer.key(change.pack);
      for (const { key, offset, length } of change.entries) {
        writer.key(key);
        writer.word(offset);
        writer.word(length);
      }
      return writer.end();
    }
  }
}

class ChangeWriter {
  #bytes: Bytes;
  #view: DataView;
  #at = 0;

  constructor(room: number) {
    this.#bytes = new Uint8Array(room);
    this.#view = new DataView(this.#bytes.buffer);
  }

  byte(value: number): void {
    this.#bytes[this.#at++] = value;
  }

  word(value: number): void {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  key(key: string): void {
    const digits = ENDS_IN_DIGEST.test(key) ? key.length - 2 * DIGEST : key.length;
    const withDigest = digits < key.length;
    this.#view.setUint16(this.#at, digits + (withDigest ? DIGEST | WITH_DIGEST : 0), true);
    this.#at += 2;
    for (let i = 0; i < digits; i++) this.#bytes[this.#at++] = key.charCodeAt(i);
    for (let i = digits; i < key.length; i += 2) {
      this.#bytes[this.#at++] = nibble(key.charCodeAt(i)) << 4 | nibble(key.charCodeAt(i + 1));
    }
  }

  end(): Bytes {
    return this.#bytes.subarray(0, this.#at).slice();
  }
}

/** The value of a lower-case hex digit. */
function nibble(code: number): number {
  return code < 97 ? code - 48 : code - 87;
}

/** Decodes a change; `number` is for the message. Throws {@link DamageError} if it is none. */
export function decodeChange(bytes: Bytes, number: number): PackChange {
  const reader = new ChangeReader(bytes, number);
  switch (bytes[0]) {
    case COMPLETE:
      if (bytes.length > 1) reader.fail();
      return { type: "complete" };
    case FORGOTTEN: {
      const keys: string[] = [];
      for (reader.at = 1; reader.at < bytes.length;) keys.push(reader.key());
      return { type: "forgotten", keys };
    }
    case PACK: {
      reader.at = 2;
      const small = bytes[1] === 1;
      const pack = reader.key();
      const entries: PackEntry[] = [];
      while (reader.at < bytes.length) {
        entries.push({ key: reader.key(), offset: reader.word(), length: reader.word() });
      }
      return { type: "pack", pack, small, entries };
    }
    default:
      return reader.fail();
  }
}

class ChangeReader {
  at = 0;
  #view: DataView;

  constructor(readonly bytes: Bytes, readonly number: number) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  word(): number {
    const at = this.#advance(4);
    return this.#view.getUint32(at, true);
  }

  key(): string {
    const head = this.#view.getUint16(this.#advance(2), true);
    const length = head & ~WITH_DIGEST;
    const start = this.#advance(length);
    if (length === head) return this.#text(start, start + length);
    if (length < DIGEST) this.fail();
    const digest = start + length - DIGEST;
    return this.#text(start, digest) + toHex(this.bytes.subarray(digest, digest + DIGEST));
  }

  fail(): never {
    throw new DamageError(
      "journal",
      String(this.number),
      `Cannot read change ${this.number} of the journal of packs: it is damaged`,
    );
  }

  #text(start: number, end: number): string {
    return oneByteACharacter.decode(this.bytes.subarray(start, end));
  }

  #advance(length: number): number {
    const start = this.at;
    if (start + length > this.bytes.length) this.fail();
    this.at += length;
    return start;
  }
}
