/** The records under the store's own keys as protobuf messages: they survive, and nothing else is read as one. */
import assert from "node:assert/strict";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Bytes, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { fromHex } from "../../src/bytes/hex.ts";
import type { Node } from "../../src/castore/node.ts";
import { FormatError } from "../../src/errors.ts";
import {
  SideFileSchema,
  StoredPathSchema,
  UploadedFileSchema,
  UploadedNarSchema,
} from "../../src/gen/firn/store/v1/stored_path_pb.ts";
import {
  decodeSideFile,
  decodeStoredPath,
  decodeUploadedFile,
  decodeUploadedNar,
  encodeSideFile,
  encodeStoredPath,
  encodeUploadedFile,
  encodeUploadedNar,
  pathInfoToMessage,
  type SideFile,
  type UploadedFile,
  type UploadedNar,
} from "../../src/store/messages.ts";
import type { PathInfo } from "../../src/store/path_info.ts";

const ZERO_32 = new Uint8Array(32);
const PATH = { hashPart: "0".repeat(32), name: "dummy" };

const BARE: PathInfo = {
  storePath: PATH,
  node: { type: "symlink", target: fromText("/elsewhere") },
  references: [],
  narSha256: ZERO_32,
  narSize: 0,
  signatures: [],
  unclaimedReferences: [],
  registeredAt: 0,
};

const FULL: PathInfo = {
  ...BARE,
  references: [PATH],
  narSize: 136,
  deriver: { ...PATH, name: "dummy.drv" },
  signatures: [{ name: "key-1", data: new Uint8Array(64).fill(3) }],
  ca: { method: "flat", algorithm: "md5", digest: new Uint8Array(16) },
};

/** What to make a symlink entry from. */
function symlink(name: string): MessageInitShape<typeof UploadedNarSchema>["root"] {
  return { entry: { case: "symlink", value: { name: fromText(name), target: fromText("t") } } };
}

function refuses(act: () => unknown, reason: RegExp): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof FormatError, `${error}`);
    assert.match(error.message, reason);
    return true;
  });
}

Deno.test("stored path: the whole PathInfo survives", () => {
  const info = {
    ...FULL,
    unclaimedReferences: ["00bgd045z0d4icpbc2yyz4gx48ak44la", "0".repeat(32)],
    registeredAt: 1_700_000_000_123,
  };
  assert.deepEqual(decodeStoredPath(encodeStoredPath(info)), info);
  assert.deepEqual(decodeStoredPath(encodeStoredPath(BARE)), BARE);
});

Deno.test("stored path: what cannot be one is refused", () => {
  const info = pathInfoToMessage(FULL);
  const stored = (init: MessageInitShape<typeof StoredPathSchema>) =>
    toBinary(StoredPathSchema, create(StoredPathSchema, init)) as Bytes;
  refuses(() => decodeStoredPath(EMPTY), /no PathInfo/);
  refuses(() => decodeStoredPath(stored({ info: {} })), /no narinfo/);
  refuses(() => decodeStoredPath(stored({ info, unclaimedReferences: ["x"] })), /"x" is not a hash part/);
  refuses(() => decodeStoredPath(stored({ info, registeredAtMs: -1n })), /time is -1/);
  refuses(() => decodeStoredPath(stored({ info, registeredAtMs: 1n << 53n })), /time is 9007199254740992/);
  refuses(() => decodeStoredPath(fromHex("0a")), /not a protobuf message/);
});

const ROOTS: Node[] = [
  { type: "directory", digest: ZERO_32, size: (1n << 64n) - 1n },
  { type: "file", digest: ZERO_32, size: 3, executable: false },
  { type: "symlink", target: fromHex("c5c4d6") },
];

Deno.test("uploaded NAR: survives, and what cannot be one is refused", () => {
  for (const root of ROOTS) {
    const nar: UploadedNar = {
      root,
      narSize: 136,
      foundHashParts: ["00bgd045z0d4icpbc2yyz4gx48ak44la"],
      foundOverflowed: true,
      receivedAt: 1_700_000_000_000,
    };
    assert.deepEqual(decodeUploadedNar(encodeUploadedNar(nar)), nar);
    const none = { root, narSize: 0, foundHashParts: [], foundOverflowed: false, receivedAt: 0 };
    assert.deepEqual(decodeUploadedNar(encodeUploadedNar(none)), none);
  }
  const uploaded = (init: MessageInitShape<typeof UploadedNarSchema>) =>
    toBinary(UploadedNarSchema, create(UploadedNarSchema, init)) as Bytes;
  const root = symlink("");
  refuses(() => decodeUploadedNar(EMPTY), /no root/);
  refuses(() => decodeUploadedNar(uploaded({ root: {} })), /neither directory, file nor symlink/);
  refuses(() => decodeUploadedNar(uploaded({ root: symlink("x") })), /must not have a name/);
  refuses(() => decodeUploadedNar(uploaded({ root, narSize: 1n << 53n })), /NAR size/);
  refuses(() => decodeUploadedNar(uploaded({ root, foundHashParts: ["E".repeat(32)] })), /not a hash part/);
});

Deno.test("uploaded file: survives, and what cannot be one is refused", () => {
  const file: UploadedFile = { narSha256: ZERO_32, compression: "xz", fileSize: 76, receivedAt: 5 };
  assert.deepEqual(decodeUploadedFile(encodeUploadedFile(file)), file);
  const uploaded = (init: MessageInitShape<typeof UploadedFileSchema>) =>
    toBinary(UploadedFileSchema, create(UploadedFileSchema, init)) as Bytes;
  refuses(() => decodeUploadedFile(EMPTY), /NAR hash has 0 bytes/);
  refuses(() => decodeUploadedFile(uploaded({ narSha256: ZERO_32, fileSize: 1n << 63n })), /file size/);
});

Deno.test("side file: survives, and what cannot be one is refused", () => {
  const file: SideFile = { digest: ZERO_32, size: 5, contentType: "text/plain", contentEncoding: "br" };
  assert.deepEqual(decodeSideFile(encodeSideFile(file)), file);
  const plain: SideFile = { digest: ZERO_32, size: 0, contentType: "application/json" };
  assert.deepEqual(decodeSideFile(encodeSideFile(plain)), plain);
  const side = (init: MessageInitShape<typeof SideFileSchema>) =>
    toBinary(SideFileSchema, create(SideFileSchema, init)) as Bytes;
  refuses(() => decodeSideFile(EMPTY), /digest has 0 bytes/);
  refuses(() => decodeSideFile(side({ digest: ZERO_32, size: 1n << 53n })), /size/);
});
