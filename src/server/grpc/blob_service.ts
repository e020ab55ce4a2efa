/** BlobService over gRPC, of either era. */
import type { ServiceImpl } from "@connectrpc/connect";
import { type Bytes, concat } from "../../bytes/bytes.ts";
import { AS_FRAMES, BLOB_ENCODING, openBlobFrames } from "../../castore/blob_frames.ts";
import { formatDigest } from "../../castore/digest.ts";
import { MissingError } from "../../errors.ts";
import { outboardLength } from "../../hash/bao_tree.ts";
import type { ServerContext } from "../context.ts";
import type { Era } from "./era.ts";
import { incoming } from "./incoming.ts";
import { readDigest } from "./status.ts";

/** The longest piece that is sent. */
const PIECE = 512 * 1024;
/** Bytes of a blob that are held to see whether they are all. */
const SMALL = 64 * 1024;
/**
 * The longest outboard that Stat sends, that of a blob of 768 MiB: with the list of chunks it stays under the 4 MiB that
 * clients take in a message.
 */
const MAX_BAO = 3 * 1024 * 1024;

/**
 * Blobs of the store. Stat always lists the chunks of a blob that has several, whatever the request says. It sends the
 * outboard (`hash/bao_tree.ts`: groups of 16 KiB) if asked, but none over 3 MiB; slices over plain HTTP have no such limit.
 * Read sends the pieces of the store as they are, at most 512 KiB each; of the empty blob, none. A client that sends
 * `firn-blob-encoding: zstd` is answered with the same header and the blob as zstd frames, one for each chunk, as it is stored
 * (`castore/blob_frames.ts`), if the store has stored forms; nothing is compressed or decompressed for it. Of a Put that breaks off, no blob is visible.
 */
export function blobService(
  { blobs, stallMs, watch }: Pick<ServerContext, "blobs" | "stallMs" | "watch">,
): ServiceImpl<Era["blobService"]> {
  return {
    async stat(request) {
      const digest = readDigest(request.digest);
      const chunks = await blobs.chunks(digest);
      if (!chunks) throw new MissingError("blob", formatDigest(digest));
      const length = chunks.reduce((sum, { size }) => sum + size, 0);
      const wanted = request.sendBao && outboardLength(length) <= MAX_BAO;
      const bao = wanted ? await blobs.outboard(digest) : undefined;
      if (chunks.length < 2) return { bao };
      return { bao, chunks: chunks.map(({ digest, size }) => ({ digest, size: BigInt(size) })) };
    },

    async *read(request, { signal, requestHeader, responseHeader }) {
      const digest = readDigest(request.digest);
      const asFrames = blobs.getStored && requestHeader.get(BLOB_ENCODING) === AS_FRAMES;
      const source = await (asFrames ? openBlobFrames(blobs, digest) : blobs.open(digest));
      if (!source) throw new MissingError("blob", formatDigest(digest));
      if (asFrames) responseHeader.set(BLOB_ENCODING, AS_FRAMES);
      for await (const piece of source) {
        for (let at = 0; at < piece.length; at += PIECE) {
          signal.throwIfAborted();
          yield { data: piece.subarray(at, at + PIECE) };
        }
      }
    },

    async put(requests, { signal }) {
      const pieces = dataOf(incoming(requests, signal, stallMs));
      try {
        const { digest, size } = await blobs.put(await wholeIfSmall(pieces));
        watch?.stored?.("blob", size);
        return { digest };
      } finally {
        pieces.return().catch(() => {}); // a put may fail before it reads
      }
    },
  };
}

async function* dataOf(messages: AsyncIterable<{ data: Uint8Array }>): AsyncGenerator<Bytes, void, void> {
  for await (const { data } of messages) yield data as Bytes;
}

/** The bytes, if they are few: a store takes them at a hundredth of what a stream costs. Else a stream of them all. */
async function wholeIfSmall(
  pieces: AsyncGenerator<Bytes, void, void>,
): Promise<Bytes | AsyncIterable<Bytes>> {
  const held: Bytes[] = [];
  let length = 0;
  while (length <= SMALL) {
    const next = await pieces.next();
    if (next.done) return concat(held);
    held.push(next.value); // stays as it is: each message is read into bytes of its own
    length += next.value.length;
  }
  return following(held, pieces);
}

async function* following(held: Bytes[], pieces: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, void> {
  yield* held;
  yield* pieces;
}
