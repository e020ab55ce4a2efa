/**
 * Writes a Nix archive (grammar: `wire.ts`) from the tokens of `parser.ts`, under the same rules: what it writes, the
 * reader reads, and an archive read and written again is the same bytes.
 */
import { type Bytes, compare, EMPTY } from "../bytes/bytes.ts";
import { nameFault, quoteName, targetFault } from "../bytes/names.ts";
import { FormatError } from "../errors.ts";
import type { NarToken } from "./parser.ts";
import {
  DIRECTORY_END,
  DIRECTORY_START,
  ENTRY_END,
  NAR_START,
  writeBytes,
  writeEntryStart,
  writeFileEnd,
  writeFileStart,
  writeSymlink,
} from "./wire.ts";

/** Pieces have at least this many bytes, except the last. */
const PIECE = 64 * 1024;
/** Room behind a piece for the words of a token, which are never split: the longest is a symlink in a directory. */
const ROOM = 8 * 1024;

/**
 * The archive of these tokens, as a stream that asks for tokens only when it is read. Contents of 64 KiB or more are
 * passed on without copying, so pieces are only to be read.
 *
 * The stream fails with {@link FormatError} for tokens that are not one whole tree, names that are unlawful or not
 * in increasing order, unlawful targets, and files with more or fewer bytes than their size; and with whatever the
 * tokens throw. The tokens' iterator is returned when the stream fails or is cancelled.
 */
export function writeNar(tokens: AsyncIterable<NarToken> | Iterable<NarToken>): ReadableStream<Bytes> {
  const source = Symbol.asyncIterator in tokens ? tokens[Symbol.asyncIterator]() : tokens[Symbol.iterator]();
  const writer = new Writer();
  return new ReadableStream<Bytes>({
    async pull(controller) {
      while (writer.pieces.length === 0) {
        const token = await source.next();
        try {
          if (token.done) writer.finish();
          else writer.write(token.value);
        } catch (error) {
          try {
            await source.return?.();
          } catch {
            // The first error is the one to tell; a source that fails to close after it adds nothing.
          }
          throw error;
        }
        if (token.done) {
          for (const piece of writer.pieces) controller.enqueue(piece);
          controller.close();
          return;
        }
      }
      for (const piece of writer.pieces.splice(0)) controller.enqueue(piece);
    },
    async cancel() {
      await source.return?.();
    },
  }, { highWaterMark: 0 });
}

/** Turns tokens into pieces, and checks them. */
class Writer {
  /** Pieces that are ready. */
  readonly pieces: Bytes[] = [];
  #buffer: Bytes = new Uint8Array(PIECE + ROOM);
  #at = writeBytes(this.#buffer, 0, NAR_START);
  #whole = false;
  /** The last name in each open directory, the root's first. */
  readonly #names: Bytes[] = [];
  /** Of the open file, if one is open: its size, and how many bytes of it are still to come. */
  #size: number | undefined;
  #left = 0;

  write(token: NarToken): void {
    if (this.#whole) throw wrong("something follows the end of the tree");
    if (this.#size !== undefined && token.type !== "data" && token.type !== "end") {
      throw wrong(`a ${token.type} follows where the contents of a file are not ended`);
    }
    switch (token.type) {
      case "directory":
        this.#startEntry(token.name);
        this.#at = writeBytes(this.#buffer, this.#at, DIRECTORY_START);
        this.#names.push(EMPTY);
        break;
      case "file":
        this.#startEntry(token.name);
        if (!Number.isSafeInteger(token.size) || token.size < 0) {
          throw wrong(`${token.size} is not the size of a file`);
        }
        this.#at = writeFileStart(this.#buffer, this.#at, token.executable, token.size);
        this.#size = this.#left = token.size;
        break;
      case "symlink": {
        this.#startEntry(token.name);
        const fault = targetFault(token.target);
        if (fault) throw wrong(`the target of ${quoteName(token.name)} is not allowed (${fault})`);
        this.#at = writeSymlink(this.#buffer, this.#at, token.target);
        this.#endNode();
        break;
      }
      case "data":
        this.#data(token.bytes);
        break;
      case "end":
        this.#end();
        break;
    }
    this.#send();
  }

  /** Hands out what is left. */
  finish(): void {
    if (!this.#whole) throw wrong("the tree ends too early");
    this.pieces.push(this.#buffer.subarray(0, this.#at));
  }

  #startEntry(name: Bytes): void {
    const depth = this.#names.length;
    if (depth === 0) {
      if (name.length > 0) throw wrong(`the root has a name, ${quoteName(name)}`);
      return;
    }
    const fault = nameFault(name);
    if (fault) throw wrong(`the name ${quoteName(name)} is not allowed (${fault})`);
    const before = this.#names[depth - 1];
    if (compare(before, name) >= 0) {
      throw wrong(`the name ${quoteName(name)} does not come after ${quoteName(before)}`);
    }
    this.#names[depth - 1] = name;
    this.#at = writeEntryStart(this.#buffer, this.#at, name);
  }

  #end(): void {
    if (this.#size !== undefined) {
      if (this.#left > 0) throw wrong(`a file is ${this.#left} bytes shorter than its size, ${this.#size}`);
      this.#at = writeFileEnd(this.#buffer, this.#at, this.#size);
      this.#size = undefined;
    } else {
      if (this.#names.pop() === undefined) throw wrong("an end where nothing was begun");
      this.#at = writeBytes(this.#buffer, this.#at, DIRECTORY_END);
    }
    this.#endNode();
  }

  #endNode(): void {
    if (this.#names.length > 0) this.#at = writeBytes(this.#buffer, this.#at, ENTRY_END);
    else this.#whole = true;
  }

  #data(bytes: Bytes): void {
    if (this.#size === undefined) throw wrong("contents where no file was begun");
    if (bytes.length > this.#left) throw wrong(`a file is longer than its size, ${this.#size}`);
    this.#left -= bytes.length;
    while (bytes.length > 0) {
      if (this.#at === 0 && bytes.length >= PIECE) {
        this.pieces.push(bytes);
        return;
      }
      const part = bytes.subarray(0, PIECE - this.#at);
      this.#at = writeBytes(this.#buffer, this.#at, part);
      bytes = bytes.subarray(part.length);
      this.#send();
    }
  }

  /** Makes a piece of the buffer if it is long enough, so that there is room behind it again. */
  #send(): void {
    if (this.#at < PIECE) return;
    this.pieces.push(this.#buffer.subarray(0, this.#at));
    this.#buffer = new Uint8Array(PIECE + ROOM);
    this.#at = 0;
  }
}

function wrong(what: string): FormatError {
  return new FormatError("nar", `Cannot write NAR: ${what}`);
}
