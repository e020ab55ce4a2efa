/**
 * Reading a blob from a remote: as zstd frames, where they can be decompressed here and the server has them, else as plain bytes. A server
 * is asked by a header, which others do not look at, and says by the same header that it answers so (`castore/blob_frames.ts`).
 */
import type { CallOptions } from "@connectrpc/connect";
import type { Bytes } from "../../bytes/bytes.ts";
import { wholeFrames } from "../../bytes/frame_stream.ts";
import { frameContentSize } from "../../bytes/zstd_frame.ts";
import { AS_FRAMES, BLOB_ENCODING, MAX_FRAME_LENGTH } from "../../castore/blob_frames.ts";
import { MAX_VALUE_LENGTH } from "../../castore/byte_store.ts";
import type { Digest } from "../../castore/digest.ts";
import type { FrameDecoder } from "../../castore/stored_form.ts";
import { FormatError } from "../../errors.ts";
import { damaged } from "./blob_plan.ts";
import type { Call } from "./call.ts";
import type { Clients } from "./clients.ts";

/** A piece of a blob, and the frame it came in. */
export interface Piece {
  readonly data: Bytes;
  readonly frame?: Bytes;
}

/** A call as far as it is needed: the whole of it where the remote's time is counted. */
export type ReadCall = Pick<Call, "signal"> & Partial<Pick<Call, "progress">>;

/** How blobs are read. */
export class BlobReads {
  readonly #decoder: FrameDecoder | undefined;

  constructor(decoder: FrameDecoder | undefined) {
    this.#decoder = decoder;
  }

  /** A blob from its beginning, not verified. Throws `DamageError` for frames that cannot be read, and what the call fails with. */
  async *read(blobs: Clients["blobs"], digest: Digest, call: ReadCall): AsyncGenerator<Piece, void, void> {
    let asFrames = false;
    const options: CallOptions = this.#decoder
      ? {
        signal: call.signal,
        headers: { [BLOB_ENCODING]: AS_FRAMES },
        onHeader: (header) => void (asFrames = header.get(BLOB_ENCODING) === AS_FRAMES),
      }
      : { signal: call.signal };
    const rest = dataOf(blobs.read({ digest }, options), call);
    const first = await rest.next(); // with which the header is there
    if (first.done) return;
    const all = following(first.value, rest);
    if (asFrames) yield* this.#decoded(all, digest);
    else for await (const data of all) yield { data };
  }

  async *#decoded(source: AsyncIterable<Bytes>, digest: Digest): AsyncGenerator<Piece, void, void> {
    try {
      for await (const frame of wholeFrames(source, MAX_FRAME_LENGTH)) {
        const size = frameContentSize(frame);
        if (size > MAX_VALUE_LENGTH) throw damaged(digest, "the remote gave a frame of too many bytes");
        yield { frame, data: this.#decoder!.decode(frame, size) };
      }
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw damaged(digest, `the remote gave frames that are none: ${error.message}`);
    }
  }
}

async function* dataOf(
  messages: AsyncIterable<{ data: Uint8Array }>,
  call: ReadCall,
): AsyncGenerator<Bytes, void, void> {
  for await (const { data } of messages) {
    call.progress?.();
    yield data as Bytes;
  }
}

async function* following(first: Bytes, rest: AsyncGenerator<Bytes>): AsyncGenerator<Bytes, void, void> {
  try {
    yield first;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
