/**
 * Sequences of messages in one stream of bytes, as protobuf libraries write them:
 *
 *   sequence := { length message }
 *   length   := varint: seven bits a byte, the lowest first; the highest bit says that another byte follows
 *
 * A length has at most five bytes. Messages are not looked into.
 */
import { type Bytes, concat } from "./bytes.ts";
import { FormatError, LimitError } from "../errors.ts";

/**
 * The messages of a sequence, each in an array of its own. Throws {@link LimitError} for one over `limit` bytes, before it is read, and
 * {@link FormatError} for a sequence that ends within a message. `what` names a message.
 */
export async function* readDelimited(
  source: AsyncIterable<Bytes>,
  limit: number,
  what: string,
): AsyncGenerator<Bytes, void, void> {
  const reader = new Reader(what, limit);
  for await (const piece of source) yield* reader.add(piece);
  reader.end();
}

/** A sequence of these messages. */
export async function* writeDelimited(
  messages: AsyncIterable<Uint8Array>,
): AsyncGenerator<Bytes, void, void> {
  for await (const message of messages) yield concat([varint(message.length), message]);
}

class Reader {
  #what: string;
  #limit: number;
  #length = 0;
  #lengthBytes = 0;
  /** The message that is being filled, and how far. */
  #message: Bytes | undefined;
  #filled = 0;

  constructor(what: string, limit: number) {
    this.#what = what;
    this.#limit = limit;
  }

  *add(piece: Bytes): Generator<Bytes, void, void> {
    for (let at = 0; at < piece.length;) {
      if (!this.#message) {
        this.#takeLength(piece[at++]);
      } else {
        const taken = piece.subarray(at, at + this.#message.length - this.#filled);
        this.#message.set(taken, this.#filled);
        this.#filled += taken.length;
        at += taken.length;
      }
      if (this.#message?.length === this.#filled) {
        yield this.#message;
        this.#message = undefined;
      }
    }
  }

  end(): void {
    if (this.#message || this.#lengthBytes > 0) {
      throw new FormatError("sequence", `Cannot read the sequence: it ends within a ${this.#what}`);
    }
  }

  #takeLength(byte: number): void {
    this.#length += (byte & 0x7f) * 128 ** this.#lengthBytes++;
    if (this.#length > this.#limit) {
      throw new LimitError(this.#limit, `Cannot take the ${this.#what}: it has over ${this.#limit} bytes`);
    }
    if (byte < 0x80) {
      this.#message = new Uint8Array(this.#length);
      this.#filled = this.#length = this.#lengthBytes = 0;
    } else if (this.#lengthBytes === 5) {
      throw new FormatError("sequence", `Cannot read the sequence: a length has over 5 bytes`);
    }
  }
}

function varint(value: number): Bytes {
  const bytes: number[] = [];
  for (; value > 0x7f; value = Math.floor(value / 128)) bytes.push((value % 128) | 0x80);
  return Uint8Array.of(...bytes, value);
}
