/** BlobService over gRPC, of either era. */
import type { ServiceImpl } from "@connectrpc/connect";
import { type Bytes, concat } from "../../bytes/bytes.ts";
import { formatDigest } from "../../castore/digest.ts";
import { MissingError } from "../../errors.ts";
import { outboardLength } from "../../hash/bao_tree.ts";
import type { ServerContext } from "../context.ts";
import type { Era } from "./era.ts";
import { incoming } from "./incoming.ts";
import { readDigest } from "./status.ts";

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
 * Read sends the pieces of the store as they are, at most 512 KiB each; of the empty blob, none. Of a Put that
 * breaks off, no blob is visible.
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

    async *read(request, { signal }) {
      const digest = readDigest(request.digest);
      const reader = await blobs.open(digest);
      if (!reader) throw new MissingError("blob", formatDigest(digest));
      for await (const data of reader) {
        signal.throwIfAborted();
        yield { data };
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
