/**
 * Blobs, Directories and a PathInfo with their digests and encodings as other implementations have them: snix's castore and
 * store fixtures, and the same computed with b3sum.
 */
import { type Bytes, fromText } from "../../../src/bytes/bytes.ts";
import { fromHex } from "../../../src/bytes/hex.ts";

export const HELLO = fromText("Hello World!");
export const HELLO_DIGEST = fromHex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
export const EMPTY_DIGEST = fromHex("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
export const ABSENT = new Uint8Array(32).fill(7);

/** Bytes 0 to 254, 4096 times: two chunks of these lengths. */
export const BLOB_B: Bytes = Uint8Array.from({ length: 255 * 4096 }, (_, i) => i % 255);
export const BLOB_B_DIGEST = fromHex("a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2");
export const BLOB_B_CHUNKS = [524288, 520192];

/** A folder with one empty file. */
export const WITH_KEEP = { files: [{ name: fromText(".keep"), digest: EMPTY_DIGEST }] };
export const WITH_KEEP_DIGEST = fromHex("8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e");

/** A folder with that folder, an empty file and a symlink; `size` is what it says of that folder. */
export function complicated(size: bigint) {
  return {
    directories: [{ name: fromText("keep"), digest: WITH_KEEP_DIGEST, size }],
    files: [{ name: fromText(".keep"), digest: EMPTY_DIGEST }],
    symlinks: [{ name: fromText("aa"), target: fromText("/nix/store/somewhereelse") }],
  };
}
export const COMPLICATED_DIGEST = fromHex("3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a");
export const COMPLICATED_DOUBLED_DIGEST = fromHex(
  "424a7f6ce08d805d15b428062faae96299a1675d708c3a39261afe38cdd04feb",
);
export const COMPLICATED_NAR_SIZE = 840n;
export const COMPLICATED_NAR_SHA256 = fromHex(
  "ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a",
);

export const DUMMY_NAME = "00000000000000000000000000000000-dummy";
export const DUMMY_HASH = new Uint8Array(20);
const ZEROS = new Uint8Array(32);

/** The root of a path that refers to itself and whose contents are in no store. */
export function dummyRoot(name = DUMMY_NAME) {
  return { case: "directory", value: { name: fromText(name), digest: ZEROS, size: 0n } };
}

/** What else its PathInfo says. */
export const DUMMY_REST = {
  references: [DUMMY_HASH],
  narinfo: {
    narSize: 0n,
    narSha256: ZEROS,
    signatures: [],
    referenceNames: [DUMMY_NAME],
    ca: { type: 0, digest: ZEROS },
  },
};

/** Its encoding, 212 bytes. */
export const DUMMY_ENCODED = fromHex(
  "0a4c0a4a0a26" + hex(DUMMY_NAME) + "1220" + "00".repeat(32) +
    "1214" + "00".repeat(20) +
    "1a6e" + "1220" + "00".repeat(32) + "2226" + hex(DUMMY_NAME) + "3222" + "1220" + "00".repeat(32),
);

function hex(text: string): string {
  return [...text].map((char) => char.charCodeAt(0).toString(16)).join("");
}
