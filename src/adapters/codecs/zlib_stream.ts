/**
 * Runs one of `node:zlib`'s streams by pulling: input is given only when the stream has nothing left to do and the
 * consumer waits, so nothing is pending while the consumer holds a piece, and leaving early is just an ending.
 */
import type { Transform } from "node:stream";
import type { Bytes } from "../../bytes/bytes.ts";

/** Size of the pieces asked of `node:zlib`, in bytes. Its own 16 KiB cost a third of the speed. */
export const CHUNK_SIZE = 256 * 1024;

/** How a run of a stream differs. */
export interface ZlibRun {
  /** Makes the error to throw for what the stream itself reports. */
  fault(cause: unknown): Error;
  /** Called once the stream has ended by itself or its input has, with the count of bytes it was given. */
  ended?(given: number): void;
}

/** The output of the stream for this input. Errors of the input are thrown on, those of the stream go to `fault`. */
export async function* runZlib(
  stream: Transform,
  input: AsyncGenerator<Bytes>,
  { fault, ended }: ZlibRun,
): AsyncGenerator<Bytes, void, void> {
  let wake = () => {};
  let failure: { cause: unknown } | undefined;
  let outputEnded = false;
  let idle = true;
  let given = 0;
  stream.on("readable", () => wake());
  stream.on("end", () => {
    outputEnded = true;
    wake();
  });
  stream.on("error", (cause: unknown) => {
    failure ??= { cause };
    wake();
  });
  try {
    while (true) {
      const piece: Uint8Array<ArrayBuffer> | null = stream.read();
      if (piece !== null) {
        // Not a Buffer: its slice() does not copy, which no receiver of bytes expects.
        if (piece.length > 0) yield new Uint8Array(piece.buffer, piece.byteOffset, piece.length);
      } else if (failure) {
        throw fault(failure.cause);
      } else if (outputEnded) {
        ended?.(given);
        return;
      } else if (idle) {
        idle = false;
        const { done, value } = await input.next();
        if (done) {
          stream.end();
        } else {
          given += value.length;
          stream.write(value, () => {
            idle = true;
            wake();
          });
        }
      } else {
        await new Promise<void>((resolve) => wake = resolve);
      }
    }
  } finally {
    stream.destroy();
    await input.return(undefined);
  }
}
