/**
 * Reading Directories from their canonical encoding (its grammar is in `directory.ts`): whole and checked, or item by item
 * without making a list, for a folder may have a million entries.
 */
import { type Bytes, compare, equals } from "../bytes/bytes.ts";
import { quoteName } from "../bytes/names.ts";
import { FormatError } from "../errors.ts";
import { type Directory, type DirectoryItem, directoryOf, encodeDirectory, MAX_U64 } from "./directory.ts";

/** Tag bytes of the three lists, in their order. */
const LISTS = [0x0a, 0x12, 0x1a];

/**
 * Reads a canonical encoding. Names, digests and targets are views of it, so it must not change any more. Throws
 * {@link FormatError} for anything but the canonical encoding of a lawful Directory, and for a file of 2^53 bytes or more.
 */
export function decodeDirectory(bytes: Bytes): Directory {
  const directory = directoryOf([...directoryItems(bytes)]);
  if (!equals(encodeDirectory(directory), bytes)) throw notCanonical("another encoding of the same message");
  return directory;
}

/**
 * The items of an encoded Directory by name, as {@link decodeDirectory} gives them, but one at a time, and trusting that the
 * encoding is canonical and lawful: for bytes whose digest was checked. Throws {@link FormatError} where the lists cannot
 * be read, or are not in order.
 */
export function* directoryItems(bytes: Bytes): Generator<DirectoryItem, void, void> {
  const cursors = listsOf(bytes).map(({ tag, start, end }) => new Cursor(tag, bytes, start, end));
  while (cursors.length > 0) {
    let first = 0;
    for (let i = 1; i < cursors.length; i++) {
      if (compare(cursors[i].item.name, cursors[first].item.name) < 0) first = i;
    }
    yield cursors[first].item;
    if (!cursors[first].advance()) cursors.splice(first, 1);
  }
}

/**
 * Where each item of an encoded Directory begins, by name: with {@link itemAt} any page of a folder of a million entries is
 * read without the others. Trusts and throws as {@link directoryItems} does.
 */
export function directoryIndex(bytes: Bytes): Uint32Array {
  const cursors = listsOf(bytes).map(({ tag, start, end }) => new Cursor(tag, bytes, start, end));
  let count = 0;
  let index = new Uint32Array(64);
  while (cursors.length > 0) {
    let first = 0;
    for (let i = 1; i < cursors.length; i++) {
      if (compare(cursors[i].item.name, cursors[first].item.name) < 0) first = i;
    }
    if (count === index.length) {
      const longer = new Uint32Array(count * 2);
      longer.set(index);
      index = longer;
    }
    index[count++] = cursors[first].start;
    if (!cursors[first].advance()) cursors.splice(first, 1);
  }
  return index.slice(0, count);
}

/** The item that begins at a place that {@link directoryIndex} gave. */
export function itemAt(bytes: Bytes, at: number): DirectoryItem {
  const { start, end } = lengthDelimited(bytes, at + 1, bytes.length);
  return decodeItem(bytes[at], bytes, start, end);
}

/** Where each list that has items begins and ends. */
function listsOf(bytes: Bytes): { tag: number; start: number; end: number }[] {
  const lists: { tag: number; start: number; end: number }[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at];
    const last = lists[lists.length - 1];
    const end = lengthDelimited(bytes, at + 1, bytes.length).end;
    if (last?.tag === tag) last.end = end;
    else {
      if (!LISTS.includes(tag)) throw notCanonical(`unknown field (tag byte ${tag})`);
      if (last && tag < last.tag) throw notCanonical("its lists are not in field order");
      lists.push({ tag, start: at, end });
    }
    at = end;
  }
  return lists;
}

/** A place in one of the lists. */
class Cursor {
  item: DirectoryItem;
  /** Where the item begins. */
  start: number;
  #at: number;

  constructor(readonly tag: number, readonly bytes: Bytes, start: number, readonly end: number) {
    this.start = this.#at = start;
    this.item = this.#read();
  }

  /** Goes to the next item, if there is one. */
  advance(): boolean {
    if (this.#at === this.end) return false;
    const before = this.item.name;
    this.start = this.#at;
    this.item = this.#read();
    const order = compare(before, this.item.name);
    if (order >= 0) {
      throw new FormatError(
        "directory",
        `Cannot read Directory: the name ${quoteName(this.item.name)} ${
          order === 0 ? "stands twice" : "is out of order"
        }`,
      );
    }
    return true;
  }

  #read(): DirectoryItem {
    const { start, end } = lengthDelimited(this.bytes, this.#at + 1, this.end);
    this.#at = end;
    return decodeItem(this.tag, this.bytes, start, end);
  }
}

function notCanonical(why: string): FormatError {
  return new FormatError("directory", `Cannot read Directory: not the canonical encoding (${why})`);
}

function decodeItem(tag: number, bytes: Bytes, start: number, end: number): DirectoryItem {
  let name = bytes.subarray(start, start);
  let payload = name;
  let size: number | bigint = 0;
  let executable = false;
  for (let at = start; at < end;) {
    const field = bytes[at++];
    if (field === 0x0a || field === 0x12) {
      const value = lengthDelimited(bytes, at, end);
      at = value.end;
      if (field === 0x0a) name = bytes.subarray(value.start, value.end);
      else payload = bytes.subarray(value.start, value.end);
    } else if ((field === 0x18 && tag !== 0x1a) || (field === 0x20 && tag === 0x12)) {
      const value = varint(bytes, at, end);
      at = value.end;
      if (field === 0x18) size = value.value;
      else executable = value.value !== 0;
    } else throw notCanonical(`unknown field (tag byte ${field}) in an entry`);
  }
  if (tag === 0x1a) return { name, node: { type: "symlink", target: payload } };
  if (tag === 0x0a) return { name, node: { type: "directory", digest: payload, size: BigInt(size) } };
  if (typeof size === "bigint") {
    throw new FormatError("directory", `Cannot hold ${quoteName(name)}: a file of ${size} bytes`);
  }
  return { name, node: { type: "file", digest: payload, size, executable } };
}

function lengthDelimited(bytes: Bytes, at: number, end: number): { start: number; end: number } {
  const length = varint(bytes, at, end);
  if (length.value > end - length.end) throw notCanonical("it ends within a field");
  return { start: length.end, end: length.end + Number(length.value) };
}

/** A number of up to 64 bits; a bigint only from 2^53 on. */
function varint(bytes: Bytes, at: number, end: number): { value: number | bigint; end: number } {
  let value = 0;
  let unit = 1;
  for (let i = at; i < end && i < at + 7; i++, unit *= 128) {
    value += (bytes[i] & 0x7f) * unit;
    if (bytes[i] < 0x80) return { value, end: i + 1 };
  }
  return longVarint(bytes, at, end);
}

function longVarint(bytes: Bytes, at: number, end: number): { value: number | bigint; end: number } {
  let value = 0n;
  for (let shift = 0n; at < end; shift += 7n) {
    if (shift > 63n) break;
    const byte = bytes[at++];
    value |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) {
      if (value > MAX_U64) break;
      return { value: value <= Number.MAX_SAFE_INTEGER ? Number(value) : value, end: at };
    }
  }
  throw notCanonical(at < end ? "a number over 64 bits" : "it ends within a number");
}
