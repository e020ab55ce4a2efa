/**
 * Reads the header blocks of one direction of an HTTP/2 connection (HPACK, RFC 7541).
 *
 *     block      = { update } { field }
 *     update     = "001" size(5)                                              the dynamic table's capacity from now on
 *     field      = "1" index(7)                                               a field of a table
 *                | "01" name(6) string       added to the dynamic table
 *                | "0000" name(4) string | "0001" name(4) string              not added; never to be added
 *     name(n)    = index(n) | 0(n) string                                     the name of a field of a table, or its own
 *     string     = huffman flag(1) length(7) bytes
 *     integer(n) = n bits below 2^n - 1 | n ones, then { "1" 7 bits } "0" 7 bits, lowest first, to be added
 *
 * Limits: an integer has four more bytes at most, so that it is below 2^28 + 255, and never overflows. A string is in the block,
 * which the connection bounds. A list is bounded by `maxListSize`, and the table by `maxTableSize`: a byte of a block can name a
 * field of the size of the table, but the field is there once.
 *
 * Left unchecked: whether names and values are those that HTTP/2 allows.
 */
import { type Bytes, EMPTY } from "../../bytes/bytes.ts";
import { FormatError, LimitError } from "../../errors.ts";
import { huffmanDecode, huffmanMost } from "./huffman.ts";
import { DynamicTable, type HeaderField, sizeOf, STATIC_TABLE } from "./hpack_tables.ts";

/** What a table may be until SETTINGS say otherwise. */
const DEFAULT_TABLE_SIZE = 4096;

/** Most bits of an integer after its first byte. */
const INTEGER_BITS = 28;

/** Bytes of a string that are made characters at once: each is an argument of a call. */
const PIECE = 4096;

/** A header block that cannot be read. The tables of the two ends differ from now on: a COMPRESSION_ERROR of the connection. */
export class HpackError extends FormatError {
  constructor(message: string) {
    super("hpack", `Cannot read header block: ${message}`);
  }
}

/** A header list over its bound. The block was read to its end, and the connection can go on. */
export class HeaderListTooLargeError extends LimitError {
  constructor(limit: number) {
    super(limit, `Cannot accept header list: it is over ${limit} bytes; send fewer or shorter fields`);
  }
}

export class HpackDecoder {
  #table: DynamicTable;
  #maxTableSize: number;
  #maxListSize: number;
  /** The peer must make the table smaller before anything else. */
  #reductionDue = false;
  #block = EMPTY;
  #at = 0;
  #scratch: Bytes = new Uint8Array(256);

  /**
   * @param options.maxTableSize most bytes of the table: the peer knows it by SETTINGS_HEADER_TABLE_SIZE, or it is 4096
   * @param options.maxListSize most bytes of the names and values of one list, with 32 for each field
   */
  constructor(options: { maxTableSize: number; maxListSize: number }) {
    this.#maxTableSize = options.maxTableSize;
    this.#maxListSize = options.maxListSize;
    this.#table = new DynamicTable(Math.min(options.maxTableSize, DEFAULT_TABLE_SIZE));
  }

  /**
   * The peer has acknowledged another SETTINGS_HEADER_TABLE_SIZE. If that is less than what its table may have now, its next
   * block has to begin with an update.
   */
  setMaxTableSize(size: number): void {
    this.#maxTableSize = size;
    this.#reductionDue = this.#table.capacity > size;
  }

  /**
   * The fields of a block (of HEADERS with all of its CONTINUATIONs), in order. Keeps nothing of the array. Throws
   * {@link HpackError}, after which this decoder is of no use, and {@link HeaderListTooLargeError}.
   */
  decode(block: Bytes): HeaderField[] {
    this.#block = block;
    this.#at = 0;
    try {
      this.#readUpdates();
      return this.#readFields();
    } finally {
      this.#block = EMPTY;
    }
  }

  #readFields(): HeaderField[] {
    const fields: HeaderField[] = [];
    let size = 0;
    while (this.#at < this.#block.length) {
      const field = this.#readField();
      size += sizeOf(field);
      // Over the bound nothing is kept, but what follows may still change the table.
      if (size <= this.#maxListSize) fields.push(field);
    }
    if (size > this.#maxListSize) throw new HeaderListTooLargeError(this.#maxListSize);
    return fields;
  }

  #readUpdates(): void {
    while (this.#at < this.#block.length && (this.#block[this.#at] & 0xe0) === 0x20) {
      const size = this.#readInteger(0x1f);
      if (size > this.#maxTableSize) {
        throw new HpackError(`its table would have ${size} bytes, ${this.#maxTableSize} are allowed`);
      }
      this.#table.resize(size);
      this.#reductionDue = false;
    }
    if (this.#reductionDue) {
      throw new HpackError(`it does not begin by reducing its table to ${this.#maxTableSize} bytes`);
    }
  }

  #readField(): HeaderField {
    const first = this.#block[this.#at];
    if (first & 0x80) return this.#fieldAt(this.#readInteger(0x7f));
    if (first & 0x40) {
      const field = this.#readLiteral(0x3f);
      this.#table.add(field);
      return field;
    }
    if (first & 0x20) throw new HpackError("an update of its table comes after a field");
    return this.#readLiteral(0x0f);
  }

  #readLiteral(mask: number): HeaderField {
    const index = this.#readInteger(mask);
    const name = index === 0 ? this.#readString() : this.#fieldAt(index)[0];
    return [name, this.#readString()];
  }

  #fieldAt(index: number): HeaderField {
    const age = index - STATIC_TABLE.length - 1;
    const field = age >= 0 ? this.#table.get(age) : STATIC_TABLE[index - 1];
    if (!field) throw new HpackError(`there is no field ${index}`);
    return field;
  }

  /** @param mask the bits of the first byte that are of the integer */
  #readInteger(mask: number): number {
    const first = this.#block[this.#at++] & mask;
    if (first < mask) return first;
    let more = 0;
    for (let shift = 0; shift < INTEGER_BITS; shift += 7) {
      const byte = this.#readByte();
      more |= (byte & 0x7f) << shift;
      if (byte < 0x80) return mask + more;
    }
    throw new HpackError("an integer has too many bytes");
  }

  #readByte(): number {
    if (this.#at === this.#block.length) throw new HpackError("it ends within a field");
    return this.#block[this.#at++];
  }

  #readString(): string {
    if (this.#at === this.#block.length) throw new HpackError("it ends within a field");
    const huffman = (this.#block[this.#at] & 0x80) !== 0;
    const length = this.#readInteger(0x7f);
    const from = this.#at;
    if (length > this.#block.length - from) throw new HpackError("a string is longer than the block");
    this.#at += length;
    if (!huffman) return latin1(this.#block, from, this.#at);
    const into = this.#room(huffmanMost(length));
    const decoded = huffmanDecode(this.#block, from, this.#at, into);
    if (decoded < 0) throw new HpackError("a string is no Huffman code");
    return latin1(into, 0, decoded);
  }

  /** A buffer for one string. A long one is not kept: few need it. */
  #room(length: number): Bytes {
    if (length <= this.#scratch.length) return this.#scratch;
    const larger = new Uint8Array(length);
    if (length <= PIECE) this.#scratch = larger;
    return larger;
  }
}

function latin1(bytes: Bytes, from: number, end: number): string {
  let text = "";
  for (let at = from; at < end; at += PIECE) {
    const piece = bytes.subarray(at, Math.min(at + PIECE, end));
    // `apply` takes anything with a length; spreading it would be seven times as slow.
    text += String.fromCharCode.apply(null, piece as ArrayLike<number> as number[]);
  }
  return text;
}
