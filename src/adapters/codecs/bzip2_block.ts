/**
 * One block of a bzip2 stream, decoded in memory (the layout is that of bzip2 1.0):
 *
 *   block     = magic:48 crc:32 randomised:1 origin:24 used tables selectors lengths symbols
 *   used      = 16 bits say which sixteenths of the byte values occur, then 16 bits for each that does
 *   tables    = count of Huffman tables:3, from 2 to 6;  count of selectors:15, one for every 50 symbols
 *   selectors = each a table by its place in a move-to-front list, in unary: ones ended by a zero
 *   lengths   = for each table start:5, then for each symbol (10 one more | 11 one less)* 0; always 1 to 20
 *   symbols   = Huffman codes: 0 and 1 are digits of a run's length, n > 1 is place n − 1 of a move-to-front list of
 *               the bytes used, the last one ends the block
 *
 * The bytes this gives are a Burrows–Wheeler transform whose row is `origin`; its inverse has runs: four equal bytes
 * are followed by a count, 0 to 255, of more of them. `crc` is of the bytes after that.
 *
 * Limits: 900,000 bytes a block before the last step. Randomised blocks (bzip2 before 0.9.5, 1999) are refused.
 */
import { FormatError } from "../../errors.ts";

/** More bytes than a block of any sensible compressor takes: 900,001 symbols of 20 bits, and the tables. */
export const MAX_BLOCK_INPUT = 2_560 * 1024;

const GROUP = 50;
const MAX_CODE_LENGTH = 20;
const FAST_BITS = 10;
const MAX_SELECTORS = 18002;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc << 1 ^ (crc < 0 ? 0x04c11db7 : 0);
  return crc;
});

/** A fault in a bzip2 stream. */
export function bzip2Fault(why: string): FormatError {
  return new FormatError("bzip2", `Cannot decompress bzip2: ${why}`);
}

/** Bits of an array of bytes, the highest of each byte first. */
export class BitReader {
  /** Place of the next bit. */
  position = 0;
  constructor(readonly bytes: Uint8Array) {}

  /** The next bits as a number, at most 24. */
  read(count: number): number {
    const byte = this.position >> 3;
    const end = this.position + count;
    if (end > this.bytes.length * 8) throw bzip2Fault("the input ends early");
    const { bytes } = this;
    const word = bytes[byte] << 24 | bytes[byte + 1] << 16 | bytes[byte + 2] << 8 | bytes[byte + 3];
    const value = word << (this.position & 7) >>> (32 - count);
    this.position = end;
    return value;
  }

  /** The next 32 bits, signed. */
  read32(): number {
    return this.read(16) << 16 | this.read(16);
  }
}

/** A Huffman table: codes of up to FAST_BITS bits are looked up, longer ones are found by their length. */
interface Table {
  /** By the next FAST_BITS bits: symbol and length as `symbol << 5 | length`, or 0 for a longer code. */
  readonly fast: Uint16Array;
  /** The symbols in order of their codes. */
  readonly symbols: Uint16Array;
  /** By length: the first code that is longer, with 20 bits. */
  readonly limits: Int32Array;
  /** By length: place in `symbols` of its first code, less that code. */
  readonly bases: Int32Array;
}

/** Decodes blocks one after the other, in the same memory. Read a block to its end before the next is decoded. */
export class BlockDecoder {
  /** What a row's last byte is, and above 8 bits the row that follows. */
  readonly #rows: Uint32Array;
  #left = 0;
  #row = 0;
  #expected = 0;
  #crc = 0;
  #byte = -1;
  #repeats = 0;
  #extra = 0;

  /** @param size of the largest block, in bytes: 100,000 for each level */
  constructor(readonly size: number) {
    this.#rows = new Uint32Array(size);
  }

  /** Decodes the block that begins at the reader's place, its magic already read, and returns its CRC. */
  decode(bits: BitReader): number {
    this.#expected = bits.read32();
    if (bits.read(1)) throw bzip2Fault("randomised blocks are not supported");
    const origin = bits.read(24);
    const counts = new Int32Array(256);
    const length = this.#readSymbols(bits, counts);
    if (origin >= length) throw bzip2Fault("the origin of a block is outside of it");
    const rows = this.#rows;
    for (let byte = 0, sum = 0; byte < 256; byte++) {
      const count = counts[byte];
      counts[byte] = sum;
      sum += count;
    }
    for (let i = 0; i < length; i++) rows[counts[rows[i] & 0xff]++] |= i << 8;
    this.#left = length;
    this.#row = rows[origin] >>> 8;
    this.#crc = -1;
    this.#byte = -1;
    this.#repeats = 0;
    this.#extra = 0;
    return this.#expected;
  }

  /** Puts the next bytes of the block into an array; fewer than it holds are the last. */
  read(into: Uint8Array): number {
    const rows = this.#rows;
    let left = this.#left, row = this.#row, crc = this.#crc;
    let byte = this.#byte, repeats = this.#repeats, extra = this.#extra;
    let at = 0;
    while (at < into.length) {
      if (extra > 0) {
        extra--;
      } else if (left === 0) {
        break;
      } else {
        const entry = rows[row];
        row = entry >>> 8;
        left--;
        if (repeats === 4) {
          extra = entry & 0xff;
          repeats = 0;
          continue;
        }
        const next = entry & 0xff;
        repeats = next === byte ? repeats + 1 : 1;
        byte = next;
      }
      into[at++] = byte;
      crc = crc << 8 ^ CRC_TABLE[crc >>> 24 ^ byte];
    }
    this.#left = left;
    this.#row = row;
    this.#crc = crc;
    this.#byte = byte;
    this.#repeats = repeats;
    this.#extra = extra;
    if (at < into.length) {
      if (repeats === 4) throw bzip2Fault("a block ends within a run");
      if (~crc !== this.#expected) throw bzip2Fault("the CRC of a block is wrong");
    }
    return at;
  }

  /** Fills the rows with the transform's bytes, counts them, and returns how many there are. */
  #readSymbols(bits: BitReader, counts: Int32Array): number {
    const list = readUsed(bits);
    const end = list.length + 1;
    const { tables, selectors } = readTables(bits, end + 1);
    const { bytes } = bits;
    const rows = this.#rows;
    const stop = bytes.length * 8;
    let position = bits.position;
    let length = 0, run = 0, digit = 1;
    for (const selector of selectors) {
      const { fast, symbols, limits, bases } = tables[selector];
      for (let i = 0; i < GROUP; i++) {
        const at = position >> 3;
        const word = bytes[at] << 24 | bytes[at + 1] << 16 | bytes[at + 2] << 8 | bytes[at + 3];
        const code = word << (position & 7) >>> (32 - MAX_CODE_LENGTH);
        const found = fast[code >> (MAX_CODE_LENGTH - FAST_BITS)];
        let symbol = found >> 5;
        if (found !== 0) {
          position += found & 31;
        } else {
          let bitLength = FAST_BITS + 1;
          while (bitLength <= MAX_CODE_LENGTH && code >= limits[bitLength]) bitLength++;
          if (bitLength > MAX_CODE_LENGTH) throw bzip2Fault("a code has no symbol");
          symbol = symbols[bases[bitLength] + (code >> (MAX_CODE_LENGTH - bitLength))];
          position += bitLength;
        }
        if (position > stop) throw bzip2Fault("the input ends early");
        if (symbol <= 1) {
          run += digit << symbol;
          digit <<= 1;
          if (run > rows.length - length) throw bzip2Fault("a block is too long");
          continue;
        }
        if (run > 0) {
          rows.fill(list[0], length, length + run);
          counts[list[0]] += run;
          length += run;
          run = 0;
          digit = 1;
        }
        if (symbol === end) {
          bits.position = position;
          return length;
        }
        if (length === rows.length) throw bzip2Fault("a block is too long");
        const place = symbol - 1;
        const byte = list[place];
        for (let j = place; j > 0; j--) list[j] = list[j - 1];
        list[0] = byte;
        rows[length++] = byte;
        counts[byte]++;
      }
    }
    throw bzip2Fault("a block has no end");
  }
}

/** The bytes that occur, in order. */
function readUsed(bits: BitReader): Uint8Array {
  const sixteenths = bits.read(16);
  const used: number[] = [];
  for (let high = 0; high < 16; high++) {
    if ((sixteenths >> (15 - high) & 1) === 0) continue;
    const map = bits.read(16);
    for (let low = 0; low < 16; low++) if (map >> (15 - low) & 1) used.push(high * 16 + low);
  }
  if (used.length === 0) throw bzip2Fault("a block uses no byte");
  return Uint8Array.from(used);
}

function readTables(bits: BitReader, symbols: number): { tables: Table[]; selectors: Uint8Array } {
  const count = bits.read(3);
  if (count < 2 || count > 6) throw bzip2Fault(`a block has ${count} tables`);
  const selectors = new Uint8Array(bits.read(15));
  const order = Array.from({ length: count }, (_, table) => table);
  for (let i = 0; i < selectors.length; i++) {
    let place = 0;
    while (bits.read(1)) if (++place === count) throw bzip2Fault("a selector names no table");
    order.unshift(...order.splice(place, 1));
    selectors[i] = order[0];
  }
  const tables = order.map(() => makeTable(readLengths(bits, symbols)));
  // Some compressors write more selectors than the largest block can use; the rest are not looked at.
  return { tables, selectors: selectors.subarray(0, MAX_SELECTORS) };
}

function readLengths(bits: BitReader, symbols: number): Uint8Array {
  const lengths = new Uint8Array(symbols);
  let length = bits.read(5);
  for (let symbol = 0; symbol < symbols; symbol++) {
    while (true) {
      if (length < 1 || length > MAX_CODE_LENGTH) throw bzip2Fault(`a code has ${length} bits`);
      if (!bits.read(1)) break;
      length += bits.read(1) ? -1 : 1;
    }
    lengths[symbol] = length;
  }
  return lengths;
}

/** Codes are given in order of length, then of symbol. */
function makeTable(lengths: Uint8Array): Table {
  const fast = new Uint16Array(1 << FAST_BITS);
  const symbols = new Uint16Array(lengths.length);
  const limits = new Int32Array(MAX_CODE_LENGTH + 1);
  const bases = new Int32Array(MAX_CODE_LENGTH + 1);
  let code = 0;
  let place = 0;
  for (let length = 1; length <= MAX_CODE_LENGTH; length++) {
    bases[length] = place - code;
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      if (lengths[symbol] !== length) continue;
      if (code >= 1 << length) throw bzip2Fault("a table has too many codes");
      symbols[place++] = symbol;
      if (length <= FAST_BITS) {
        const from = code << (FAST_BITS - length);
        fast.fill(symbol << 5 | length, from, from + (1 << (FAST_BITS - length)));
      }
      code++;
    }
    limits[length] = code << (MAX_CODE_LENGTH - length);
    code <<= 1;
  }
  return { fast, symbols, limits, bases };
}
