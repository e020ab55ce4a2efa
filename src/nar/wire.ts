/**
 * The words of a Nix archive (NAR) around its names, sizes and targets: one source for everything that reads, writes
 * or lays out an archive.
 *
 *   archive  := "nix-archive-1" node
 *   node     := "(" "type" ( regular | symlink | directory ) ")"
 *   regular  := "regular" [ "executable" "" ] "contents" word
 *   symlink  := "symlink" "target" word
 *   directory := "directory" { "entry" "(" "name" word "node" node ")" }
 *   word     := length (unsigned 64 bits, little-endian), bytes, zero bytes up to a multiple of 8
 *
 * Words in quotes are `word`s too. Names are strictly increasing by bytes inside a directory; names and targets
 * follow `bytes/names.ts`. Each tree has one archive only. Contents have up to 2^53 - 1 bytes here.
 *
 * A node is put together so, with the entry's own words around it unless it is the root:
 *
 *   file       writeFileStart, the contents, writeFileEnd
 *   symlink    writeSymlink
 *   directory  DIRECTORY_START, for each entry (writeEntryStart, node, ENTRY_END), DIRECTORY_END
 *
 * Each `write…` writes at an offset of a given array and returns the offset after what it wrote; its `…Length` says
 * beforehand how many bytes that is. They check nothing.
 */
import { type Bytes, concat, fromText } from "../bytes/bytes.ts";

/** Bytes a word of this many bytes takes without its length: rounded up to a multiple of 8. */
export function paddedLength(length: number): number {
  return length + paddingLength(length);
}

/** Zero bytes after a word of this many bytes. */
export function paddingLength(length: number): number {
  return (8 - length % 8) % 8;
}

function words(...texts: string[]): Bytes {
  return concat(texts.map((text) => {
    const bytes = new Uint8Array(8 + paddedLength(text.length));
    bytes[0] = text.length;
    bytes.set(fromText(text), 8);
    return bytes;
  }));
}

/** What an archive begins with; one node follows. */
export const NAR_START: Bytes = words("nix-archive-1");
/** What a node begins with; the words of its type follow. */
export const NODE_START: Bytes = words("(", "type");
/** What a node ends with, and an entry. */
export const CLOSE: Bytes = words(")");
/** The type of a file. */
export const REGULAR: Bytes = words("regular");
/** What marks a file as executable. */
export const EXECUTABLE: Bytes = words("executable", "");
/** What stands before the contents of a file: their length comes next. */
export const CONTENTS: Bytes = words("contents");
/** The type of a symlink, and the word before its target. */
export const SYMLINK: Bytes = words("symlink", "target");
/** The type of a directory. */
export const DIRECTORY: Bytes = words("directory");
/** What an entry begins with; its name follows. */
export const ENTRY: Bytes = words("entry", "(", "name");
/** What stands between the name of an entry and its node. */
export const NODE: Bytes = words("node");

/** What a directory's node begins with; its entries follow. */
export const DIRECTORY_START: Bytes = concat([NODE_START, DIRECTORY]);
/** What a directory's node ends with. */
export const DIRECTORY_END: Bytes = CLOSE;
/** What follows the node of an entry. */
export const ENTRY_END: Bytes = CLOSE;

const FILE_START = concat([NODE_START, REGULAR, CONTENTS]);
const EXECUTABLE_FILE_START = concat([NODE_START, REGULAR, EXECUTABLE, CONTENTS]);
const SYMLINK_START = concat([NODE_START, SYMLINK]);

/** Bytes of {@link writeEntryStart}. */
export function entryStartLength(nameLength: number): number {
  return ENTRY.length + 8 + paddedLength(nameLength) + NODE.length;
}

/** Writes what precedes the node of an entry. */
export function writeEntryStart(buffer: Bytes, at: number, name: Uint8Array): number {
  at = writeBytes(buffer, at, ENTRY);
  at = writeWord(buffer, at, name);
  return writeBytes(buffer, at, NODE);
}

/** Bytes of {@link writeFileStart}. */
export function fileStartLength(executable: boolean): number {
  return (executable ? EXECUTABLE_FILE_START : FILE_START).length + 8;
}

/** Writes what precedes the contents of a file, which have `size` bytes. */
export function writeFileStart(buffer: Bytes, at: number, executable: boolean, size: number): number {
  at = writeBytes(buffer, at, executable ? EXECUTABLE_FILE_START : FILE_START);
  return writeNumber(buffer, at, size);
}

/** Bytes of {@link writeFileEnd}. */
export function fileEndLength(size: number): number {
  return paddingLength(size) + CLOSE.length;
}

/** Writes what follows the contents of a file, which have `size` bytes. */
export function writeFileEnd(buffer: Bytes, at: number, size: number): number {
  return writeBytes(buffer, writePadding(buffer, at, size), CLOSE);
}

/** Bytes of {@link writeSymlink}. */
export function symlinkLength(targetLength: number): number {
  return SYMLINK_START.length + 8 + paddedLength(targetLength) + CLOSE.length;
}

/** Writes the whole node of a symlink. */
export function writeSymlink(buffer: Bytes, at: number, target: Uint8Array): number {
  at = writeBytes(buffer, at, SYMLINK_START);
  at = writeWord(buffer, at, target);
  return writeBytes(buffer, at, CLOSE);
}

/** Writes fixed bytes, such as {@link DIRECTORY_START}. */
export function writeBytes(buffer: Bytes, at: number, bytes: Uint8Array): number {
  buffer.set(bytes, at);
  return at + bytes.length;
}

function writeWord(buffer: Bytes, at: number, bytes: Uint8Array): number {
  at = writeNumber(buffer, at, bytes.length);
  at = writeBytes(buffer, at, bytes);
  return writePadding(buffer, at, bytes.length);
}

function writeNumber(buffer: Bytes, at: number, value: number): number {
  for (let i = 0; i < 8; i++) {
    buffer[at++] = value % 256;
    value = Math.floor(value / 256);
  }
  return at;
}

function writePadding(buffer: Bytes, at: number, length: number): number {
  const end = at + paddingLength(length);
  buffer.fill(0, at, end);
  return end;
}
