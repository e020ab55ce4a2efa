/**
 * Receiving a NAR as Nix uploads it: a file, compressed or not, named by its own hash, before anything is said of the path it
 * belongs to. What it held is recorded durably, so that a narinfo may follow hours later.
 */
import type { BlobService } from "../castore/blob_service.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import { type Bytes, concat, equals } from "../bytes/bytes.ts";
import { fromNixBase32, toNixBase32 } from "../bytes/nixbase32.ts";
import { type ByteSource, iterate } from "../bytes/streams.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import { narKey, uploadKey } from "../castore/layout.ts";
import { ClaimError, FormatError, MissingError } from "../errors.ts";
import type { Hasher } from "../hash/hasher.ts";
import { formatNixHash } from "../nix/hash_text.ts";
import { type Codec, type CompressionName, SNIFF_LENGTH, sniffCompression } from "./codec.ts";
import { writeRecord } from "./collections.ts";
import { checkContents, confirmRecord } from "./confirm.ts";
import { ingestNar, type IngestOptions } from "./ingest_nar.ts";
import {
  decodeUploadedFile,
  decodeUploadedNar,
  encodeUploadedFile,
  encodeUploadedNar,
  type UploadedFile,
  type UploadedNar,
} from "./messages.ts";

/** The name of an uploaded file: the SHA-256 of its bytes, and the suffix its client gave it. */
export interface NarFileName {
  /** The whole name, `<52 nixbase32>.nar[.suffix]`. */
  readonly text: string;
  readonly sha256: Bytes;
  /** `xz`, `zst`, …, or empty (also for gzip, to which Nix gives none). */
  readonly suffix: string;
}

/** Reads the name of an uploaded file, or `undefined` if it is not one. */
export function parseNarFileName(text: string): NarFileName | undefined {
  const match = /^([0-9a-df-np-sv-z]{52})\.nar(?:\.([a-z0-9]{1,8}))?$/.exec(text);
  if (!match) return undefined;
  try {
    return { text, sha256: fromNixBase32(match[1]), suffix: match[2] ?? "" };
  } catch {
    return undefined; // the first character holds bits beyond the hash
  }
}

export interface ReceiveOptions extends IngestOptions {
  readonly blobs: BlobService;
  readonly directories: DirectoryService;
  readonly names: ByteStore;
  readonly codec: Codec;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

/**
 * Takes in an uploaded NAR and records what it held. Throws what {@link ingestNar} throws, `FormatError` for bytes that are no
 * NAR in a known compression, `ClaimError` if the bytes do not have the hash in their name, and `StoreBusyError` if garbage
 * collection took a part of it meanwhile.
 */
export async function receiveNar(
  name: NarFileName,
  body: ByteSource,
  options: ReceiveOptions,
): Promise<UploadedFile> {
  const { names } = options;
  return await writeRecord(names, () => receive(name, body, options), async ({ narSha256 }) => {
    const key = narKey(toNixBase32(narSha256));
    const check = async () => {
      const nar = await receivedNar(names, narSha256);
      if (!nar) throw new MissingError("nar", formatNixHash("sha256", narSha256));
      await checkContents(nar.root, options);
    };
    const takeBack = () => Promise.all([names.delete(uploadKey(name.text)), names.delete(key)]);
    await confirmRecord(name.text, check, takeBack);
  }, options.now);
}

async function receive(
  name: NarFileName,
  body: ByteSource,
  options: ReceiveOptions,
): Promise<UploadedFile> {
  const pieces = iterate(body);
  try {
    const head = await takeHead(pieces);
    const compression = sniffCompression(head) ?? (name.suffix === "br" ? "br" : undefined);
    if (!compression) {
      throw new FormatError(
        "nar",
        "Cannot take the upload: it is neither a NAR nor one compressed with xz, zstd, gzip, br or bzip2",
      );
    }
    return await (compression === "none"
      ? receivePlain(name, chain(head, pieces), options)
      : receiveCompressed(name, compression, chain(head, pieces), options));
  } finally {
    await pieces.return();
  }
}

async function receivePlain(
  name: NarFileName,
  body: AsyncIterable<Bytes>,
  options: ReceiveOptions,
): Promise<UploadedFile> {
  const nar = await ingestNar(body, options);
  checkName(name, nar.narSha256);
  return await record(
    name,
    { narSha256: nar.narSha256, compression: "none", fileSize: nar.narSize },
    nar,
    options,
  );
}

async function receiveCompressed(
  name: NarFileName,
  compression: CompressionName,
  body: AsyncIterable<Bytes>,
  options: ReceiveOptions,
): Promise<UploadedFile> {
  const hasher = await options.hashes.create("sha256");
  const counted = new Counted(body, hasher);
  const nar = await ingestNar(options.codec.decompress(compression, counted), options);
  checkName(name, hasher.digest());
  return await record(
    name,
    { narSha256: nar.narSha256, compression, fileSize: counted.length },
    nar,
    options,
  );
}

function checkName(name: NarFileName, actual: Bytes): void {
  if (equals(name.sha256, actual)) return;
  throw new ClaimError(
    "file name",
    name.text,
    formatNixHash("sha256", actual),
    `Cannot take ${name.text}: the bytes received have the hash ${formatNixHash("sha256", actual)}`,
  );
}

async function record(
  name: NarFileName,
  contents: Omit<UploadedFile, "receivedAt">,
  nar: Awaited<ReturnType<typeof ingestNar>>,
  { names, now = Date.now }: ReceiveOptions,
): Promise<UploadedFile> {
  const receivedAt = now();
  const file = { ...contents, receivedAt };
  const received: UploadedNar = {
    root: nar.node,
    narSize: nar.narSize,
    foundHashParts: [...nar.found].sort(),
    foundOverflowed: nar.overflowed,
    receivedAt,
  };
  // At once, so that they are one transaction where there are any. Whoever asks for the file asks for its NAR too.
  await Promise.all([
    names.put(narKey(toNixBase32(file.narSha256)), encodeUploadedNar(received)),
    names.put(uploadKey(name.text), encodeUploadedFile(file)),
  ]);
  return file;
}

/** What is known of a NAR that was received, by its SHA-256. */
export async function receivedNar(names: ByteStore, narSha256: Bytes): Promise<UploadedNar | undefined> {
  const value = await names.get(narKey(toNixBase32(narSha256)));
  return value && decodeUploadedNar(value);
}

/** What is known of an uploaded file, by its name. */
export async function receivedFile(names: ByteStore, fileName: string): Promise<UploadedFile | undefined> {
  const value = await names.get(uploadKey(fileName));
  return value && decodeUploadedFile(value);
}

/** The first bytes of a stream: enough to tell its compression, or all there are. */
async function takeHead(pieces: AsyncGenerator<Bytes, void, void>): Promise<Bytes> {
  const parts: Bytes[] = [];
  for (let length = 0; length < SNIFF_LENGTH;) {
    const { done, value } = await pieces.next();
    if (done) break;
    parts.push(value.slice()); // the next piece may be in the same memory
    length += value.length;
  }
  return parts.length === 1 ? parts[0] : concat(parts);
}

async function* chain(head: Bytes, rest: AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, void> {
  if (head.length > 0) yield head;
  yield* rest;
}

/** Passes a stream through, hashing and counting it. */
class Counted implements AsyncIterable<Bytes> {
  length = 0;
  #source: AsyncIterable<Bytes>;
  #hasher: Hasher;

  constructor(source: AsyncIterable<Bytes>, hasher: Hasher) {
    this.#source = source;
    this.#hasher = hasher;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    for await (const piece of this.#source) {
      this.#hasher.update(piece);
      this.length += piece.length;
      yield piece.slice(); // a decoder may hold on to its input, and the source may use its piece again
    }
  }
}
