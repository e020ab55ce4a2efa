/**
 * What is written to a firn server, over the routes of `server/bulk.ts` and `server/content.ts`, in bodies of a bounded length. All
 * of it may be asked twice, so it is asked again where that may help. Nothing the server answers is trusted: at worst it refuses what
 * it could have taken.
 */
import { toBase64Url } from "../../bytes/base64.ts";
import { type Bytes, concat, equals } from "../../bytes/bytes.ts";
import { writeDelimited } from "../../bytes/delimited.ts";
import { fromNixBase32, toNixBase32 } from "../../bytes/nixbase32.ts";
import type { ChunkMeta } from "../../castore/blob_service.ts";
import { MAX_VALUE_LENGTH } from "../../castore/byte_store.ts";
import { type Digest, DIGEST_LENGTH, parseDigest } from "../../castore/digest.ts";
import { FormatError } from "../../errors.ts";
import { blake3 } from "../../hash/blake3.ts";
import { encodePathInfo } from "../../store/messages.ts";
import type { PathInfo } from "../../store/path_info.ts";
import { RefusedError } from "./refused_error.ts";
import { bodyOf, type RemoteOptions, request, textOf } from "./request.ts";
import { retrying } from "./retries.ts";

/** Names in one request, at most. */
const MANY = 65_536;
const HASH_PART_BYTES = 20;
/** What a message needs besides its bytes. */
const OVERHEAD = 5;
/** The shortest a longest body may be: a chunk, which has 512 KiB, must fit. */
export const LEAST_BODY = 640 * 1024;
/** The longest body unless told otherwise. */
export const USUAL_BODY = 4 * 1024 * 1024;
/** The longest answer that is read where little is expected. */
const ANSWER = 4096;

export interface UploadOptions {
  /** Bytes in the longest body, from {@link LEAST_BODY}; default {@link USUAL_BODY}. */
  readonly bodyBytes?: number;
  /** How the platform compresses bodies; default not at all. */
  readonly compress?: { readonly encoding: string; readonly run: (body: Bytes) => Promise<Bytes> };
}

/** Writes to one server. */
export class FirnUploads {
  /** Bytes in the longest body. */
  readonly bodyBytes: number;
  readonly #remote: RemoteOptions;
  #compress: UploadOptions["compress"];

  constructor(remote: RemoteOptions, options: UploadOptions = {}) {
    this.#remote = remote;
    this.#compress = options.compress;
    this.bodyBytes = Math.max(LEAST_BODY, options.bodyBytes ?? USUAL_BODY);
  }

  /** Those of the digests under which the server has no blob, in their order. Each digest is to be asked once. */
  async missingBlobs(digests: readonly Digest[]): Promise<Digest[]> {
    return await this.#missing("blob/missing", digests, DIGEST_LENGTH);
  }

  /** Those of the hash parts whose paths the server has not published, in their order. Each is to be asked once. */
  async missingPaths(hashParts: readonly string[]): Promise<string[]> {
    const names = hashParts.map(fromNixBase32);
    return (await this.#missing("path-info/missing", names, HASH_PART_BYTES)).map(toNixBase32);
  }

  /** Whether a blob still fits in a body that has so many bytes. */
  fits(bodyLength: number, blobLength: number): boolean {
    return bodyLength + this.weight(blobLength) <= this.bodyBytes;
  }

  /** What a blob takes in a body, at most. */
  weight(blobLength: number): number {
    return blobLength + OVERHEAD;
  }

  /** Stores blobs of at most 4 MiB, which fit in one body. */
  async writeBlobs(blobs: readonly Bytes[]): Promise<void> {
    await this.#write("POST", "blob/write", await sequence(blobs));
  }

  /** Stores the blob that others, which are there, make. */
  async joinBlob(digest: Digest, chunks: readonly ChunkMeta[]): Promise<void> {
    let parts = chunks.map((chunk) => chunk.digest);
    const most = this.#namesIn(DIGEST_LENGTH);
    while (parts.length > most) {
      const joined: Digest[] = [];
      for (const some of batches(parts, most)) joined.push(await this.#joinPart(some));
      parts = joined;
    }
    await this.#write("PUT", `blob/${toBase64Url(digest)}?joined`, concat(parts));
  }

  /** Stores Directories in their encodings, leaves first. Too many for a body go as blobs, of which they are read. */
  async writeClosure(leavesFirst: readonly Bytes[]): Promise<void> {
    const body = await sequence(leavesFirst);
    const longest = Math.min(this.bodyBytes, MAX_VALUE_LENGTH);
    if (body.length <= longest) return await this.#write("PUT", "directory", body);
    const digests: Digest[] = [];
    for (let at = 0; at < body.length; at += longest - OVERHEAD) {
      const piece = body.subarray(at, at + longest - OVERHEAD);
      await this.writeBlobs([piece]);
      digests.push(blake3(piece));
    }
    await this.#write("PUT", "directory?joined", concat(digests));
  }

  /** Publishes a path, whose claims the server recomputes. */
  async writePathInfo(info: PathInfo): Promise<void> {
    await this.#write("PUT", "path-info", encodePathInfo(info));
  }

  async #joinPart(parts: readonly Digest[]): Promise<Digest> {
    return await retrying(this.#remote, async () => {
      const response = await request(this.#remote, "blob?joined", { method: "PUT", body: concat(parts) });
      try {
        return parseDigest(JSON.parse(await textOf(this.#remote, response, ANSWER)).digest);
      } catch (cause) {
        if (!(cause instanceof SyntaxError || cause instanceof TypeError)) throw cause;
        throw this.#wrong("an answer that names no blob");
      }
    });
  }

  #namesIn(length: number): number {
    return Math.min(MANY, Math.floor(this.bodyBytes / length));
  }

  async #missing(path: string, names: readonly Bytes[], length: number): Promise<Bytes[]> {
    const missing: Bytes[] = [];
    for (const asked of batches(names, this.#namesIn(length))) {
      missing.push(
        ...await retrying(this.#remote, async () => {
          const headers = { "content-type": "application/octet-stream" };
          const init = { method: "POST", body: concat(asked), headers };
          return await this.#among(asked, await request(this.#remote, path, init), length);
        }),
      );
    }
    return missing;
  }

  /** What an answer names, which is some of what was asked, in its order. */
  async #among(asked: readonly Bytes[], response: Response, length: number): Promise<Bytes[]> {
    const pieces: Bytes[] = [];
    let received = 0;
    for await (const piece of bodyOf(this.#remote, response)) {
      received += piece.length;
      if (received > asked.length * length) throw this.#wrong("more than it was asked for");
      pieces.push(piece);
    }
    if (received % length !== 0) throw this.#wrong("a list that is cut off");
    const bytes = concat(pieces);
    const named: Bytes[] = [];
    for (let at = 0, next = 0; at < bytes.length; at += length) {
      const name = bytes.subarray(at, at + length);
      while (next < asked.length && !equals(asked[next], name)) next++;
      if (next === asked.length) throw this.#wrong("names of what was not asked for");
      named.push(asked[next++]);
    }
    return named;
  }

  async #write(method: "PUT" | "POST", path: string, plain: Bytes): Promise<void> {
    const compress = this.#compress;
    const packed = await compress?.run(plain);
    const smaller = packed !== undefined && packed.length < plain.length;
    const headers = {
      "content-type": "application/octet-stream",
      ...(smaller && { "content-encoding": compress!.encoding }),
    };
    const body = smaller ? packed : plain;
    try {
      await retrying(this.#remote, async () => {
        await drop(this.#remote, await request(this.#remote, path, { method, body, headers }));
      });
    } catch (error) {
      if (!smaller || !(error instanceof RefusedError && error.status === 415)) throw error;
      this.#compress = undefined; // somebody on the way does not take it
      await this.#write(method, path, plain);
    }
  }

  #wrong(what: string): FormatError {
    return new FormatError("answer", `Cannot use what ${this.#remote.address} sends: ${what}`);
  }
}

async function sequence(messages: readonly Bytes[]): Promise<Bytes> {
  async function* each() {
    for (const message of messages) yield await message;
  }
  return concat(await Array.fromAsync(writeDelimited(each())));
}

function* batches<T>(all: readonly T[], length: number): Generator<T[], void, void> {
  for (let at = 0; at < all.length; at += length) yield all.slice(at, at + length);
}

/** Reads an answer that nobody needs, so that its connection can be used again; one that is long is broken off. */
async function drop(remote: RemoteOptions, response: Response): Promise<void> {
  let length = 0;
  for await (const piece of bodyOf(remote, response)) {
    length += piece.length;
    if (length > ANSWER) return;
  }
}
