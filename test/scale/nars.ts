/**
 * Long archives that are made while they are read, always the same: nothing of them is ever held whole.
 */
import { type Bytes, fromText } from "../../src/bytes/bytes.ts";
import type { NarToken } from "../../src/nar/parser.ts";
import { writeNar } from "../../src/nar/writer.ts";

const MIB = 1024 * 1024;

/** An archive that can be made as often as wanted. */
export interface LongNar {
  readonly name: string;
  make(): ReadableStream<Bytes>;
}

/** One file of so many MiB: each MiB is half noise and half text, and no two are equal. */
export function oneFile(mebibytes: number): LongNar {
  return {
    name: `one file of ${mebibytes} MiB`,
    make: () =>
      writeNar(function* (): Generator<NarToken> {
        yield { type: "file", name: fromText(""), executable: false, size: mebibytes * MIB };
        const noise = new Noise(1);
        for (let i = 0; i < mebibytes; i++) {
          const bytes = new Uint8Array(MIB);
          noise.fill(bytes.subarray(0, MIB / 2));
          const line = fromText(`line of block ${i}, which says the same as the one before it\n`);
          for (let at = MIB / 2; at < MIB; at += line.length) {
            bytes.set(line.subarray(0, MIB - at), at);
          }
          yield { type: "data", bytes };
        }
        yield { type: "end" };
      }()),
  };
}

/** Folders of files of 0 to `most` bytes of noise. */
export function manyFiles(folders: number, filesInEach: number, most: number): LongNar {
  return {
    name: `${folders * filesInEach} files in ${folders} folder${folders === 1 ? "" : "s"}`,
    make: () =>
      writeNar(function* (): Generator<NarToken> {
        const noise = new Noise(2);
        yield { type: "directory", name: fromText("") };
        for (let folder = 0; folder < folders; folder++) {
          yield { type: "directory", name: fromText(`folder-${String(folder).padStart(6, "0")}`) };
          for (let i = 0; i < filesInEach; i++) {
            const size = noise.next() % (most + 1);
            const bytes = new Uint8Array(size);
            noise.fill(bytes);
            yield {
              type: "file",
              name: fromText(`file-${String(i).padStart(6, "0")}`),
              executable: i % 7 === 0,
              size,
            };
            yield { type: "data", bytes };
            yield { type: "end" };
          }
          yield { type: "end" };
        }
        yield { type: "end" };
      }()),
  };
}

/** Numbers without a pattern (xorshift), the same for the same seed. */
class Noise {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** The next 32 bits. */
  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return state >>> 0;
  }

  fill(bytes: Bytes): void {
    const words = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) words.setUint32(at, this.next());
    for (; at < bytes.length; at++) bytes[at] = this.next();
  }
}
