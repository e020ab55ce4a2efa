/**
 * Damaged and random messages: a decoder answers with a value or a FormatError, nothing else, and a value it
 * answered with can be written and read again. The generator is seeded, so a failure repeats.
 */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { directoryOf, encodeDirectory } from "../../src/castore/directory.ts";
import { decodeDirectory } from "../../src/castore/read_directory.ts";
import {
  decodeAnonymousEntry,
  decodeEntry,
  directoryFromMessage,
  directoryToMessage,
  encodeEntry,
} from "../../src/castore/messages.ts";
import { FormatError } from "../../src/errors.ts";
import { DirectorySchema } from "../../src/gen/snix/castore/v1/castore_pb.ts";
import {
  decodePathInfo,
  decodeSideFile,
  decodeStoredPath,
  decodeUploadedFile,
  decodeUploadedNar,
  encodePathInfo,
  encodeSideFile,
  encodeStoredPath,
  encodeUploadedFile,
  encodeUploadedNar,
} from "../../src/store/messages.ts";
import type { PathInfo } from "../../src/store/path_info.ts";

const ROUNDS = 2000;

const DIGEST = new Uint8Array(32).fill(0x5a);
const NAME = fromText("name");
const DIRECTORY = directoryOf([
  { name: fromText("a"), node: { type: "directory", digest: DIGEST, size: 300n } },
  { name: fromText("b"), node: { type: "directory", digest: DIGEST, size: 0n } },
  { name: fromText("c"), node: { type: "file", digest: DIGEST, size: 1 << 20, executable: true } },
  { name: fromText("d"), node: { type: "file", digest: DIGEST, size: 0, executable: false } },
  { name: fromText("e"), node: { type: "symlink", target: fromText("../x") } },
]);
const PATH = { hashPart: "0".repeat(32), name: "dummy" };
const PATH_INFO: PathInfo = {
  storePath: PATH,
  node: { type: "directory", digest: DIGEST, size: 5n },
  references: [PATH, { ...PATH, name: "other" }],
  narSha256: DIGEST,
  narSize: 1 << 20,
  deriver: { ...PATH, name: "dummy.drv" },
  signatures: [{ name: "key-1", data: new Uint8Array(64) }],
  ca: { method: "flat", algorithm: "sha1", digest: new Uint8Array(20) },
  unclaimedReferences: ["1".repeat(32)],
  registeredAt: 1_700_000_000_000,
};

/** A decoder, the encoder of what it gives, and a message to damage. */
interface Target {
  name: string;
  valid: Bytes;
  again(bytes: Bytes): [value: unknown, written: Bytes];
}

function target<T>(name: string, valid: Bytes, decode: (b: Bytes) => T, encode: (value: T) => Bytes): Target {
  return {
    name,
    valid,
    again(bytes) {
      const value = decode(bytes);
      return [value, encode(value)];
    },
  };
}

const TARGETS: Target[] = [
  target("Directory", encodeDirectory(DIRECTORY), decodeDirectory, encodeDirectory),
  target("named entry", encodeEntry(PATH_INFO.node, NAME), decodeEntry, (i) => encodeEntry(i.node, i.name)),
  target("anonymous entry", encodeEntry(PATH_INFO.node), decodeAnonymousEntry, (node) => encodeEntry(node)),
  target("PathInfo", encodePathInfo(PATH_INFO), decodePathInfo, encodePathInfo),
  target("stored path", encodeStoredPath(PATH_INFO), decodeStoredPath, encodeStoredPath),
  target(
    "uploaded NAR",
    encodeUploadedNar({
      root: PATH_INFO.node,
      narSize: 9,
      foundHashParts: [PATH.hashPart],
      foundOverflowed: true,
      receivedAt: 7,
    }),
    decodeUploadedNar,
    encodeUploadedNar,
  ),
  target(
    "uploaded file",
    encodeUploadedFile({ narSha256: DIGEST, compression: "xz", fileSize: 9, receivedAt: 7 }),
    decodeUploadedFile,
    encodeUploadedFile,
  ),
  target(
    "side file",
    encodeSideFile({ digest: DIGEST, size: 9, contentType: "text/plain", contentEncoding: "br" }),
    decodeSideFile,
    encodeSideFile,
  ),
];

/** Whole numbers below `bound`, the same for the same seed (a multiplicative generator of Park and Miller). */
function generator(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = state * 48271 % 0x7fffffff;
    return state % bound;
  };
}

type Random = ReturnType<typeof generator>;

function randomBytes(random: Random, length: number): Bytes {
  return Uint8Array.from({ length }, () => random(256));
}

/** A few changes of the kinds that reach deep: bits, tags and lengths, cuts, doublings, other bytes put in. */
function damage(valid: Bytes, random: Random): Bytes {
  if (random(20) === 0) return randomBytes(random, random(60));
  let bytes = valid.slice();
  for (let changes = 1 + random(3); changes > 0 && bytes.length > 0; changes--) {
    const at = random(bytes.length);
    const end = at + random(Math.min(40, bytes.length - at) + 1);
    switch (random(6)) {
      case 0:
        bytes[at] ^= 1 << random(8);
        break;
      case 1:
        bytes[at] = [0x00, 0x0a, 0x12, 0x18, 0x1a, 0x20, 0x7f, 0x80, 0xff][random(9)];
        break;
      case 2:
        bytes = bytes.slice(0, at);
        break;
      case 3:
        bytes = concat([bytes.subarray(0, end), bytes.subarray(at)]);
        break;
      case 4:
        bytes = concat([bytes.subarray(0, at), bytes.subarray(end)]);
        break;
      case 5:
        bytes = concat([bytes.subarray(0, at), randomBytes(random, random(12)), bytes.subarray(at)]);
    }
  }
  return bytes;
}

for (const { name, valid, again } of TARGETS) {
  Deno.test(`fuzz: ${name}`, () => {
    assert.deepEqual(again(valid)[1], valid);
    const random = generator(20240517);
    let refused = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const bytes = damage(valid, random);
      try {
        const [value, written] = again(bytes);
        assert.deepEqual(again(written), [value, written], toHex(bytes));
        if (name === "Directory") assert.deepEqual(written, bytes);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        refused++;
      }
    }
    assert.ok(refused > ROUNDS / 4 && refused < ROUNDS, `${refused} of ${ROUNDS} refused`);
  });
}

Deno.test("fuzz: Directory messages of lenient decoders", () => {
  const valid = toBinary(DirectorySchema, create(DirectorySchema, directoryToMessage(DIRECTORY))) as Bytes;
  const random = generator(20240518);
  let read = 0;
  for (let round = 0; round < ROUNDS; round++) {
    let message;
    try {
      message = fromBinary(DirectorySchema, damage(valid, random));
    } catch {
      continue; // not ours to read
    }
    read++;
    try {
      const directory = directoryFromMessage(message);
      assert.deepEqual(directoryOf(directory.items), directory);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }
  assert.ok(read > ROUNDS / 10, `${read} of ${ROUNDS} were messages`);
});
