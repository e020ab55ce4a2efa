/**
 * Parses a Nix archive (grammar: `wire.ts`) into tokens. An archive read to its end is the one archive of its tree:
 * every word, length, padding byte and closing was compared, names are lawful and in order, and nothing follows.
 *
 * Memory stays below 5 KiB and a name for each open directory, whatever lengths the archive claims: contents are
 * passed through as views of the input.
 */
import { type Bytes, compare, concat, EMPTY, equals } from "../bytes/bytes.ts";
import { MAX_NAME_LENGTH, MAX_TARGET_LENGTH, nameFault, quoteName, targetFault } from "../bytes/names.ts";
import { Slab } from "../bytes/slab.ts";
import { FormatError, LimitError } from "../errors.ts";
import {
  CLOSE,
  CONTENTS,
  DIRECTORY,
  ENTRY,
  EXECUTABLE,
  NAR_START,
  NODE,
  NODE_START,
  paddedLength,
  paddingLength,
  REGULAR,
  SYMLINK,
} from "./wire.ts";

/**
 * A piece of an archive. Each node begins with a token of its type; its `name` is empty for the root. After
 * `directory` follow its nodes and `end`, after `file` any number of `data` with `size` bytes in all and `end`.
 */
export type NarToken =
  | { readonly type: "directory"; readonly name: Bytes }
  | { readonly type: "file"; readonly name: Bytes; readonly executable: boolean; readonly size: number }
  | { readonly type: "data"; readonly bytes: Bytes }
  | { readonly type: "symlink"; readonly name: Bytes; readonly target: Bytes }
  | { readonly type: "end" };

/** Bounds the format does not have; beyond them is a `LimitError`. */
export interface NarLimits {
  /** Most directories inside each other, the root included. 4096 unless told. */
  readonly maxDepth?: number;
  /** Most nodes below the root. 4,000,000 unless told. */
  readonly maxEntries?: number;
}

/** What ends a node in a directory and its entry. */
const CLOSE_ENTRY = concat([CLOSE, CLOSE]);

/** The longest run of bytes that is looked at as a whole: a symlink with its entry around it. */
const LONGEST_HEAD = ENTRY.length + 8 + paddedLength(MAX_NAME_LENGTH) + NODE.length + NODE_START.length +
  SYMLINK.length + 8 + paddedLength(MAX_TARGET_LENGTH) + CLOSE_ENTRY.length;

const END: NarToken = { type: "end" };

/**
 * The parser: bytes are fed to it, tokens are pulled out of it. It never waits, so an archive of small files costs
 * no promise for each token.
 *
 *     parser.feed(piece);
 *     for (let token = parser.next(); token; token = parser.next()) …
 *
 * How it works: a head (all words from one token to the next) is looked at as a whole. If the piece fed ends before
 * the head does, what there is of it is carried over, and looking begins anew with the next piece; nothing is
 * changed before the head is complete.
 */
export class NarParser {
  readonly #maxDepth: number;
  readonly #maxEntries: number;
  #piece: Bytes = EMPTY;
  /** The first byte of `#piece` that is neither read nor carried. */
  #at = 0;
  /** Where in the archive `#piece` begins. */
  #offset = 0;
  readonly #carry: Bytes = new Uint8Array(LONGEST_HEAD);
  #carried = 0;
  #state: "start" | "directory" | "file" | "end" = "start";
  /** The last name in each open directory, the root's first. */
  readonly #names: Bytes[] = [];
  readonly #copies = new Slab();
  #entries = 0;
  /** Of the open file: its size, and how much of it has not been read. */
  #size = 0;
  #left = 0;
  #fault: Error | undefined;

  constructor(limits: NarLimits = {}) {
    this.#maxDepth = limits.maxDepth ?? 4096;
    this.#maxEntries = limits.maxEntries ?? 4_000_000;
  }

  /** Offset in the archive of the first byte no token was made of: after `file`, where its contents begin. */
  get position(): number {
    return this.#offset + this.#at - this.#carried;
  }

  /** Whether the whole archive was read and nothing follows, so far. */
  get finished(): boolean {
    return this.#state === "end" && this.#at === this.#piece.length && !this.#fault;
  }

  /**
   * Gives the next bytes of the archive. Only when `next` has returned `undefined`. The parser keeps no hold of the
   * array beyond the next `feed`, but the `data` tokens are views of it.
   */
  feed(piece: Bytes): void {
    this.#checkAllRead();
    this.#offset += this.#piece.length;
    this.#piece = piece;
    this.#at = 0;
  }

  /**
   * The next token, or `undefined` if more input is needed or the archive is finished. Names and targets are
   * copies. Throws {@link FormatError} or {@link LimitError}, and then the same again at each call.
   */
  next(): NarToken | undefined {
    if (this.#fault) throw this.#fault;
    switch (this.#state) {
      case "start":
        return this.#expect(NAR_START, 0) ? this.#node(NAR_START.length, EMPTY) : undefined;
      case "directory":
        return this.#entryOrEnd();
      case "file":
        return this.#left > 0 ? this.#data() : this.#fileEnd();
      case "end":
        if (this.#at < this.#piece.length) throw this.#wrong("bytes after the end of the archive", 0);
        return undefined;
    }
  }

  /** Says that there is no more input. Throws {@link FormatError} if the archive is not whole. */
  finish(): void {
    if (this.#fault) throw this.#fault;
    if (this.#state !== "end") {
      this.#checkAllRead();
      throw this.#wrong("it ends too early", this.#carried);
    }
    this.next();
  }

  #checkAllRead(): void {
    if (this.#at < this.#piece.length) {
      throw new TypeError("Cannot go on in NAR: call next() until it returns undefined");
    }
  }

  #entryOrEnd(): NarToken | undefined {
    if (!this.#see(1)) return undefined;
    if (this.#byte(0) !== ENTRY[0]) {
      if (!this.#closeNode(0, this.#names.length > 1)) return undefined;
      this.#names.pop();
      return END;
    }
    if (!this.#expect(ENTRY, 0)) return undefined;
    const start = ENTRY.length + 8;
    if (!this.#see(start)) return undefined;
    const length = this.#number(ENTRY.length);
    if (length > MAX_NAME_LENGTH) throw this.#wrong(`a name of over ${MAX_NAME_LENGTH} bytes`, ENTRY.length);
    if (!this.#seeWord(start, length)) return undefined;
    const name = this.#copy(start, length);
    this.#checkName(name, start);
    const end = start + paddedLength(length);
    return this.#expect(NODE, end) ? this.#node(end + NODE.length, name) : undefined;
  }

  #checkName(name: Bytes, at: number): void {
    const fault = nameFault(name);
    if (fault) throw this.#wrong(`the name ${quoteName(name)} is not allowed (${fault})`, at);
    const before = this.#names[this.#names.length - 1];
    if (compare(before, name) >= 0) {
      const what = equals(before, name) ? "stands twice" : `is out of order after ${quoteName(before)}`;
      throw this.#wrong(`the name ${quoteName(name)} ${what}`, at);
    }
  }

  #node(at: number, name: Bytes): NarToken | undefined {
    if (!this.#expect(NODE_START, at)) return undefined;
    at += NODE_START.length;
    // The first letter tells the types apart; that the word is right is compared afterwards.
    if (!this.#see(at + 9)) return undefined;
    switch (this.#byte(at + 8)) {
      case REGULAR[8]:
        return this.#file(at, name);
      case SYMLINK[8]:
        return this.#symlink(at, name);
      case DIRECTORY[8]:
        return this.#directory(at, name);
      default:
        throw this.#wrong("a node that is no file, symlink or directory", at);
    }
  }

  #directory(at: number, name: Bytes): NarToken | undefined {
    if (!this.#expect(DIRECTORY, at)) return undefined;
    if (this.#names.length >= this.#maxDepth) {
      throw this.#overLimit(this.#maxDepth, `over ${this.#maxDepth} directories inside each other`);
    }
    this.#acceptName(name);
    this.#consume(at + DIRECTORY.length);
    this.#names.push(EMPTY);
    this.#state = "directory";
    return { type: "directory", name };
  }

  #symlink(at: number, name: Bytes): NarToken | undefined {
    if (!this.#expect(SYMLINK, at)) return undefined;
    at += SYMLINK.length;
    if (!this.#see(at + 8)) return undefined;
    const length = this.#number(at);
    if (length > MAX_TARGET_LENGTH) throw this.#wrong(`a target of over ${MAX_TARGET_LENGTH} bytes`, at);
    at += 8;
    if (!this.#seeWord(at, length)) return undefined;
    const target = this.#copy(at, length);
    const fault = targetFault(target);
    if (fault) throw this.#wrong(`the target of ${quoteName(name)} is not allowed (${fault})`, at);
    if (!this.#closeNode(at + paddedLength(length), this.#names.length > 0)) return undefined;
    this.#acceptName(name);
    return { type: "symlink", name, target };
  }

  #file(at: number, name: Bytes): NarToken | undefined {
    if (!this.#expect(REGULAR, at)) return undefined;
    at += REGULAR.length;
    if (!this.#see(at + 1)) return undefined;
    const executable = this.#byte(at) === EXECUTABLE[0];
    if (executable) {
      if (!this.#expect(EXECUTABLE, at)) return undefined;
      at += EXECUTABLE.length;
    }
    if (!this.#expect(CONTENTS, at)) return undefined;
    at += CONTENTS.length;
    if (!this.#see(at + 8)) return undefined;
    const size = this.#number(at);
    if (size > Number.MAX_SAFE_INTEGER) {
      throw this.#overLimit(Number.MAX_SAFE_INTEGER, `the file ${quoteName(name)} of over 2^53 - 1 bytes`);
    }
    this.#acceptName(name);
    this.#consume(at + 8);
    this.#size = this.#left = size;
    this.#state = "file";
    return { type: "file", name, executable, size };
  }

  #data(): NarToken | undefined {
    const end = Math.min(this.#at + this.#left, this.#piece.length);
    if (end === this.#at) return undefined;
    const bytes = this.#piece.subarray(this.#at, end);
    this.#left -= bytes.length;
    this.#at = end;
    return { type: "data", bytes };
  }

  #fileEnd(): NarToken | undefined {
    const padding = paddingLength(this.#size);
    if (!this.#see(padding)) return undefined;
    this.#checkZero(0, padding);
    return this.#closeNode(padding, this.#names.length > 0) ? END : undefined;
  }

  /** Takes what ends a node at `at`, and the entry around it if there is one. */
  #closeNode(at: number, inEntry: boolean): boolean {
    const closing = inEntry ? CLOSE_ENTRY : CLOSE;
    if (!this.#expect(closing, at)) return false;
    this.#consume(at + closing.length);
    this.#state = inEntry ? "directory" : "end";
    return true;
  }

  /** Counts a node and remembers its name. */
  #acceptName(name: Bytes): void {
    if (this.#names.length === 0) return;
    if (++this.#entries > this.#maxEntries) {
      throw this.#overLimit(this.#maxEntries, `over ${this.#maxEntries} entries`);
    }
    this.#names[this.#names.length - 1] = name;
  }

  // Below, `at` counts from the first byte of the head.

  /** Whether `length` bytes of the head are there, all in the piece or all carried. */
  #see(length: number): boolean {
    if (this.#carried === 0 ? this.#at + length <= this.#piece.length : length <= this.#carried) return true;
    const take = Math.min(length - this.#carried, this.#piece.length - this.#at);
    this.#carry.set(this.#piece.subarray(this.#at, this.#at + take), this.#carried);
    this.#carried += take;
    this.#at += take;
    return this.#carried >= length;
  }

  #byte(at: number): number {
    return this.#carried === 0 ? this.#piece[this.#at + at] : this.#carry[at];
  }

  #copy(at: number, length: number): Bytes {
    return this.#copies.copy(
      this.#carried === 0
        ? this.#piece.subarray(this.#at + at, this.#at + at + length)
        : this.#carry.subarray(at, at + length),
    );
  }

  #consume(length: number): void {
    if (this.#carried === 0) this.#at += length;
    else this.#carried = 0;
  }

  /** Compares fixed words; those that are not there yet as far as they are, so that wrong input fails early. */
  #expect(run: Bytes, at: number): boolean {
    const whole = this.#see(at + run.length);
    const length = whole ? run.length : this.#carried - at;
    const bytes = this.#carried === 0 ? this.#piece : this.#carry;
    const start = this.#carried === 0 ? this.#at + at : at;
    for (let i = 0; i < length; i++) {
      if (bytes[start + i] !== run[i]) throw this.#wrong(`something else than ${spell(run)}`, at + i);
    }
    return whole;
  }

  /** Whether a word with its padding is there; the padding is checked. */
  #seeWord(at: number, length: number): boolean {
    const end = at + paddedLength(length);
    if (!this.#see(end)) return false;
    this.#checkZero(at + length, end);
    return true;
  }

  #checkZero(at: number, end: number): void {
    for (; at < end; at++) if (this.#byte(at) !== 0) throw this.#wrong("padding that is not zero", at);
  }

  /** Unsigned 64 bits; inexact over 2^53. */
  #number(at: number): number {
    let value = 0;
    for (let i = 7; i >= 0; i--) value = value * 256 + this.#byte(at + i);
    return value;
  }

  #wrong(what: string, at: number): FormatError {
    return this.#fail(new FormatError("nar", `Cannot read NAR: ${what} at byte ${this.position + at}`));
  }

  #overLimit(limit: number, what: string): LimitError {
    return this.#fail(new LimitError(limit, `Cannot read NAR: ${what} at byte ${this.position}`));
  }

  #fail<E extends Error>(error: E): E {
    this.#fault = error;
    return error;
  }
}

/** The words of a fixed run, for messages. */
function spell(run: Bytes): string {
  const words: string[] = [];
  for (let at = 0; at < run.length; at += 8 + paddedLength(run[at])) {
    words.push(quoteName(run.subarray(at + 8, at + 8 + run[at])));
  }
  return words.join(" ");
}
