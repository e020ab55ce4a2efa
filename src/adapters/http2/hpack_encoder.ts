/**
 * Writes the header blocks of one direction of an HTTP/2 connection (HPACK, RFC 7541; the grammar is in hpack_decoder.ts).
 *
 * A field that is in a table is its index. Any other is a literal, which is added to the table, unless it is a secret (never
 * to be added, not by anybody on the way: section 7.1.3), hardly ever the same twice, or half as large as the table. Strings are
 * Huffman-coded where that is shorter.
 *
 * Limits: the table has 4096 bytes at most, whatever the peer allows.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { FormatError } from "../../errors.ts";
import { huffmanEncode, huffmanLength } from "./huffman.ts";
import { DynamicTable, type HeaderField, sizeOf, STATIC_TABLE } from "./hpack_tables.ts";

const MAX_TABLE_SIZE = 4096;

/** Whoever can make a client send fields of his own must not find out what these are from the sizes of blocks. */
const SECRET = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "x-auth-token",
]);

/** Another value each time: in the table they would only drive out what is of use. */
const FICKLE = new Set([
  "age",
  "content-length",
  "content-range",
  "etag",
  "grpc-message",
  "grpc-timeout",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "location",
  "range",
  "traceparent",
]);

// The first bits of a representation; the others are its integer's.
const INDEXED = 0x80;
const ADDED = 0x40;
const UPDATE = 0x20;
const NEVER_ADDED = 0x10;
const NOT_ADDED = 0x00;

/** Where the fields of one name are. */
interface Place<T> {
  /** One of them, for the name alone. */
  any: T;
  values: Map<string, T>;
}

const STATIC_INDEX = new Map<string, Place<number>>();
STATIC_TABLE.forEach(([name, value], at) => {
  const place = STATIC_INDEX.get(name) ?? { any: at + 1, values: new Map() };
  place.values.set(value, at + 1);
  STATIC_INDEX.set(name, place);
});

export class HpackEncoder {
  /** Of the dynamic table: the numbers of its fields. */
  #places = new Map<string, Place<number>>();
  #table = new DynamicTable(MAX_TABLE_SIZE, (field, number) => this.#forget(field, number));
  /** The peer has to be told of the table's capacity: the least it was since the last block. */
  #least: number | undefined;
  #into: Bytes = new Uint8Array(256);
  #at = 0;

  /** The peer's SETTINGS_HEADER_TABLE_SIZE, which holds from the next block on. */
  setMaxTableSize(size: number): void {
    const capacity = Math.min(size, MAX_TABLE_SIZE);
    if (capacity === this.#table.capacity) return;
    this.#least = Math.min(this.#least ?? capacity, capacity);
    this.#table.resize(capacity);
  }

  /**
   * The block of a header list, to be sent before any block that is encoded later. Names are lower-case, all characters
   * are bytes: throws {@link FormatError} where one is not, and the encoder can go on.
   */
  encode(fields: Iterable<HeaderField>): Bytes {
    this.#at = 0;
    try {
      this.#writeUpdates();
      for (const field of fields) this.#writeField(field);
    } catch (error) {
      // Nobody will see this block, and what it added to the table: both ends begin with an empty one.
      const { capacity } = this.#table;
      this.#table.resize(0);
      this.#table.resize(capacity);
      this.#least = 0;
      throw error;
    }
    return this.#into.slice(0, this.#at);
  }

  #writeUpdates(): void {
    if (this.#least === undefined) return;
    const { capacity } = this.#table;
    this.#reserve(16);
    // The peer has to drop what was dropped here on the way (section 4.2).
    if (this.#least < capacity) this.#writeInteger(UPDATE, 0x1f, this.#least);
    this.#writeInteger(UPDATE, 0x1f, capacity);
    this.#least = undefined;
  }

  #writeField(field: HeaderField): void {
    const [name, value] = field;
    const fixed = STATIC_INDEX.get(name);
    const added = this.#places.get(name);
    const index = fixed?.values.get(value) ?? this.#indexOf(added?.values.get(value));
    const nameIndex = fixed?.any ?? this.#indexOf(added?.any) ?? 0;
    this.#reserve(16 + name.length + value.length);
    if (SECRET.has(name)) {
      this.#writeLiteral(NEVER_ADDED, 0x0f, nameIndex, field);
    } else if (index !== undefined) {
      this.#writeInteger(INDEXED, 0x7f, index);
    } else if (FICKLE.has(name) || sizeOf(field) > this.#table.capacity / 2) {
      this.#writeLiteral(NOT_ADDED, 0x0f, nameIndex, field);
    } else {
      this.#writeLiteral(ADDED, 0x3f, nameIndex, field);
      this.#remember(field);
    }
  }

  #indexOf(number: number | undefined): number | undefined {
    return number === undefined ? undefined : STATIC_TABLE.length + this.#table.added - number;
  }

  #remember(field: HeaderField): void {
    const [name, value] = field;
    const number = this.#table.added;
    if (!this.#table.add([name, value])) return;
    const place = this.#places.get(name);
    if (!place) {
      this.#places.set(name, { any: number, values: new Map([[value, number]]) });
      return;
    }
    place.any = number;
    place.values.set(value, number);
  }

  #forget([name, value]: HeaderField, number: number): void {
    const place = this.#places.get(name)!;
    place.values.delete(value);
    // The one named for all is the newest, and leaves last.
    if (place.any === number) this.#places.delete(name);
  }

  #writeLiteral(kind: number, mask: number, nameIndex: number, [name, value]: HeaderField): void {
    this.#writeInteger(kind, mask, nameIndex);
    if (nameIndex === 0) this.#writeString(name);
    this.#writeString(value);
  }

  /** @param bits the bits of the first byte that are not of the integer, and `mask` those that are */
  #writeInteger(bits: number, mask: number, value: number): void {
    if (value < mask) {
      this.#into[this.#at++] = bits | value;
      return;
    }
    this.#into[this.#at++] = bits | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) this.#into[this.#at++] = rest & 0x7f | 0x80;
    this.#into[this.#at++] = rest;
  }

  #writeString(text: string): void {
    const shorter = huffmanLength(text);
    if (Number.isNaN(shorter)) {
      throw new FormatError(
        "hpack",
        "Cannot write header block: a name or value has a character that is no byte",
      );
    }
    if (shorter < text.length) {
      this.#writeInteger(0x80, 0x7f, shorter);
      this.#at = huffmanEncode(text, this.#into, this.#at);
      return;
    }
    this.#writeInteger(0, 0x7f, text.length);
    for (let i = 0; i < text.length; i++) this.#into[this.#at++] = text.charCodeAt(i);
  }

  /** Room for so many more bytes. */
  #reserve(length: number): void {
    if (this.#at + length <= this.#into.length) return;
    const larger = new Uint8Array(2 * (this.#at + length));
    larger.set(this.#into.subarray(0, this.#at));
    this.#into = larger;
  }
}
