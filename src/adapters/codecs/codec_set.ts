/** A codec made of conversions, whatever platform those are of. */
import type { Bytes } from "../../bytes/bytes.ts";
import { type ByteSource, iterate } from "../../bytes/streams.ts";
import { type Codec, type CompressionName, MAX_PIECE_LENGTH } from "../../store/codec.ts";

/** One way of one format. It ends its input when it ends. */
export type Conversion = (input: AsyncGenerator<Bytes>) => AsyncGenerator<Bytes>;

/** How long a conversion may keep the event loop to itself, in milliseconds. Some platforms' decoders work on it too. */
const TURN = 20;
const PIECE = MAX_PIECE_LENGTH / 2;

/** The codec. `turn` lets the event loop turn. */
export function codecOver(
  decompressors: ReadonlyMap<CompressionName, Conversion>,
  compressors: ReadonlyMap<CompressionName, Conversion>,
  turn: () => Promise<unknown>,
): Codec {
  const convert = (verb: string, conversion: Conversion | undefined, name: string, source: ByteSource) => {
    if (!conversion) throw new TypeError(`Cannot ${verb} ${name}: this codec does not know it`);
    return takeTurns(conversion(iterate(source)), turn);
  };
  return {
    decompresses: new Set(decompressors.keys()),
    compresses: new Set(compressors.keys()),
    decompress: (name, source) => convert("decompress", decompressors.get(name), name, source),
    compress: (name, source) => convert("compress", compressors.get(name), name, source),
  };
}

/** Cuts pieces that are too long, and lets the event loop turn: a source in memory would never let it. */
async function* takeTurns(
  pieces: AsyncGenerator<Bytes>,
  turn: () => Promise<unknown>,
): AsyncGenerator<Bytes, void, void> {
  let turnEnds = performance.now() + TURN;
  for await (const piece of pieces) {
    for (let at = 0; at < piece.length; at += PIECE) yield piece.subarray(at, at + PIECE);
    if (performance.now() < turnEnds) continue;
    await turn();
    turnEnds = performance.now() + TURN;
  }
}
