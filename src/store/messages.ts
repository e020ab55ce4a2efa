/**
 * Protobuf messages of the store: PathInfo as it travels (`snix.store.v1`, the same bytes as `tvix.store.v1`), and
 * the records kept under the store's own keys (`firn.store.v1`).
 *
 * A PathInfo is refused for the first of these that fails: narinfo present; each reference 20 bytes; as many reference names as
 * references; each name a store path with that hash part; the entry present and lawful; its name a store path; the NAR's
 * SHA-256 of 32 bytes and its size below 2^53; the deriver's parts lawful; signatures of 64 bytes under a name that
 * can stand in a narinfo; the content address of a known kind and of its length. Unknown fields are skipped.
 *
 * Not checked: that anything it claims is true, or that what it refers to is stored.
 */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type Bytes, equals, fromText, toText } from "../bytes/bytes.ts";
import { quoteName } from "../bytes/names.ts";
import { fromNixBase32, toNixBase32 } from "../bytes/nixbase32.ts";
import { type Digest, DIGEST_LENGTH } from "../castore/digest.ts";
import { anonymousEntryFromMessage, entryFromMessage, entryToMessage } from "../castore/messages.ts";
import type { Node } from "../castore/node.ts";
import { FormatError } from "../errors.ts";
import * as firn from "../gen/firn/store/v1/stored_path_pb.ts";
import * as snix from "../gen/snix/store/v1/pathinfo_pb.ts";
import type * as tvix from "../gen/tvix/store/v1/pathinfo_pb.ts";
import { HASH_LENGTHS, type HashName } from "../hash/hasher.ts";
import type { ContentAddress } from "../nix/content_address.ts";
import { formatSignature, type Signature, SIGNATURE_LENGTH } from "../nix/signature.ts";
import {
  isHashPart,
  isStorePathName,
  parseStorePathBase,
  type StorePath,
  storePathBase,
} from "../nix/store_path.ts";
import type { PathInfo } from "./path_info.ts";

const HASH_PART_BYTES = 20;
const SHA256_LENGTH = HASH_LENGTHS.sha256;
const DRV = ".drv";

/** Methods and algorithms by their number in the enum `NARInfo.CA.Hash`. */
const CONTENT_ADDRESSES: readonly [ContentAddress["method"], HashName][] = [
  ["nar", "sha256"],
  ["nar", "sha1"],
  ["nar", "sha512"],
  ["nar", "md5"],
  ["text", "sha256"],
  ["flat", "sha1"],
  ["flat", "md5"],
  ["flat", "sha256"],
  ["flat", "sha512"],
];

/**
 * The encoding of a PathInfo as it travels: `unclaimedReferences` and `registeredAt` stay behind. Throws
 * {@link FormatError} for a deriver that does not end in `.drv`, and for `text` with another hash than SHA-256.
 */
export function encodePathInfo(info: PathInfo): Bytes {
  return toBinary(snix.PathInfoSchema, pathInfoToMessage(info)) as Bytes;
}

/**
 * Reads a PathInfo that travelled; `unclaimedReferences` are none and `registeredAt` is 0. Throws
 * {@link FormatError} for the first rule above that does not hold.
 */
export function decodePathInfo(bytes: Bytes): PathInfo {
  return pathInfoFromMessage(parse(snix.PathInfoSchema, bytes, "PathInfo"));
}

/** The snix message of a PathInfo, as {@link encodePathInfo}. */
export function pathInfoToMessage(info: PathInfo): snix.PathInfo {
  return create(snix.PathInfoSchema, {
    entry: entryToMessage(info.node, fromText(storePathBase(info.storePath))),
    references: info.references.map(({ hashPart }) => fromNixBase32(hashPart)),
    narinfo: {
      narSize: BigInt(info.narSize),
      narSha256: info.narSha256,
      signatures: info.signatures.map(({ name, data }) => ({ name, data })),
      referenceNames: info.references.map(storePathBase),
      deriver: info.deriver && deriverToMessage(info.deriver),
      ca: info.ca && { type: contentAddressNumber(info.ca), digest: info.ca.digest },
    },
  });
}

/** The PathInfo of a message of either package, as {@link decodePathInfo}. All bytes are copies. */
export function pathInfoFromMessage(message: snix.PathInfo | tvix.PathInfo): PathInfo {
  const narInfo = message.narinfo;
  if (!narInfo) throw unreadable("PathInfo", "it has no narinfo");
  const references = readReferences(message.references, narInfo.referenceNames);
  const entry = message.$typeName === "snix.store.v1.PathInfo" ? message.entry : message.node;
  if (!entry) throw unreadable("PathInfo", "it has no entry");
  const { name, node } = entryFromMessage(entry);
  const storePath = readRootName(name);
  return {
    storePath,
    node,
    references,
    narSha256: readHash("PathInfo", "NAR hash", narInfo.narSha256, SHA256_LENGTH),
    narSize: readSize("PathInfo", "NAR size", narInfo.narSize),
    ...(narInfo.deriver && { deriver: readDeriver(narInfo.deriver) }),
    signatures: narInfo.signatures.map(readSignature),
    ...(narInfo.ca && { ca: readContentAddress(narInfo.ca) }),
    unclaimedReferences: [],
    registeredAt: 0,
  };
}

/** The record of a PathInfo, whole. Throws {@link FormatError} as {@link encodePathInfo}. */
export function encodeStoredPath(info: PathInfo): Bytes {
  const record = create(firn.StoredPathSchema, {
    info: pathInfoToMessage(info),
    unclaimedReferences: [...info.unclaimedReferences],
    registeredAtMs: BigInt(info.registeredAt),
  });
  return toBinary(firn.StoredPathSchema, record) as Bytes;
}

/** Reads {@link encodeStoredPath}. Throws {@link FormatError}. */
export function decodeStoredPath(bytes: Bytes): PathInfo {
  const record = parse(firn.StoredPathSchema, bytes, "stored path");
  if (!record.info) throw unreadable("stored path", "it has no PathInfo");
  return {
    ...pathInfoFromMessage(record.info),
    unclaimedReferences: readHashParts("stored path", record.unclaimedReferences),
    registeredAt: readSize("stored path", "time", record.registeredAtMs),
  };
}

/** A NAR that was taken in, perhaps before any narinfo named it. */
export interface UploadedNar {
  readonly root: Node;
  /** Bytes in the NAR. */
  readonly narSize: number;
  /** Hash parts of store paths found in the contents. */
  readonly foundHashParts: readonly string[];
  /** Whether there were more of them than are listed. */
  readonly foundOverflowed: boolean;
  /** When it was taken in last, in milliseconds since 1970; 0 if not known. */
  readonly receivedAt: number;
}

/** The record of a NAR. */
export function encodeUploadedNar(nar: UploadedNar): Bytes {
  const record = create(firn.UploadedNarSchema, {
    root: entryToMessage(nar.root),
    narSize: BigInt(nar.narSize),
    foundHashParts: [...nar.foundHashParts],
    foundOverflowed: nar.foundOverflowed,
    receivedAtMs: BigInt(nar.receivedAt),
  });
  return toBinary(firn.UploadedNarSchema, record) as Bytes;
}

/** Reads {@link encodeUploadedNar}. Throws {@link FormatError}. */
export function decodeUploadedNar(bytes: Bytes): UploadedNar {
  const record = parse(firn.UploadedNarSchema, bytes, "uploaded NAR");
  if (!record.root) throw unreadable("uploaded NAR", "it has no root");
  return {
    root: anonymousEntryFromMessage(record.root),
    narSize: readSize("uploaded NAR", "NAR size", record.narSize),
    foundHashParts: readHashParts("uploaded NAR", record.foundHashParts),
    foundOverflowed: record.foundOverflowed,
    receivedAt: readSize("uploaded NAR", "time", record.receivedAtMs),
  };
}

/** A compressed file that was taken in. */
export interface UploadedFile {
  /** SHA-256 of the NAR it holds, 32 bytes. */
  readonly narSha256: Bytes;
  /** As in the Compression field of a narinfo. */
  readonly compression: string;
  /** Bytes in the compressed file. */
  readonly fileSize: number;
  /** When it was taken in last, in milliseconds since 1970; 0 if not known. */
  readonly receivedAt: number;
}

/** The record of a compressed file. */
export function encodeUploadedFile(file: UploadedFile): Bytes {
  const { narSha256, compression } = file;
  const record = create(firn.UploadedFileSchema, {
    narSha256,
    compression,
    fileSize: BigInt(file.fileSize),
    receivedAtMs: BigInt(file.receivedAt),
  });
  return toBinary(firn.UploadedFileSchema, record) as Bytes;
}

/** Reads {@link encodeUploadedFile}. Throws {@link FormatError}. */
export function decodeUploadedFile(bytes: Bytes): UploadedFile {
  const record = parse(firn.UploadedFileSchema, bytes, "uploaded file");
  return {
    narSha256: readHash("uploaded file", "NAR hash", record.narSha256, SHA256_LENGTH),
    compression: record.compression,
    fileSize: readSize("uploaded file", "file size", record.fileSize),
    receivedAt: readSize("uploaded file", "time", record.receivedAtMs),
  };
}

/** A file of the cache beside NARs and narinfos: a log, a listing, a realisation. */
export interface SideFile {
  /** Its blob. */
  readonly digest: Digest;
  /** Bytes in its blob. */
  readonly size: number;
  /** The Content-Type it was sent with. */
  readonly contentType: string;
  /** The Content-Encoding it was sent with and is stored in. */
  readonly contentEncoding?: string;
}

/** The record of a side file. */
export function encodeSideFile(file: SideFile): Bytes {
  const { digest, contentType, contentEncoding } = file;
  const record = create(firn.SideFileSchema, {
    digest,
    size: BigInt(file.size),
    contentType,
    contentEncoding,
  });
  return toBinary(firn.SideFileSchema, record) as Bytes;
}

/** Reads {@link encodeSideFile}. Throws {@link FormatError}. */
export function decodeSideFile(bytes: Bytes): SideFile {
  const record = parse(firn.SideFileSchema, bytes, "side file");
  return {
    digest: readHash("side file", "digest", record.digest, DIGEST_LENGTH),
    size: readSize("side file", "size", record.size),
    contentType: record.contentType,
    ...(record.contentEncoding !== "" && { contentEncoding: record.contentEncoding }),
  };
}

/** The record of a pin. */
export function encodePin({ hashPart, pinnedAt }: { hashPart: string; pinnedAt: number }): Bytes {
  const record = create(firn.PinSchema, { hashPart, pinnedAtMs: BigInt(pinnedAt) });
  return toBinary(firn.PinSchema, record) as Bytes;
}

/** Reads {@link encodePin}. Throws {@link FormatError}. */
export function decodePin(bytes: Bytes): { hashPart: string; pinnedAt: number } {
  const record = parse(firn.PinSchema, bytes, "pin");
  const [hashPart] = readHashParts("pin", [record.hashPart]);
  return { hashPart, pinnedAt: readSize("pin", "time", record.pinnedAtMs) };
}

/** Whether somebody collects garbage, and is deleting; see `collections.ts`. */
export interface CollectionRecord {
  readonly sequence: number;
  readonly owner: string;
  readonly seenAt: number;
}

/** The record of garbage collection. */
export function encodeCollection({ sequence, owner, seenAt }: CollectionRecord): Bytes {
  const fields = { sequence: BigInt(sequence), owner, seenAtMs: BigInt(seenAt) };
  return toBinary(firn.CollectionSchema, create(firn.CollectionSchema, fields)) as Bytes;
}

/** Reads {@link encodeCollection}. Throws {@link FormatError}. */
export function decodeCollection(bytes: Bytes): CollectionRecord {
  const { owner, sequence, seenAtMs } = parse(firn.CollectionSchema, bytes, "collection");
  const what = "collection";
  return { owner, sequence: readSize(what, "sequence", sequence), seenAt: readSize(what, "time", seenAtMs) };
}

export function parse<Schema extends DescMessage>(
  schema: Schema,
  bytes: Bytes,
  what: string,
): MessageShape<Schema> {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    throw unreadable(what, "it is not a protobuf message of this kind", { cause });
  }
}

function readReferences(digests: readonly Uint8Array[], names: readonly string[]): StorePath[] {
  for (const [i, digest] of digests.entries()) {
    if (digest.length !== HASH_PART_BYTES) {
      throw unreadable("PathInfo", `reference ${i} has ${digest.length} bytes, want ${HASH_PART_BYTES}`);
    }
  }
  if (names.length !== digests.length) {
    throw unreadable("PathInfo", `it has ${digests.length} references but ${names.length} names of them`);
  }
  return names.map((base, i) => {
    const path = readStorePath(base, `the name of reference ${i}`);
    if (!equals(fromNixBase32(path.hashPart), digests[i])) {
      const hashPart = toNixBase32(digests[i]);
      throw unreadable("PathInfo", `reference ${i} is ${hashPart}, but its name says ${path.hashPart}`);
    }
    return path;
  });
}

function readStorePath(base: string, what: string): StorePath {
  try {
    return parseStorePathBase(base);
  } catch (cause) {
    throw unreadable("PathInfo", `${what}: ${(cause as Error).message}`, { cause });
  }
}

function readRootName(name: Bytes): StorePath {
  try {
    return parseStorePathBase(toText(name));
  } catch (cause) {
    throw unreadable("PathInfo", `the name of its entry, ${quoteName(name)}, is not that of a store path`, {
      cause,
    });
  }
}

function deriverToMessage(deriver: StorePath): { name: string; digest: Bytes } {
  const name = deriver.name.slice(0, -DRV.length);
  if (!deriver.name.endsWith(DRV) || name === "") {
    throw new FormatError(
      "PathInfo",
      `Cannot write PathInfo: its deriver ${storePathBase(deriver)} must have a name and end in ${DRV}`,
    );
  }
  return { name, digest: fromNixBase32(deriver.hashPart) };
}

function readDeriver({ name, digest }: { name: string; digest: Uint8Array }): StorePath {
  if (digest.length !== HASH_PART_BYTES) {
    throw unreadable("PathInfo", `the deriver's digest has ${digest.length} bytes, want ${HASH_PART_BYTES}`);
  }
  if (!isStorePathName(name) || !isStorePathName(name + DRV)) {
    throw unreadable("PathInfo", `the deriver's name ${JSON.stringify(name.slice(0, 300))} is unlawful`);
  }
  return { hashPart: toNixBase32(digest), name: name + DRV };
}

function readSignature({ name, data }: { name: string; data: Uint8Array }, i: number): Signature {
  if (data.length !== SIGNATURE_LENGTH) {
    throw unreadable("PathInfo", `signature ${i} has ${data.length} bytes, want ${SIGNATURE_LENGTH}`);
  }
  const signature = { name, data: data.slice() };
  try {
    formatSignature(signature); // another name would break the narinfo it is served in
  } catch (cause) {
    throw unreadable("PathInfo", `signature ${i}: ${(cause as Error).message}`, { cause });
  }
  return signature;
}

function contentAddressNumber(ca: ContentAddress): number {
  const number = CONTENT_ADDRESSES.findIndex(([method, algorithm]) =>
    method === ca.method && algorithm === ca.algorithm
  );
  if (number < 0) {
    const kind = `${ca.method} with ${ca.algorithm}`;
    throw new FormatError("PathInfo", `Cannot write PathInfo: no content address is ${kind}`);
  }
  return number;
}

function readContentAddress({ type, digest }: { type: number; digest: Uint8Array }): ContentAddress {
  const kind = CONTENT_ADDRESSES[type];
  if (!kind) throw unreadable("PathInfo", `its content address is of an unknown kind (${type})`);
  const [method, algorithm] = kind;
  return {
    method,
    algorithm,
    digest: readHash("PathInfo", `content address (${algorithm})`, digest, HASH_LENGTHS[algorithm]),
  };
}

function readHash(what: string, field: string, hash: Uint8Array, length: number): Bytes {
  if (hash.length !== length) {
    throw unreadable(what, `its ${field} has ${hash.length} bytes, want ${length}`);
  }
  return hash.slice();
}

export function readSize(what: string, field: string, value: bigint): number {
  const size = Number(value);
  if (!Number.isSafeInteger(size) || size < 0) throw unreadable(what, `its ${field} is ${value}`);
  return size;
}

function readHashParts(what: string, hashParts: readonly string[]): string[] {
  for (const hashPart of hashParts) {
    if (!isHashPart(hashPart)) {
      throw unreadable(what, `${JSON.stringify(hashPart.slice(0, 80))} is not a hash part`);
    }
  }
  return [...hashParts];
}

function unreadable(what: string, why: string, options?: ErrorOptions): FormatError {
  return new FormatError(what, `Cannot read ${what}: ${why}`, options);
}
