/**
 * The contents that a firn server keeps, read over plain HTTP, many in a request (the routes of `server/bulk.ts` and
 * `server/content.ts`; what is written: `firn_uploads.ts`). Everything that comes is verified by the digest it was asked for with.
 *
 * Blobs come as the server has them compressed, as zstd frames, if that is asked for; a server that does not know how to answers as ever.
 *
 * Measured in Chromium on one machine, for 3,000 blobs of 4 KB: 0.2 to 0.4 s so, 6 s by a GET for each with 16 under way, 9 s by
 * gRPC-Web in the same way. That is why pages speak this.
 */
import { toBase64Url } from "../../bytes/base64.ts";
import { type Bytes, concat, equals } from "../../bytes/bytes.ts";
import { readDelimited } from "../../bytes/delimited.ts";
import { frameContentSize, frameLength } from "../../bytes/zstd_frame.ts";
import { MAX_FRAME_LENGTH } from "../../castore/blob_frames.ts";
import type { ChunkMeta } from "../../castore/blob_service.ts";
import { type ByteRange, MAX_VALUE_LENGTH } from "../../castore/byte_store.ts";
import { type Digest, DIGEST_LENGTH, formatDigest } from "../../castore/digest.ts";
import type { FrameDecoder } from "../../castore/stored_form.ts";
import { DamageError, FormatError } from "../../errors.ts";
import { blake3 } from "../../hash/blake3.ts";
import { verifySlice } from "../../hash/bao_slice.ts";
import { bodyOf, type RemoteOptions, request } from "./request.ts";

/** Digests in one request, at most. */
const SOME = 1024;
/** The longest Directory taken: a folder of a million files has some 80 MB. */
const MAX_DIRECTORY = 512 * 1024 * 1024;
/** The longest list of chunks: of a blob of some 2 TiB. */
const MAX_CHUNKS = 256 * 1024 * 1024;
const META = DIGEST_LENGTH + 4;
/** Kinds of answers: a blob that is too long for one, and one that comes as frames. */
const LONG = 2, FRAMED = 3;

/** Opens a decoder of frames, always the same. */
export type FrameOpener = () => Promise<FrameDecoder>;

/** An answer of `POST /blob/read`: bytes, nothing there, or too long for one answer. */
export type BlobAnswer = Bytes | "absent" | "long";

/** Asks one server. */
export class FirnContents {
  #remote: RemoteOptions;
  #openFrames: FrameOpener | undefined;

  /** @param openFrames opens the decoder of frames when the first one comes; without it none are asked for */
  constructor(remote: RemoteOptions, openFrames?: FrameOpener) {
    this.#remote = remote;
    this.#openFrames = openFrames;
  }

  /**
   * Blobs, in order. `DamageError` for bytes that are not what was asked for.
   * @param asStored whether they may come as frames, which costs the server nothing; else they are compressed together for this answer,
   * which makes small ones shorter
   */
  async *readBlobs(
    digests: readonly Digest[],
    { asStored = false }: { asStored?: boolean } = {},
  ): AsyncGenerator<BlobAnswer, void, void> {
    const framed = asStored && this.#openFrames !== undefined;
    const path = framed ? "blob/read?zstd" : "blob/read";
    const last = framed ? FRAMED : LONG;
    for await (const [answer, digest] of this.#ask(path, digests, MAX_FRAME_LENGTH + 1, last)) {
      if (answer.length === 0) yield "absent";
      else if (answer[0] === LONG) yield "long";
      else if (answer[0] !== FRAMED) yield verified("blob", answer.subarray(1), digest);
      else yield verified("blob", decoded(answer.subarray(1), await this.#openFrames!(), digest), digest);
    }
  }

  /** Directories in their encoding, in order; `undefined` for one that is not there. */
  async *readDirectories(digests: readonly Digest[]): AsyncGenerator<Bytes | undefined, void, void> {
    for await (const [answer, digest] of this.#ask("directory/read", digests, MAX_DIRECTORY)) {
      yield answer.length === 0 ? undefined : verified("directory", answer.subarray(1), digest);
    }
  }

  /** A Directory and all below it in their encodings, root first; nothing if it is not there. */
  async *readClosure(root: Digest): AsyncGenerator<{ digest: Digest; encoded: Bytes }, void, void> {
    const response = await request(this.#remote, `directory/${toBase64Url(root)}?recursive`, {}, [404]);
    if (response.status === 404) return void await response.body?.cancel();
    const messages = readDelimited(bodyOf(this.#remote, response), MAX_DIRECTORY, "Directory");
    let first = true;
    for await (const encoded of messages) {
      const digest = blake3(encoded);
      if (first && !equals(digest, root)) throw damaged("directory", root);
      first = false;
      yield { digest, encoded };
    }
  }

  /** Lists of chunks, in order, as the server tells them; `undefined` for a blob that is not there. Not verified. */
  async chunkLists(digests: readonly Digest[]): Promise<(ChunkMeta[] | undefined)[]> {
    const lists: (ChunkMeta[] | undefined)[] = [];
    for await (const [answer] of this.#ask("blob/chunks", digests, MAX_CHUNKS)) {
      lists.push(answer.length === 0 ? undefined : this.#decodeChunks(answer.subarray(1)));
    }
    return lists;
  }

  /** A part of a blob, proven to be that by the blob's digest alone; `undefined` if it is not there. */
  async readSlice(digest: Digest, { start, end }: ByteRange): Promise<AsyncIterable<Bytes> | undefined> {
    const url = `blob/${toBase64Url(digest)}?bao&range=${start}-${end - 1}`;
    const response = await request(this.#remote, url, {}, [404]);
    if (response.status !== 404) return verifySlice(digest, { start, end }, bodyOf(this.#remote, response));
    await response.body?.cancel();
    return undefined;
  }

  async #post(path: string, body: Bytes): Promise<Response> {
    const headers = { "content-type": "application/octet-stream" };
    return await request(this.#remote, path, { method: "POST", body, headers });
  }

  /** One answer for each digest. @param last the last kind of answers there may be */
  async *#ask(
    path: string,
    digests: readonly Digest[],
    limit: number,
    last = LONG,
  ): AsyncGenerator<[answer: Bytes, digest: Digest], void, void> {
    for (const some of batches(digests, SOME)) {
      const response = await this.#post(path, concat(some));
      let i = 0;
      for await (const answer of readDelimited(bodyOf(this.#remote, response), limit, "answer")) {
        if (i === some.length || answer[0] > last) throw this.#wrong("answers to what was not asked");
        yield [answer, some[i++]];
      }
      if (i < some.length) throw this.#wrong("fewer answers than it was asked for");
    }
  }

  #decodeChunks(bytes: Bytes): ChunkMeta[] {
    if (bytes.length % META !== 0) throw this.#wrong("a list of chunks that is cut off");
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const chunks: ChunkMeta[] = [];
    for (let at = 0; at < bytes.length; at += META) {
      chunks.push({
        digest: bytes.slice(at, at + DIGEST_LENGTH),
        size: view.getUint32(at + DIGEST_LENGTH, true),
      });
    }
    return chunks;
  }

  #wrong(what: string): FormatError {
    return new FormatError("answer", `Cannot use what ${this.#remote.address} sends: ${what}`);
  }
}

/** The content of frames. `DamageError` for what is none, or has more than 4 MiB. */
function decoded(frames: Bytes, decoder: FrameDecoder, digest: Digest): Bytes {
  const parts: Bytes[] = [];
  let size = 0;
  try {
    for (let at = 0; at < frames.length;) {
      const rest = frames.subarray(at);
      const length = frameContentSize(rest);
      size += length;
      if (size > MAX_VALUE_LENGTH) throw damaged("blob", digest);
      const frame = rest.subarray(0, frameLength(rest));
      parts.push(decoder.decode(frame, length));
      at += frame.length;
    }
  } catch (error) {
    if (error instanceof FormatError) throw damaged("blob", digest);
    throw error;
  }
  return parts.length === 1 ? parts[0] : concat(parts);
}

function verified(kind: "blob" | "directory", bytes: Bytes, digest: Digest): Bytes {
  if (!equals(blake3(bytes), digest)) throw damaged(kind, digest);
  return bytes;
}

function damaged(kind: string, digest: Digest): DamageError {
  const name = formatDigest(digest);
  return new DamageError(kind, name, `Cannot take ${kind} ${name}: the bytes that came are others`);
}

function* batches<T>(all: readonly T[], length: number): Generator<T[], void, void> {
  for (let at = 0; at < all.length; at += length) yield all.slice(at, at + length);
}
