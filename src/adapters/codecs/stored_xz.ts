/**
 * Writes xz without compressing (the .xz file format 1.2.1, tukaani.org/xz/xz-file-format.txt). A client that
 * remembers "Compression: xz" of a path reads it, and it costs little more than a CRC.
 *
 *   stream       = streamHeader blockHeader chunk* 00 zeros check index streamFooter
 *   streamHeader = fd "7zXZ" 00, flags 00 01 (check is CRC32), CRC32 of the flags
 *   blockHeader  = 02 00 21 01 00 and zeros to 8 bytes (filter LZMA2, dictionary 4 KiB), CRC32
 *   chunk        = 01 (the first: resets the dictionary) or 02, length − 1 as u16 big-endian, 1 to 65536 bytes
 *   check        = CRC32 of the content, little-endian
 *   index        = 00, one record (01, unpadded size, content size), zeros to a multiple of 4, CRC32
 *   streamFooter = CRC32, index size / 4 − 1 as u32, flags 00 01, "YZ"
 *
 * Empty content has no block and no record. Sizes in the index are little-endian, 7 bits a byte.
 */
import { type Bytes, concat, EMPTY } from "../../bytes/bytes.ts";

const CHUNK_LENGTH = 65536;
/** Content of one piece delivered: four chunks. */
const CHUNKS_LENGTH = 4 * CHUNK_LENGTH;
const BLOCK_HEADER_LENGTH = 12;
const CHECK_LENGTH = 4;
const FLAGS = Uint8Array.of(0x00, 0x01);

/** CRC32 (that of gzip and xz) of bytes, going on from the CRC32 of those before; as an unsigned number. */
export type Crc32 = (bytes: Uint8Array, before?: number) => number;

/** The source's bytes as one xz stream of one block. Each piece of it begins a chunk: tiny ones make a longer stream. */
export async function* writeStoredXz(
  source: AsyncIterable<Bytes>,
  crc32: Crc32,
): AsyncGenerator<Bytes, void, void> {
  let check = 0;
  let contentLength = 0;
  let packedLength = 0;
  for await (const piece of source) {
    check = crc32(piece, check);
    for (let at = 0; at < piece.length; at += CHUNKS_LENGTH) {
      const content = piece.subarray(at, at + CHUNKS_LENGTH);
      // Not before: a source that is never asked cannot be released either.
      if (contentLength === 0) yield concat([streamHeader(crc32), blockHeader(crc32)]);
      const packed = chunks(content, contentLength === 0);
      yield packed;
      contentLength += content.length;
      packedLength += packed.length;
    }
  }
  if (contentLength === 0) {
    yield concat([streamHeader(crc32), indexAndFooter(EMPTY, 0, crc32)]);
    return;
  }
  packedLength += 1;
  yield concat([new Uint8Array(1 + padding(packedLength)), u32(check)]);
  const unpadded = BLOCK_HEADER_LENGTH + packedLength + CHECK_LENGTH;
  yield indexAndFooter(concat([sevenBits(unpadded), sevenBits(contentLength)]), 1, crc32);
}

function chunks(content: Bytes, first: boolean): Bytes {
  const packed = new Uint8Array(content.length + 3 * Math.ceil(content.length / CHUNK_LENGTH));
  let end = 0;
  for (let at = 0; at < content.length; at += CHUNK_LENGTH) {
    const chunk = content.subarray(at, at + CHUNK_LENGTH);
    const last = chunk.length - 1;
    packed.set([first && at === 0 ? 1 : 2, last >> 8, last & 0xff], end);
    packed.set(chunk, end + 3);
    end += 3 + chunk.length;
  }
  return packed;
}

function streamHeader(crc32: Crc32): Bytes {
  return concat([Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00), FLAGS, u32(crc32(FLAGS))]);
}

function blockHeader(crc32: Crc32): Bytes {
  const header = Uint8Array.of(BLOCK_HEADER_LENGTH / 4 - 1, 0x00, 0x21, 0x01, 0x00, 0, 0, 0);
  return concat([header, u32(crc32(header))]);
}

function indexAndFooter(record: Bytes, records: number, crc32: Crc32): Bytes {
  const length = 2 + record.length;
  const index = concat([Uint8Array.of(0x00, records), record, new Uint8Array(padding(length))]);
  const size = concat([u32((index.length + 4) / 4 - 1), FLAGS]);
  return concat([index, u32(crc32(index)), u32(crc32(size)), size, Uint8Array.of(0x59, 0x5a)]);
}

/** Zeros that bring a length to a multiple of 4. */
function padding(length: number): number {
  return (4 - length % 4) % 4;
}

function u32(value: number): Bytes {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

/** Division, not shifts: sizes pass 2^32. */
function sevenBits(value: number): Bytes {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push(value % 0x80 | 0x80);
  bytes.push(value);
  return Uint8Array.from(bytes);
}
