/**
 * Decompresses bzip2 in memory of a bounded size; the libraries there are take a whole file, or hold a whole block
 * (which can expand to 46 MB) as one piece.
 *
 *   input  = stream+
 *   stream = "BZh" level:"1".."9" block* 17 72 45 38 50 90 crc:32, zeros to a whole byte
 *   block  = 31 41 59 26 53 59 …                                    see bzip2_block.ts
 *
 * Blocks follow each other without alignment. The stream's `crc` combines those of its blocks.
 */
import { type Bytes, concat, EMPTY } from "../../bytes/bytes.ts";
import { BitReader, BlockDecoder, bzip2Fault, MAX_BLOCK_INPUT } from "./bzip2_block.ts";

const PIECE_LENGTH = 256 * 1024;
const HEADER_LENGTH = 4;

/** The bytes that were compressed. The input is read 5 MiB ahead. */
export async function* decompressBzip2(input: AsyncGenerator<Bytes>): AsyncGenerator<Bytes, void, void> {
  try {
    const window = new InputWindow(input);
    let bits = await window.at(0);
    do {
      const decoder = new BlockDecoder(100_000 * readLevel(bits));
      let crc = 0;
      while (readMagic(bits) === "block") {
        crc = (crc << 1 | crc >>> 31) ^ decoder.decode(bits);
        for (let length = PIECE_LENGTH; length === PIECE_LENGTH;) {
          const piece = new Uint8Array(PIECE_LENGTH);
          length = decoder.read(piece);
          if (length > 0) yield piece.subarray(0, length);
        }
        bits = await window.at(bits.position);
      }
      if (bits.read32() !== crc) throw bzip2Fault("the CRC of a stream is wrong");
      bits = await window.at((bits.position + 7) & ~7);
    } while (bits.bytes.length * 8 > bits.position);
  } finally {
    await input.return(undefined);
  }
}

/** What of the input is in memory: at least a block, wherever one may begin. */
class InputWindow {
  #bytes = EMPTY;
  #ended = false;
  constructor(readonly input: AsyncGenerator<Bytes>) {}

  /** Bits from this place (in the array of the reader given before) on, which a whole block fits in. */
  async at(position: number): Promise<BitReader> {
    let rest = this.#bytes.subarray(position >> 3);
    // Twice as much is read as is needed, so that bytes are copied once.
    if (rest.length < MAX_BLOCK_INPUT && !this.#ended) {
      const pieces = [rest];
      for (let length = rest.length; length < 2 * MAX_BLOCK_INPUT;) {
        const { done, value } = await this.input.next();
        if (done) {
          this.#ended = true;
          break;
        }
        pieces.push(value);
        length += value.length;
      }
      rest = concat(pieces);
    }
    this.#bytes = rest;
    const bits = new BitReader(rest);
    bits.position = position & 7;
    return bits;
  }
}

function readLevel(bits: BitReader): number {
  if (bits.bytes.length < HEADER_LENGTH) throw bzip2Fault("the input ends early");
  const level = bits.read(24) === 0x425a68 ? bits.read(8) - 0x30 : 0;
  if (level < 1 || level > 9) throw bzip2Fault("no stream where one should begin");
  return level;
}

function readMagic(bits: BitReader): "block" | "end" {
  const high = bits.read(24);
  const low = bits.read(24);
  if (high === 0x314159 && low === 0x265359) return "block";
  if (high === 0x177245 && low === 0x385090) return "end";
  throw bzip2Fault("no block where one should begin");
}
