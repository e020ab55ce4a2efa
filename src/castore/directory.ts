/**
 * Directories: sorted names and their nodes, their canonical encoding, digest and size.
 *
 * Encoding (castore.proto, message Directory; proto3, fields in ascending order, defaults omitted):
 *
 *   Directory      := { 0x0a len DirectoryEntry } { 0x12 len FileEntry } { 0x1a len SymlinkEntry }
 *   DirectoryEntry := 0x0a len name  0x12 len digest  [0x18 varint(size)]
 *   FileEntry      := 0x0a len name  0x12 len digest  [0x18 varint(size)]  [0x20 0x01]
 *   SymlinkEntry   := 0x0a len name  0x12 len target
 *
 * Each of the three lists is sorted by name, and no name stands twice in all of them. The digest of a Directory is
 * the BLAKE3 of this encoding, so decoding (`read_directory.ts`) accepts this encoding only: another one of the same message would have
 * another digest. The empty Directory encodes to no bytes and shares its digest with the empty blob.
 *
 * Size: two rules exist. Both start from the number of entries n and add the sizes of child directories:
 * `documented` (castore.proto, tvix to mid 2024) is n + Σ, `snix` (tvix from August 2024, snix) is 2n + Σ.
 * Sizes are part of the digest, so they are never recomputed when a Directory is read or written again.
 */
import { type Bytes, compare, equals } from "../bytes/bytes.ts";
import { nameFault, quoteName, targetFault } from "../bytes/names.ts";
import { FormatError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import { type Digest, DIGEST_LENGTH } from "./digest.ts";
import type { Node } from "./node.ts";

/** One name in a Directory and what it stands for. */
export interface DirectoryItem {
  readonly name: Bytes;
  readonly node: Node;
}

/** Items sorted by name (bytes), no name twice. Make one with {@link directoryOf}. */
export interface Directory {
  readonly items: readonly DirectoryItem[];
}

/** Which rule gives a Directory's size. */
export type SizeRule = "documented" | "snix";

/** Both rules. */
export const SIZE_RULES: readonly SizeRule[] = ["documented", "snix"];

/** The largest size. */
export const MAX_U64 = (1n << 64n) - 1n;

/**
 * A Directory of these items, which are sorted here. Throws {@link FormatError} for an unlawful or repeated name, an
 * unlawful target, or sizes that add up to over 64 bits.
 */
export function directoryOf(items: readonly DirectoryItem[]): Directory {
  const sorted = [...items].sort((a, b) => compare(a.name, b.name));
  for (let i = 0; i < sorted.length; i++) {
    const { name, node } = sorted[i];
    checkItem(name, node);
    if (i > 0 && equals(sorted[i - 1].name, name)) {
      throw new FormatError("directory", `Cannot make a Directory: the name ${quoteName(name)} stands twice`);
    }
  }
  const directory = { items: sorted };
  directorySize(directory, "documented");
  return directory;
}

function checkItem(name: Bytes, node: Node): void {
  const fault = nameFault(name);
  if (fault) throw new FormatError("directory", `Cannot use the name ${quoteName(name)}: ${fault}`);
  if (node.type === "symlink") {
    const targetWrong = targetFault(node.target);
    if (targetWrong) {
      throw new FormatError(
        "directory",
        `Cannot use the symlink target of ${quoteName(name)}: ${targetWrong}`,
      );
    }
  } else if (node.digest.length !== DIGEST_LENGTH) {
    throw new FormatError(
      "directory",
      `Cannot use the digest of ${
        quoteName(name)
      }: it has ${node.digest.length} bytes, want ${DIGEST_LENGTH}`,
    );
  }
}

/** The size by a rule. Throws {@link FormatError} if it does not fit 64 bits. */
export function directorySize(directory: Directory, rule: SizeRule): bigint {
  let size = BigInt(directory.items.length) * (rule === "snix" ? 2n : 1n);
  for (const { node } of directory.items) if (node.type === "directory") size += node.size;
  if (size > MAX_U64) {
    throw new FormatError("directory", "Cannot size the Directory: the sizes below add up to over 64 bits");
  }
  return size;
}

/** BLAKE3 of the canonical encoding. */
export function directoryDigest(directory: Directory): Digest {
  return blake3(encodeDirectory(directory));
}

/** The canonical encoding. */
export function encodeDirectory(directory: Directory): Bytes {
  const writer = new Writer(directory.items.length * 64);
  for (const { name, node } of directory.items) {
    if (node.type === "directory") writer.entry(0x0a, name, node.digest, node.size, false);
  }
  for (const { name, node } of directory.items) {
    if (node.type === "file") writer.entry(0x12, name, node.digest, node.size, node.executable);
  }
  for (const { name, node } of directory.items) {
    if (node.type === "symlink") writer.entry(0x1a, name, node.target, 0, false);
  }
  return writer.bytes();
}

/** A file or directory node, or symlink, as an entry message of Directory; `field` is its tag byte. */
class Writer {
  #buffer: Bytes;
  #at = 0;

  constructor(capacity: number) {
    this.#buffer = new Uint8Array(capacity + 64);
  }

  entry(tag: number, name: Bytes, payload: Bytes, size: number | bigint, executable: boolean): void {
    const length = 1 + varintLength(name.length) + name.length +
      (payload.length ? 1 + varintLength(payload.length) + payload.length : 0) +
      (size ? 1 + varintLength(size) : 0) + (executable ? 2 : 0);
    this.#reserve(length + 16);
    this.#buffer[this.#at++] = tag;
    this.#varint(length);
    this.#field(0x0a, name);
    this.#field(0x12, payload);
    if (size) {
      this.#buffer[this.#at++] = 0x18;
      this.#varint(size);
    }
    if (executable) {
      this.#buffer[this.#at++] = 0x20;
      this.#buffer[this.#at++] = 1;
    }
  }

  bytes(): Bytes {
    return this.#buffer.slice(0, this.#at);
  }

  #field(tag: number, value: Bytes): void {
    if (value.length === 0) return;
    this.#buffer[this.#at++] = tag;
    this.#varint(value.length);
    this.#buffer.set(value, this.#at);
    this.#at += value.length;
  }

  #varint(value: number | bigint): void {
    if (typeof value === "bigint") {
      while (value > 0x7fn) {
        this.#buffer[this.#at++] = Number(value & 0x7fn) | 0x80;
        value >>= 7n;
      }
      this.#buffer[this.#at++] = Number(value);
      return;
    }
    while (value > 0x7f) {
      this.#buffer[this.#at++] = (value % 128) | 0x80;
      value = Math.floor(value / 128);
    }
    this.#buffer[this.#at++] = value;
  }

  #reserve(length: number): void {
    if (this.#at + length <= this.#buffer.length) return;
    const grown = new Uint8Array(Math.max(this.#buffer.length * 2, this.#at + length));
    grown.set(this.#buffer.subarray(0, this.#at));
    this.#buffer = grown;
  }
}

function varintLength(value: number | bigint): number {
  let length = 1;
  if (typeof value === "bigint") {
    for (; value > 0x7fn; value >>= 7n) length++;
  } else {
    for (; value > 0x7f; value = Math.floor(value / 128)) length++;
  }
  return length;
}
