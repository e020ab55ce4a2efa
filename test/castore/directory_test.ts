/** Directories: encodings, digests and sizes against published vectors, and everything that must be refused. */
import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Bytes, concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import {
  type Directory,
  directoryDigest,
  type DirectoryItem,
  directoryOf,
  directorySize,
  encodeDirectory,
} from "../../src/castore/directory.ts";
import { decodeDirectory } from "../../src/castore/read_directory.ts";
import { directoryToMessage } from "../../src/castore/messages.ts";
import { FormatError } from "../../src/errors.ts";
import { DirectorySchema } from "../../src/gen/snix/castore/v1/castore_pb.ts";

const MAX_U64 = (1n << 64n) - 1n;
const EMPTY_DIGEST = fromHex("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
const KEEP_DIGEST = fromHex("8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e");
const B_DIGEST = fromHex("8701f4722d8dae7f2c40fa003331b8437a3825f9e1bfd3a77998c64cc226b9cc");
const ZERO_DIGEST = new Uint8Array(32);

function folder(name: string | Bytes, digest: Bytes = ZERO_DIGEST, size = 0n): DirectoryItem {
  return { name: nameOf(name), node: { type: "directory", digest, size } };
}

function file(
  name: string | Bytes,
  digest: Bytes = ZERO_DIGEST,
  size = 0,
  executable = false,
): DirectoryItem {
  return { name: nameOf(name), node: { type: "file", digest, size, executable } };
}

function symlink(name: string | Bytes, target: string | Bytes = "t"): DirectoryItem {
  return { name: nameOf(name), node: { type: "symlink", target: nameOf(target) } };
}

function nameOf(name: string | Bytes): Bytes {
  return typeof name === "string" ? fromText(name) : name;
}

/** Items as another implementation encodes them, lawful or not. */
function wire(items: DirectoryItem[]): Bytes {
  return toBinary(DirectorySchema, create(DirectorySchema, directoryToMessage({ items }))) as Bytes;
}

function refuses(act: () => unknown, reason: RegExp): void {
  assert.throws(act, (error) => error instanceof FormatError && reason.test(error.message));
}

const A = directoryOf([]);
const WITH_KEEP = directoryOf([file(".keep", EMPTY_DIGEST)]);
const complicated = (keepSize: bigint) =>
  directoryOf([
    folder("keep", KEEP_DIGEST, keepSize),
    symlink("aa", "/nix/store/somewhereelse"),
    file(".keep", EMPTY_DIGEST),
  ]);
const B = directoryOf([folder("a", EMPTY_DIGEST)]);
const C = directoryOf([folder("a", EMPTY_DIGEST), folder("a'", EMPTY_DIGEST)]);
const d = (bSize: bigint) => directoryOf([folder("a", EMPTY_DIGEST), folder("b", B_DIGEST, bSize)]);

const VECTORS: [string, Directory, { documented?: bigint; snix?: bigint }, string][] = [
  ["A", A, { documented: 0n, snix: 0n }, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"],
  [
    "WITH_KEEP",
    WITH_KEEP,
    { documented: 1n, snix: 2n },
    "8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e",
  ],
  [
    "COMPLICATED documented",
    complicated(1n),
    { documented: 4n },
    "3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a",
  ],
  [
    "COMPLICATED snix",
    complicated(2n),
    { snix: 8n },
    "424a7f6ce08d805d15b428062faae96299a1675d708c3a39261afe38cdd04feb",
  ],
  [
    "B",
    B,
    { documented: 1n, snix: 2n },
    "8701f4722d8dae7f2c40fa003331b8437a3825f9e1bfd3a77998c64cc226b9cc",
  ],
  [
    "C",
    C,
    { documented: 2n, snix: 4n },
    "78eb200ae0cc95d4ea954655fbcf91e285013a261310e161927f2401d2bca803",
  ],
  [
    "D documented",
    d(1n),
    { documented: 3n },
    "99922a5c1801805287a647af73bca0ed7352a5f7f373e54992795bcc4a235213",
  ],
  [
    "D snix",
    d(2n),
    { snix: 6n },
    "76cd8b55b37333961c1778ba997e57df92e219926ae5a66c414b810331a77603",
  ],
];

for (const [name, directory, sizes, digest] of VECTORS) {
  Deno.test(`directory: ${name} has its published digest and size, and reads back`, () => {
    assert.equal(toHex(directoryDigest(directory)), digest);
    if (sizes.documented !== undefined) {
      assert.equal(directorySize(directory, "documented"), sizes.documented);
    }
    if (sizes.snix !== undefined) assert.equal(directorySize(directory, "snix"), sizes.snix);
    assert.deepEqual(decodeDirectory(encodeDirectory(directory)), directory);
  });
}

Deno.test("directory: published encodings", () => {
  const empty = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
  const keep = `12290a052e6b6565701220${empty}`;
  assert.equal(toHex(encodeDirectory(A)), "");
  assert.equal(toHex(encodeDirectory(WITH_KEEP)), keep);
  assert.equal(toHex(encodeDirectory(B)), `0a250a01611220${empty}`);
  for (const size of [1n, 2n]) {
    assert.equal(
      toHex(encodeDirectory(complicated(size))),
      `0a2a0a046b65657012208b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e180${size}` +
        keep +
        "1a1e0a02616112182f6e69782f73746f72652f736f6d657768657265656c7365",
    );
  }
});

Deno.test("directory: sizes by the documented rule", () => {
  assert.equal(directorySize(directoryOf([folder("foo", ZERO_DIGEST, 0n)]), "documented"), 1n);
  assert.equal(directorySize(directoryOf([folder("foo", ZERO_DIGEST, 4n)]), "documented"), 5n);
  assert.equal(directorySize(directoryOf([file("foo", ZERO_DIGEST, 42)]), "documented"), 1n);
  assert.equal(directorySize(directoryOf([symlink("foo")]), "documented"), 1n);
});

Deno.test("directory: sizes that pass 64 bits are refused", () => {
  assert.equal(directorySize(directoryOf([folder("a", ZERO_DIGEST, MAX_U64 - 1n)]), "documented"), MAX_U64);
  refuses(() => directoryOf([folder("a", ZERO_DIGEST, MAX_U64)]), /over 64 bits/);
  const half = MAX_U64 / 2n;
  refuses(
    () => directoryOf([folder("a", ZERO_DIGEST, half), folder("b", ZERO_DIGEST, half)]),
    /over 64 bits/,
  );
  refuses(() => directorySize(directoryOf([folder("a", ZERO_DIGEST, MAX_U64 - 1n)]), "snix"), /over 64 bits/);
  // The same on the wire: a child of size 2^64 - 1.
  const entry = concat([fromHex("0a01611220"), ZERO_DIGEST, fromHex("18ffffffffffffffffff01")]);
  refuses(() => decodeDirectory(concat([Uint8Array.of(0x0a, entry.length), entry])), /over 64 bits/);
});

Deno.test("directory: the largest size and file that fit survive", () => {
  const directory = directoryOf([
    folder("a", ZERO_DIGEST, MAX_U64 - 2n),
    file("b", ZERO_DIGEST, Number.MAX_SAFE_INTEGER, true),
  ]);
  assert.deepEqual(decodeDirectory(encodeDirectory(directory)), directory);
  const entry = concat([fromHex("0a01611220"), ZERO_DIGEST, fromHex("188080808080808010")]);
  refuses(
    () => decodeDirectory(concat([Uint8Array.of(0x12, entry.length), entry])),
    /9007199254740992 bytes/,
  );
});

const ITEMS: [string, (name: string | Bytes) => DirectoryItem][] = [
  ["directory", folder],
  ["file", file],
  ["symlink", symlink],
];
const BAD_NAMES: [Bytes, RegExp][] = [
  [EMPTY, /empty/],
  [fromText("."), /\. or \.\./],
  [fromText(".."), /\. or \.\./],
  [fromText("a\0b"), /NUL/],
  [fromText("foo\0"), /NUL/],
  [fromText("foo/bar"), /slash/],
  [fromText("/"), /slash/],
  [new Uint8Array(256).fill(0x61), /256 bytes/],
  [new Uint8Array(500).fill(0x61), /500 bytes/],
];

for (const [kind, make] of ITEMS) {
  Deno.test(`directory: unlawful ${kind} names are refused, made or read`, () => {
    for (const [name, reason] of BAD_NAMES) {
      refuses(() => directoryOf([make(name)]), reason);
      refuses(() => decodeDirectory(wire([make(name)])), reason);
    }
  });
  Deno.test(`directory: ${kind} names may hold any other byte, up to 255 of them`, () => {
    const names = [
      fromText("..."),
      fromText("C:\\a"),
      fromHex("c5c4d6"),
      fromHex("010a7f"),
      new Uint8Array(255).fill(0x61),
    ];
    for (const name of names) {
      const directory = directoryOf([make(name)]);
      assert.deepEqual(decodeDirectory(encodeDirectory(directory)), directory);
    }
  });
  Deno.test(`directory: ${kind} entries out of order, or twice, are refused`, () => {
    refuses(() => decodeDirectory(wire([make("b"), make("a")])), /out of order/);
    refuses(() => decodeDirectory(wire([make("a"), make("a")])), /stands twice/);
    refuses(() => directoryOf([make("a"), make("b"), make("a")]), /stands twice/);
  });
}

Deno.test("directory: a digest must have 32 bytes", () => {
  for (const length of [0, 1, 31, 33]) {
    for (const item of [folder("a", new Uint8Array(length)), file("a", new Uint8Array(length))]) {
      refuses(() => directoryOf([item]), /digest/);
      refuses(() => decodeDirectory(wire([item])), /digest/);
    }
  }
});

Deno.test("directory: symlink targets", () => {
  for (const [target, reason] of [["", /empty/], ["foo\0", /NUL/], ["a".repeat(4096), /4096/]] as const) {
    refuses(() => directoryOf([symlink("a", target)]), reason);
    refuses(() => decodeDirectory(wire([symlink("a", target)])), reason);
  }
  const lawful = ["aa", ".", "./..", "..", "a/b", "/a/b", fromHex("c5c4d6"), "a".repeat(4095)];
  for (const target of lawful) {
    const directory = directoryOf([symlink("a", target)]);
    assert.deepEqual(decodeDirectory(encodeDirectory(directory)), directory);
  }
});

Deno.test("directory: a name in two lists is refused; order is asked within a list only", () => {
  const across: [DirectoryItem, DirectoryItem][] = [
    [folder("a"), file("a")],
    [folder("a"), symlink("a")],
    [file("a"), symlink("a")],
  ];
  for (const items of across) {
    refuses(() => directoryOf(items), /stands twice/);
    refuses(() => decodeDirectory(wire(items)), /stands twice/);
  }
  const mixed = decodeDirectory(wire([folder("z"), file("m"), symlink("a")]));
  assert.deepEqual(mixed.items.map((item) => item.node.type), ["symlink", "file", "directory"]);
});

Deno.test("directory: names sort by bytes, a prefix first", () => {
  const names = [fromHex("ff"), fromText("a'"), fromText("a"), fromText("B"), fromText("é")];
  const sorted = directoryOf(names.map((name) => file(name))).items.map((item) => toHex(item.name));
  assert.deepEqual(sorted, ["42", "61", "6127", "c3a9", "ff"]);
});

Deno.test("directory: only the canonical encoding is read", () => {
  const entry = `0a01611220${"00".repeat(32)}`;
  const cases: [string, string][] = [
    ["unknown field", `0a25${entry}2200`],
    ["unknown field in an entry", `0a27${entry}2800`],
    ["executable in a directory entry", `0a27${entry}2001`],
    ["size 0 written out", `0a27${entry}1800`],
    ["executable false written out", `1227${entry}2000`],
    ["executable neither 0 nor 1", `1227${entry}2002`],
    ["length not minimal", `0aa500${entry}`],
    ["size not minimal", `0a28${entry}188100`],
    ["fields of an entry swapped", `0a251220${"00".repeat(32)}0a0161`],
    ["a field twice", `0a280a0161${entry}`],
    ["lists swapped", `1225${entry}0a250a01621220${"00".repeat(32)}`],
    ["cut within an entry", `0a25${entry}`.slice(0, -2)],
    ["cut within a length", "0a"],
    ["length over what is there", "0affffffffffffffffff01"],
    ["number over 64 bits", `0a30${entry}18ffffffffffffffffff02`],
  ];
  assert.equal(decodeDirectory(fromHex(`0a25${entry}`)).items.length, 1);
  for (const [what, hex] of cases) {
    assert.throws(() => decodeDirectory(fromHex(hex)), FormatError, what);
  }
});
