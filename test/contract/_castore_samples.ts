/**
 * Blobs and Directories for the contracts of the services: the fixtures of other castore implementations, with the
 * digests that those give them.
 */
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { fromHex } from "../../src/bytes/hex.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import type { Digest } from "../../src/castore/digest.ts";
import { type Directory, type DirectoryItem, directoryOf } from "../../src/castore/directory.ts";

/** What a service keeps its values in, for cases about values that were lost or changed. */
export interface Backing {
  /** Where the values are, under the keys of `castore/layout.ts`. */
  readonly bytes: ByteStore;
  /** Finds these bytes in what is stored, wherever that is, and changes one bit of the first of them. */
  corrupt(part: Bytes): Promise<void>;
}

/** BLOB_B of other implementations: the bytes 0 to 254, 4096 times. */
export const BLOB_B: Bytes = concat(Array.from({ length: 4096 }, () => Uint8Array.from(Array(255).keys())));

/** Contents and their BLAKE3-256. */
export const BLOBS: readonly { name: string; bytes: Bytes; digest: Digest }[] = [
  ["EMPTY", "", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"],
  ["HELLOWORLD", "Hello World!", "5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c"],
  ["BLOB_A", "\x00\x01", "7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63"],
  ["one byte", "\x01", "48fc721fbbc172e0925fa27af1671de225ba927134802998b10a1568a188652b"],
  ["layout example", "Hello World", "41f8394111eb713a22165c46c90ab8f0fd9399c92028fd6d288944b23ff5bf76"],
  ["BLOB_B", BLOB_B, "a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2"],
].map(([name, content, digest]) => ({
  name: name as string,
  bytes: typeof content === "string" ? fromText(content) : content,
  digest: fromHex(digest as string),
}));

/** BLAKE3 of no bytes: the empty blob and the empty Directory. */
export const EMPTY_DIGEST: Digest = BLOBS[0].digest;

export function folder(name: string, digest: Digest, size: bigint): DirectoryItem {
  return { name: fromText(name), node: { type: "directory", digest, size } };
}

export function file(name: string, digest: Digest, size: number, executable = false): DirectoryItem {
  return { name: fromText(name), node: { type: "file", digest, size, executable } };
}

export function symlink(name: string, target: string): DirectoryItem {
  return { name: fromText(name), node: { type: "symlink", target: fromText(target) } };
}

/** A Directory and the digest other implementations give it. */
export interface KnownDirectory {
  readonly directory: Directory;
  readonly digest: Digest;
}

function known(digest: string, ...items: DirectoryItem[]): KnownDirectory {
  return { directory: directoryOf(items), digest: fromHex(digest) };
}

const KEEP = file(".keep", EMPTY_DIGEST, 0);
const LINK = symlink("aa", "/nix/store/somewhereelse");

export const A = known("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
export const WITH_KEEP = known("8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e", KEEP);
export const B = known(
  "8701f4722d8dae7f2c40fa003331b8437a3825f9e1bfd3a77998c64cc226b9cc",
  folder("a", A.digest, 0n),
);
export const C = known(
  "78eb200ae0cc95d4ea954655fbcf91e285013a261310e161927f2401d2bca803",
  folder("a", A.digest, 0n),
  folder("a'", A.digest, 0n),
);
/** Sizes as documented. */
export const D = known(
  "99922a5c1801805287a647af73bca0ed7352a5f7f373e54992795bcc4a235213",
  folder("a", A.digest, 0n),
  folder("b", B.digest, 1n),
);
export const COMPLICATED = known(
  "3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a",
  folder("keep", WITH_KEEP.digest, 1n),
  KEEP,
  LINK,
);
/** Sizes by the rule of snix. */
export const D_SNIX = known(
  "76cd8b55b37333961c1778ba997e57df92e219926ae5a66c414b810331a77603",
  folder("a", A.digest, 0n),
  folder("b", B.digest, 2n),
);
export const COMPLICATED_SNIX = known(
  "424a7f6ce08d805d15b428062faae96299a1675d708c3a39261afe38cdd04feb",
  folder("keep", WITH_KEEP.digest, 2n),
  KEEP,
  LINK,
);
