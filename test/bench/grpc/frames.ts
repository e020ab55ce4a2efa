/**
 * The big blob of the rows of remote calls, as files of ready frames: what native gRPC, gRPC-Web and Connect have in common is
 * how messages follow each other, so one file serves all.
 *
 *   frame := 0x00 length(4, big-endian) message
 */
import { createBlake3 } from "../../../src/hash/blake3.ts";
import { toHex } from "../../../src/bytes/hex.ts";

/** A blob in frames. */
export interface FramedBlob {
  readonly size: number;
  /** In hexadecimal. */
  readonly digest: string;
  /** The requests of a Put that send it, by the bytes in a message. */
  readonly puts: ReadonlyMap<number, string>;
  /** The request of a Read. */
  readonly read: string;
}

const BLOCK = 16 * 2 ** 20;
const MOST_RANDOM = 65536;

/**
 * Write a blob of random bytes and the requests about it.
 * @param prefix of the names of files
 * @param size a multiple of 16 MiB
 * @param repeats whether it is the same 16 MiB again and again, so that a store needs no room for it
 * @param lengths of messages, dividing 16 MiB
 */
export async function writeBlob(
  prefix: string,
  size: number,
  repeats: boolean,
  lengths: readonly number[],
): Promise<FramedBlob> {
  const puts = new Map(lengths.map((length) => [length, `${prefix}-put-${length}`]));
  const files = new Map(lengths.map((length) => [length, createFile(puts.get(length)!)]));
  const hasher = createBlake3();
  const block = new Uint8Array(BLOCK);
  for (let at = 0; at < size; at += BLOCK) {
    if (at === 0 || !repeats) fillRandom(block);
    hasher.update(block);
    for (const [length, file] of files) {
      for (let start = 0; start < BLOCK; start += length) {
        await file.write(frame(message(block.subarray(start, start + length))));
      }
    }
  }
  for (const file of files.values()) await file.close();
  const digest = hasher.digest();
  const read = `${prefix}-read`;
  await Deno.writeFile(read, frame(message(digest)));
  return { size, digest: toHex(digest), puts, read };
}

function createFile(path: string): WritableStreamDefaultWriter<Uint8Array<ArrayBuffer>> {
  return Deno.openSync(path, { write: true, createNew: true }).writable.getWriter();
}

function fillRandom(bytes: Uint8Array<ArrayBuffer>): void {
  for (let at = 0; at < bytes.length; at += MOST_RANDOM) {
    crypto.getRandomValues(bytes.subarray(at, at + MOST_RANDOM));
  }
}

/** A message with one field of bytes, number 1, as those of Put and Read are. */
function message(data: Uint8Array): Uint8Array {
  const head = [0x0a];
  let length = data.length;
  for (; length > 127; length >>>= 7) head.push((length & 127) | 128);
  const bytes = new Uint8Array(head.length + 1 + data.length);
  bytes.set([...head, length]);
  bytes.set(data, head.length + 1);
  return bytes;
}

function frame(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(5 + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, 5);
  return bytes;
}
