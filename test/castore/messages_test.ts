/** Entries and Directories as protobuf messages, of both packages, against published vectors. */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fromBase64Url, toBase64Url } from "../../src/bytes/base64.ts";
import { concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { directoryDigest, directoryOf, encodeDirectory } from "../../src/castore/directory.ts";
import {
  anonymousEntryFromMessage,
  decodeAnonymousEntry,
  decodeEntry,
  directoryFromMessage,
  directoryToMessage,
  encodeEntry,
  entryFromMessage,
  entryToMessage,
} from "../../src/castore/messages.ts";
import type { Node } from "../../src/castore/node.ts";
import { FormatError } from "../../src/errors.ts";
import * as snix from "../../src/gen/snix/castore/v1/castore_pb.ts";
import * as tvix from "../../src/gen/tvix/castore/v1/castore_pb.ts";

const HELLO = fromHex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
const EMPTY_DIGEST = fromHex("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
const KEEP_DIGEST = fromHex("8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e");
const COMPLICATED = fromHex("3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a");
const COMPLICATED_SNIX = fromHex("424a7f6ce08d805d15b428062faae96299a1675d708c3a39261afe38cdd04feb");
const SYMLINK: Node = { type: "symlink", target: fromText("/nix/store/somewhereelse") };

const URL_PARTS: [string, Node, string][] = [
  [
    "COMPLICATED documented",
    { type: "directory", digest: COMPLICATED, size: 4n },
    "CiQSID-VGhWv1Yb7MSHvTRPVgugRzg5afyHASX_YdJDp4jVaGAQ",
  ],
  [
    "COMPLICATED snix",
    { type: "directory", digest: COMPLICATED_SNIX, size: 8n },
    "CiQSIEJKf2zgjYBdFbQoBi-q6WKZoWddcIw6OSYa_jjN0E_rGAg",
  ],
  ["symlink", SYMLINK, "GhoSGC9uaXgvc3RvcmUvc29tZXdoZXJlZWxzZQ"],
  [
    "file",
    { type: "file", digest: HELLO, size: 12, executable: false },
    "EiQSIFyngVrctITpoTbBHv5pwdUwF21Um10Y0DjrUoC0s0cMGAw",
  ],
  [
    "executable file",
    { type: "file", digest: HELLO, size: 12, executable: true },
    "EiYSIFyngVrctITpoTbBHv5pwdUwF21Um10Y0DjrUoC0s0cMGAwgAQ",
  ],
  [
    "empty directory",
    { type: "directory", digest: EMPTY_DIGEST, size: 0n },
    "CiISIK8TSbn1-aGmoEBN6jbcyUmbyyXJrcESt8yak8rkHzJi",
  ],
];

function refuses(act: () => unknown, reason: RegExp): void {
  assert.throws(act, (error) => error instanceof FormatError && reason.test(error.message));
}

for (const [name, node, part] of URL_PARTS) {
  Deno.test(`entry: ${name} is its published URL part, both ways`, () => {
    assert.equal(toBase64Url(encodeEntry(node)), part);
    assert.deepEqual(decodeAnonymousEntry(fromBase64Url(part)), node);
  });
  Deno.test(`entry: ${name} keeps its name, and is anonymous only without one`, () => {
    const named = encodeEntry(node, fromText("foo"));
    assert.deepEqual(decodeEntry(named), { name: fromText("foo"), node });
    refuses(() => decodeAnonymousEntry(named), /"foo".*must not have a name/);
    refuses(() => decodeEntry(encodeEntry(node)), /name "": it is empty/);
  });
  Deno.test(`entry: ${name} has the same bytes in the older package`, () => {
    const named = encodeEntry(node, fromText("foo"));
    const older = fromBinary(tvix.NodeSchema, named);
    assert.deepEqual(toBinary(tvix.NodeSchema, older), named);
    assert.deepEqual(entryFromMessage(older), { name: fromText("foo"), node });
    assert.deepEqual(anonymousEntryFromMessage(fromBinary(tvix.NodeSchema, encodeEntry(node))), node);
    assert.deepEqual(entryFromMessage(entryToMessage(node, fromText("foo"))).node, node);
  });
}

Deno.test("entry: the kind must be set and known", () => {
  refuses(() => decodeEntry(EMPTY), /neither directory, file nor symlink/);
  refuses(() => decodeAnonymousEntry(EMPTY), /neither directory, file nor symlink/);
  refuses(() => decodeAnonymousEntry(fromHex("2200")), /neither directory, file nor symlink/);
  refuses(() => anonymousEntryFromMessage(create(tvix.NodeSchema)), /neither directory, file nor symlink/);
});

Deno.test("entry: unlawful names are refused", () => {
  for (const name of [".", "..", "a/b", "a\0", "a".repeat(256)]) {
    for (const [, node] of URL_PARTS) {
      refuses(() => decodeEntry(encodeEntry(node, fromText(name))), /Cannot use the entry name/);
    }
  }
});

Deno.test("entry: a digest must have 32 bytes", () => {
  for (const length of [0, 11, 31, 33]) {
    const digest = new Uint8Array(length);
    refuses(() => decodeAnonymousEntry(encodeEntry({ type: "directory", digest, size: 0n })), /want 32/);
    const file: Node = { type: "file", digest, size: 0, executable: false };
    refuses(() => decodeAnonymousEntry(encodeEntry(file)), /want 32/);
  }
});

Deno.test("entry: unlawful symlink targets are refused", () => {
  for (const [target, reason] of [["", /empty/], ["foo\0", /NUL/], ["a".repeat(4096), /4096/]] as const) {
    const entry = encodeEntry({ type: "symlink", target: fromText(target) });
    refuses(() => decodeAnonymousEntry(entry), reason);
  }
});

Deno.test("entry: sizes keep 64 bits for directories and must be exact for files", () => {
  const size = (1n << 64n) - 1n;
  const directory: Node = { type: "directory", digest: HELLO, size };
  assert.deepEqual(decodeAnonymousEntry(encodeEntry(directory)), directory);
  const file: Node = { type: "file", digest: HELLO, size: Number.MAX_SAFE_INTEGER, executable: false };
  assert.deepEqual(decodeAnonymousEntry(encodeEntry(file)), file);
  const larger = create(snix.EntrySchema, {
    entry: { case: "file", value: { digest: HELLO, size: 1n << 53n } },
  });
  refuses(() => anonymousEntryFromMessage(larger), /9007199254740992 bytes/);
});

Deno.test("entry: unknown fields and broken messages are refused", () => {
  const symlink = encodeEntry(SYMLINK);
  refuses(() => decodeAnonymousEntry(concat([symlink, fromHex("2200")])), /not known here/);
  refuses(() => decodeAnonymousEntry(fromHex("1a0512017a2801")), /not known here/);
  for (let length = 1; length < symlink.length; length++) {
    assert.throws(() => decodeAnonymousEntry(symlink.slice(0, length)), FormatError, `cut at ${length}`);
  }
  refuses(() => decodeAnonymousEntry(fromHex("0f")), /not a protobuf message/);
  refuses(() => decodeAnonymousEntry(concat([new Uint8Array(2000).fill(0x0b)])), /not a protobuf message/);
});

Deno.test("entry: what is read shares no bytes with the input", () => {
  const bytes = encodeEntry(SYMLINK, fromText("foo"));
  const item = decodeEntry(bytes);
  bytes.fill(0);
  assert.deepEqual(item, { name: fromText("foo"), node: SYMLINK });
});

const DIRECTORY = directoryOf([
  { name: fromText("keep"), node: { type: "directory", digest: KEEP_DIGEST, size: 1n } },
  { name: fromText("aa"), node: SYMLINK },
  { name: fromText(".keep"), node: { type: "file", digest: EMPTY_DIGEST, size: 0, executable: false } },
]);

Deno.test("directory messages: both packages encode as the canonical encoding and read back", () => {
  const init = directoryToMessage(DIRECTORY);
  const newer = create(snix.DirectorySchema, init);
  const older = create(tvix.DirectorySchema, init);
  assert.equal(toHex(directoryDigest(DIRECTORY)), toHex(COMPLICATED));
  assert.deepEqual(toBinary(snix.DirectorySchema, newer), encodeDirectory(DIRECTORY));
  assert.deepEqual(toBinary(tvix.DirectorySchema, older), encodeDirectory(DIRECTORY));
  assert.deepEqual(directoryFromMessage(newer), DIRECTORY);
  assert.deepEqual(directoryFromMessage(older), DIRECTORY);
});

Deno.test("directory messages: the rules of Directories hold", () => {
  const digest = HELLO;
  const file = (name: string) => ({ name: fromText(name), digest });
  refuses(
    () => directoryFromMessage(create(snix.DirectorySchema, { files: [file("b"), file("a")] })),
    /out of order/,
  );
  refuses(
    () =>
      directoryFromMessage(create(tvix.DirectorySchema, { files: [file("a")], directories: [file("a")] })),
    /stands twice/,
  );
  refuses(() => directoryFromMessage(create(snix.DirectorySchema, { files: [file("..")] })), /\. or \.\./);
  refuses(() => directoryFromMessage(create(snix.DirectorySchema, { files: [{ name: digest }] })), /digest/);
});

Deno.test("directory messages: unknown fields are refused, for the sender's digest covers them", () => {
  for (const unknown of ["2200", "0a272801" + "0a01611220" + "00".repeat(32)]) {
    const bytes = fromHex(unknown);
    refuses(() => directoryFromMessage(fromBinary(snix.DirectorySchema, bytes)), /unknown field/);
    refuses(() => directoryFromMessage(fromBinary(tvix.DirectorySchema, bytes)), /unknown field/);
  }
});
