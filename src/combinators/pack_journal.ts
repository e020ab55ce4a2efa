/**
 * An index of packs as a journal: every pack's table, every value that was forgotten, every pack that was removed, in the
 * order in which that became durable. Several may write to one journal and each reads what the others wrote.
 *
 *   record    := pack | forgotten | complete | moved | removed
 *   pack      := 1  small(u8)  key(name of the pack)  { row }
 *   forgotten := 2  { key }
 *   complete  := 3                                         every pack is in the journal
 *   moved     := 4  small(u8)  key(name of the pack)  u32 count  count × key(name of a pack)  { row  u32 from }
 *   removed   := 5  key(name of the pack)
 *   row       := key  u32 offset  u32 length
 *   key       := u16 head  bytes                           head: how many bytes, and 2^15 if the last 32 are a digest, which
 *                                                          stands for 64 hex digits at the end of the key
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
  | { readonly type: "complete" }
  /** A pack of values that lay in others. One that is not there any more is not found here either. */
  | {
    readonly type: "moved";
    readonly pack: string;
    readonly small: boolean;
    readonly entries: (PackEntry & { readonly from: string })[];
  }
  /** A pack that is no more, with all values that are found in it. */
  | { readonly type: "removed"; readonly pack: string };

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

/** A pack that is stored with a change, or without `bytes` removed with it. */
export interface ChangedPack {
  readonly key: string;
  readonly small: boolean;
  /** Read before the call returns its promise. */
  readonly bytes?: Bytes;
}

/** Keeps a journal of packs: what an adapter provides. */
export interface PackJournal {
  /** Tells the follower of every change it has not seen. */
  follow(follower: JournalFollower): Promise<void>;
  /**
   * Appends a change in one transaction: first the follower is told of every other change it has not seen, then `decide` says
   * what to append (`undefined`: nothing, and nothing happens). With it goes what becomes of a pack, and earlier changes that
   * are dropped by their numbers. Resolves when all that is durable and the follower was told of it.
   */
  append(
    follower: JournalFollower,
    decide: () => PackChange | undefined,
    effects?: { readonly pack?: ChangedPack; readonly drop?: () => readonly number[] },
  ): Promise<void>;
  /** Drops changes that make no difference to who reads the journal from its beginning. */
  drop(numbers: readonly number[]): Promise<void>;
  /** A change by its number. */
  get(number: number): Promise<PackChange | undefined>;
}

const PACK = 1, FORGOTTEN = 2, COMPLETE = 3, MOVED = 4, REMOVED = 5;
const DIGEST = 32;
const WITH_DIGEST = 0x8000;
const ENDS_IN_DIGEST = /[0-9a-f]{64}$/;
const oneByteACharacter = new TextDecoder("latin1");

/** Encodes a change. */
export function encodeChange(change: PackChange): Bytes {
  const writer = new ChangeWriter();
  switch (change.type) {
    case "complete":
      writer.byte(COMPLETE);
      break;
    case "forgotten":
      writer.byte(FORGOTTEN);
      for (const key of change.keys) writer.key(key);
      break;
    case "removed":
      writer.byte(REMOVED);
      writer.key(change.pack);
      break;
    case "pack":
      writer.byte(PACK);
      writer.byte(change.small ? 1 : 0);
      writer.key(change.pack);
      for (const entry of change.entries) writer.row(entry);
      break;
    case "moved": {
      const packs = [...new Set(change.entries.map(({ from }) => from))];
      const numbers = new Map(packs.map((pack, number) => [pack, number]));
      writer.byte(MOVED);
      writer.byte(change.small ? 1 : 0);
      writer.key(change.pack);
      writer.word(packs.length);
      for (const pack of packs) writer.key(pack);
      for (const entry of change.entries) {
        writer.row(entry);
        writer.word(numbers.get(entry.from)!);
      }
    }
  }
  return writer.end();
}

class ChangeWriter {
  #bytes: Bytes = new Uint8Array(1024);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#at++] = value;
  }

  word(value: number): void {
    this.#room(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  row({ key, offset, length }: PackEntry): void {
    this.key(key);
    this.word(offset);
    this.word(length);
  }

  key(key: string): void {
    const digits = ENDS_IN_DIGEST.test(key) ? key.length - 2 * DIGEST : key.length;
    const withDigest = digits < key.length;
    this.#room(2 + key.length);
    this.#view.setUint16(this.#at, digits + (withDigest ? DIGEST | WITH_DIGEST : 0), true);
    this.#at += 2;
    for (let i = 0; i < digits; i++) this.#bytes[this.#at++] = key.charCodeAt(i);
    for (let i = digits; i < key.length; i += 2) {
      this.#bytes[this.#at++] = nibble(key.charCodeAt(i)) << 4 | nibble(key.charCodeAt(i + 1));
    }
  }

  end(): Bytes {
    return this.#bytes.slice(0, this.#at);
  }

  #room(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    const longer = new Uint8Array(2 * (this.#bytes.length + length));
    longer.set(this.#bytes);
    this.#bytes = longer;
    this.#view = new DataView(longer.buffer);
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
    case REMOVED: {
      reader.at = 1;
      const pack = reader.key();
      if (reader.at < bytes.length) return reader.fail();
      return { type: "removed", pack };
    }
    case PACK: {
      reader.at = 2;
      const pack = reader.key();
      const entries: PackEntry[] = [];
      while (reader.at < bytes.length) entries.push(reader.row());
      return { type: "pack", pack, small: bytes[1] === 1, entries };
    }
    case MOVED: {
      reader.at = 2;
      const pack = reader.key();
      const packs: string[] = [];
      for (let left = reader.word(); left > 0; left--) packs.push(reader.key());
      const entries: (PackEntry & { from: string })[] = [];
      while (reader.at < bytes.length) {
        const row = reader.row();
        entries.push({ ...row, from: packs[reader.word()] ?? reader.fail() });
      }
      return { type: "moved", pack, small: bytes[1] === 1, entries };
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

  row(): PackEntry {
    return { key: this.key(), offset: this.word(), length: this.word() };
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
