/** PathInfo as a protobuf message: a published encoding, and everything that must be refused. */
import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Bytes, concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { fromNixBase32 } from "../../src/bytes/nixbase32.ts";
import { FormatError } from "../../src/errors.ts";
import { PathInfoSchema } from "../../src/gen/snix/store/v1/pathinfo_pb.ts";
import { PathInfoSchema as OlderPathInfoSchema } from "../../src/gen/tvix/store/v1/pathinfo_pb.ts";
import { type ContentAddress, formatContentAddress } from "../../src/nix/content_address.ts";
import { parseSignature } from "../../src/nix/signature.ts";
import { parseStorePathBase } from "../../src/nix/store_path.ts";
import {
  decodePathInfo,
  encodePathInfo,
  encodeStoredPath,
  pathInfoFromMessage,
  pathInfoToMessage,
} from "../../src/store/messages.ts";
import type { PathInfo } from "../../src/store/path_info.ts";

const ZERO_20 = new Uint8Array(20);
const ZERO_32 = new Uint8Array(32);
const BASE = "00000000000000000000000000000000-dummy";

const DUMMY: PathInfo = {
  storePath: { hashPart: "0".repeat(32), name: "dummy" },
  node: { type: "directory", digest: ZERO_32, size: 0n },
  references: [{ hashPart: "0".repeat(32), name: "dummy" }],
  narSha256: ZERO_32,
  narSize: 0,
  signatures: [],
  ca: { method: "nar", algorithm: "sha256", digest: ZERO_32 },
  unclaimedReferences: [],
  registeredAt: 0,
};

/** Every field used, and no two of them alike. */
const FULL: PathInfo = {
  storePath: parseStorePathBase("syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin"),
  node: { type: "file", digest: ZERO_32.slice().fill(7), size: 12, executable: true },
  references: [
    parseStorePathBase("yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n"),
    parseStorePathBase("0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0"),
  ],
  narSha256: fromHex("097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1"),
  narSize: Number.MAX_SAFE_INTEGER,
  deriver: parseStorePathBase("00bgd045z0d4icpbc2yyz4gx48ak44la-curl.drv"),
  signatures: [
    parseSignature(
      "cache.nixos.org-1:TsTTb3WGTZKphvYdBHXwo6weVILmTytUjLB+vcX89fOjjRicCHmKA4RCPMVLkj6TMJ4GMX3HPVWRdD1hkeKZBQ==",
    ),
    parseSignature(
      "test1:519iiVLx/c4Rdt5DNt6Y2Jm6hcWE9+XY69ygiWSZCNGVcmOcyL64uVAJ3cV8vaTusIZdbTnYo9Y7vDNeTmmMBQ==",
    ),
  ],
  ca: { method: "flat", algorithm: "md5", digest: fromHex("ed076287532e86365e841e92bfc50d8c") },
  unclaimedReferences: [],
  registeredAt: 0,
};

type Init = MessageInitShape<typeof PathInfoSchema>;
type NarInfoInit = NonNullable<Init["narinfo"]>;

/** The encoding of the valid message of upstream's tests, changed. */
function message(
  change: Omit<Init, "$typeName"> = {},
  narInfoChange: Omit<NarInfoInit, "$typeName"> = {},
): Bytes {
  const init: Init = {
    entry: { entry: { case: "directory", value: { name: fromText(BASE), digest: ZERO_32, size: 0n } } },
    references: [ZERO_20],
    narinfo: { narSize: 0n, narSha256: ZERO_32, referenceNames: [BASE], ...narInfoChange },
    ...change,
  };
  return toBinary(PathInfoSchema, create(PathInfoSchema, init)) as Bytes;
}

function refuses(act: () => unknown, reason: RegExp): void {
  assert.throws(act, (error) => {
    assert.ok(error instanceof FormatError, `${error}`);
    assert.match(error.message, reason);
    return true;
  });
}

Deno.test("PathInfo: the published encoding of 212 bytes, both ways", () => {
  const name = toHex(fromText(BASE));
  const zero = "00".repeat(32);
  const encoding = `0a4c0a4a0a26${name}1220${zero}1214${
    "00".repeat(20)
  }1a6e1220${zero}2226${name}32221220${zero}`;
  assert.equal(encoding.length, 2 * 212);
  assert.equal(toHex(encodePathInfo(DUMMY)), encoding);
  assert.deepEqual(decodePathInfo(fromHex(encoding)), DUMMY);
});

Deno.test("PathInfo: every field survives, in both packages", () => {
  const bytes = encodePathInfo(FULL);
  assert.deepEqual(decodePathInfo(bytes), FULL);
  assert.deepEqual(pathInfoFromMessage(pathInfoToMessage(FULL)), FULL);
  const older = fromBinary(OlderPathInfoSchema, bytes);
  assert.deepEqual(toBinary(OlderPathInfoSchema, older), bytes);
  assert.deepEqual(pathInfoFromMessage(older), FULL);
});

Deno.test("PathInfo: the message says what other implementations expect", () => {
  const sent = fromBinary(PathInfoSchema, encodePathInfo(FULL));
  assert.deepEqual(
    sent.entry?.entry.value?.name,
    fromText("syd87l2rxw8cbsxmxl853h0r6pdwhwjr-curl-7.82.0-bin"),
  );
  assert.deepEqual(sent.references, FULL.references.map(({ hashPart }) => fromNixBase32(hashPart)));
  assert.deepEqual(sent.narinfo?.referenceNames, [
    "yxvjs9drzsphm9pcf42a4byzj1kb9m7k-openssl-1.1.1n",
    "0jqd0rlxzra1rs38rdxl43yh6rxchgc6-curl-7.82.0",
  ]);
  assert.equal(sent.narinfo?.deriver?.name, "curl");
  assert.equal(toHex(sent.narinfo!.deriver!.digest), "8a12321522fd91efbd60ebb2481af88580f61600");
  assert.equal(sent.narinfo?.ca?.type, 6);
});

Deno.test("PathInfo: what is not known to the message stays behind", () => {
  const info = { ...FULL, unclaimedReferences: ["0".repeat(32)], registeredAt: 5 };
  assert.deepEqual(decodePathInfo(encodePathInfo(info)), FULL);
});

Deno.test("PathInfo: what is read shares no bytes with the input", () => {
  const bytes = encodePathInfo(FULL);
  const info = decodePathInfo(bytes);
  bytes.fill(0);
  assert.deepEqual(info, FULL);
});

Deno.test("PathInfo: without narinfo", () => {
  refuses(() => decodePathInfo(message({ narinfo: undefined })), /no narinfo/);
  refuses(() => decodePathInfo(EMPTY), /no narinfo/);
});

Deno.test("PathInfo: references of another length than 20 bytes", () => {
  for (const length of [0, 2, 19, 21]) {
    const references = [ZERO_20, new Uint8Array(length)];
    const bytes = message({ references }, { referenceNames: [BASE, BASE] });
    refuses(() => decodePathInfo(bytes), new RegExp(`reference 1 has ${length} bytes, want 20`));
  }
});

Deno.test("PathInfo: another number of reference names than of references", () => {
  for (const referenceNames of [[], [BASE, BASE]]) {
    const reason = new RegExp(`1 references but ${referenceNames.length} names`);
    refuses(() => decodePathInfo(message({}, { referenceNames })), reason);
  }
});

Deno.test("PathInfo: reference names that are no store path", () => {
  const names = [
    `/nix/store/${BASE}`,
    "",
    "dummy",
    BASE.slice(0, 32),
    `${BASE}/bin`,
    BASE.replace("-dummy", "-"),
    "00bgd045z0d4icpbc2yyz4gx48aku4la-net-tools",
    `${BASE} ${BASE}`,
    `${BASE}\n`,
  ];
  for (const name of names) {
    refuses(() => decodePathInfo(message({}, { referenceNames: [name] })), /the name of reference 0/);
  }
});

Deno.test("PathInfo: a reference name with another hash part than its reference", () => {
  const digest = ZERO_20.slice();
  digest[0] = 1;
  refuses(() => decodePathInfo(message({ references: [digest] })), /reference 0 is 0{31}1, .* says 0{32}/);
});

Deno.test("PathInfo: without an entry, or with an empty one", () => {
  refuses(() => decodePathInfo(message({ entry: undefined })), /no entry/);
  refuses(() => decodePathInfo(message({ entry: {} })), /neither directory, file nor symlink/);
});

const NODES: [string, (name: Bytes) => Init["entry"]][] = [
  ["directory", (name) => ({ entry: { case: "directory", value: { name, digest: ZERO_32 } } })],
  ["file", (name) => ({ entry: { case: "file", value: { name, digest: ZERO_32 } } })],
  ["symlink", (name) => ({ entry: { case: "symlink", value: { name, target: fromText("t") } } })],
];

for (const [kind, entry] of NODES) {
  Deno.test(`PathInfo: a ${kind} must be named by a store path`, () => {
    assert.equal(decodePathInfo(message({ entry: entry(fromText(BASE)) })).node.type, kind);
    const names = ["invalid", "dummy", `${BASE.slice(0, 31)}-dummy`, "..."].map((name) => fromText(name));
    for (const name of [...names, concat([fromText(BASE), fromHex("ff")])]) {
      refuses(() => decodePathInfo(message({ entry: entry(name) })), /is not that of a store path/);
    }
    for (const name of [EMPTY, fromText("."), fromText(`/nix/store/${BASE}`)]) {
      refuses(() => decodePathInfo(message({ entry: entry(name) })), /Cannot use the entry name/);
    }
  });
}

Deno.test("PathInfo: an unlawful root node", () => {
  const name = fromText(BASE);
  for (const digest of [EMPTY, new Uint8Array(31), new Uint8Array(33)]) {
    const folder: Init["entry"] = { entry: { case: "directory", value: { name, digest } } };
    refuses(() => decodePathInfo(message({ entry: folder })), /digest of the entry/);
    const file: Init["entry"] = { entry: { case: "file", value: { name, digest } } };
    refuses(() => decodePathInfo(message({ entry: file })), /digest of the entry/);
  }
  const symlink: Init["entry"] = { entry: { case: "symlink", value: { name, target: EMPTY } } };
  refuses(() => decodePathInfo(message({ entry: symlink })), /symlink target/);
});

Deno.test("PathInfo: a NAR hash of another length than 32 bytes", () => {
  for (const length of [0, 31, 33]) {
    const bytes = message({}, { narSha256: new Uint8Array(length) });
    refuses(() => decodePathInfo(bytes), new RegExp(`NAR hash has ${length} bytes, want 32`));
  }
});

Deno.test("PathInfo: a NAR of 2^53 bytes or more", () => {
  refuses(() => decodePathInfo(message({}, { narSize: 1n << 53n })), /NAR size is 9007199254740992/);
});

Deno.test("PathInfo: the deriver loses .drv on the wire only", () => {
  const deriver = { name: "foo", digest: ZERO_20 };
  const expected = { hashPart: "0".repeat(32), name: "foo.drv" };
  assert.deepEqual(decodePathInfo(message({}, { deriver })).deriver, expected);
  // A derivation made by a derivation.
  const twice = decodePathInfo(message({}, { deriver: { name: "foo.drv", digest: ZERO_20 } }));
  assert.equal(twice.deriver?.name, "foo.drv.drv");
  assert.equal(fromBinary(PathInfoSchema, encodePathInfo(twice)).narinfo?.deriver?.name, "foo.drv");
});

Deno.test("PathInfo: unlawful derivers, also without any reference", () => {
  const derivers = [
    { name: "foo", digest: EMPTY },
    { name: "foo", digest: new Uint8Array(19) },
    { name: "foo", digest: ZERO_32 },
    { name: "", digest: ZERO_20 },
    { name: "a/b", digest: ZERO_20 },
    { name: "a b", digest: ZERO_20 },
    { name: "a".repeat(208), digest: ZERO_20 },
  ];
  for (const deriver of derivers) {
    refuses(() => decodePathInfo(message({}, { deriver })), /the deriver's/);
    refuses(
      () => decodePathInfo(message({ references: [] }, { referenceNames: [], deriver })),
      /the deriver's/,
    );
  }
  const longest = message({}, { deriver: { name: "a".repeat(207), digest: ZERO_20 } });
  assert.equal(decodePathInfo(longest).deriver?.name.length, 211);
});

Deno.test("PathInfo: a deriver that does not end in .drv is not written", () => {
  for (const name of ["foo", "foo.drv.chroot", ".drv", "drv"]) {
    const deriver = { hashPart: "0".repeat(32), name };
    refuses(() => encodePathInfo({ ...DUMMY, deriver }), /Cannot write PathInfo: its deriver/);
    refuses(() => encodeStoredPath({ ...DUMMY, deriver }), /Cannot write PathInfo: its deriver/);
  }
});

Deno.test("PathInfo: signatures need 64 bytes and a name that can stand in a narinfo", () => {
  const good = { name: "a", data: new Uint8Array(64) };
  assert.deepEqual(decodePathInfo(message({}, { signatures: [good, good] })).signatures, [good, good]);
  for (const length of [0, 32, 63, 65]) {
    const signatures = [good, { name: "a", data: new Uint8Array(length) }];
    const reason = new RegExp(`signature 1 has ${length} bytes, want 64`);
    refuses(() => decodePathInfo(message({}, { signatures })), reason);
  }
  for (const name of ["", "a:b", "a b", "a\nURL: x", "a\r"]) {
    const signatures = [{ name, data: good.data }];
    refuses(() => decodePathInfo(message({}, { signatures })), /signature 0: .*name/);
  }
});

const CONTENT_ADDRESSES: [number, string, number][] = [
  [0, "fixed:r:sha256:", 32],
  [1, "fixed:r:sha1:", 20],
  [2, "fixed:r:sha512:", 64],
  [3, "fixed:r:md5:", 16],
  [4, "text:sha256:", 32],
  [5, "fixed:sha1:", 20],
  [6, "fixed:md5:", 16],
  [7, "fixed:sha256:", 32],
  [8, "fixed:sha512:", 64],
];

for (const [type, text, length] of CONTENT_ADDRESSES) {
  Deno.test(`PathInfo: content address ${type} is ${text}`, () => {
    const digest = new Uint8Array(length).fill(type);
    const info = decodePathInfo(message({}, { ca: { type, digest } }));
    const zeros = "0".repeat(Math.ceil(length * 8 / 5));
    assert.equal(formatContentAddress({ ...info.ca!, digest: new Uint8Array(length) }), text + zeros);
    assert.deepEqual(info.ca?.digest, digest);
    assert.deepEqual({ ...fromBinary(PathInfoSchema, encodePathInfo(info)).narinfo?.ca }, {
      $typeName: "snix.store.v1.NARInfo.CA",
      type,
      digest,
    });
    for (const wrong of [0, length - 1, length + 1]) {
      const ca = { type, digest: new Uint8Array(wrong) };
      refuses(() => decodePathInfo(message({}, { ca })), new RegExp(`has ${wrong} bytes, want ${length}`));
    }
  });
}

Deno.test("PathInfo: content addresses of unknown kinds", () => {
  for (const type of [9, -1, 1000]) {
    refuses(() => decodePathInfo(message({}, { ca: { type, digest: ZERO_32 } })), /unknown kind/);
  }
  const ca: ContentAddress = { method: "text", algorithm: "sha512", digest: new Uint8Array(64) };
  refuses(() => encodePathInfo({ ...DUMMY, ca }), /Cannot write PathInfo: .* text with sha512/);
});

Deno.test("PathInfo: text of a digest where its bytes belong is refused", () => {
  const digest = fromText("sha256-" + "0".repeat(52));
  refuses(() => decodePathInfo(message({}, { ca: { type: 0, digest } })), /has 59 bytes, want 32/);
});

Deno.test("PathInfo: faults are named in a fixed order", () => {
  let init: Omit<Init, "$typeName"> = { references: [EMPTY], entry: undefined, narinfo: undefined };
  let narInfo: Omit<NarInfoInit, "$typeName"> = {
    narSha256: EMPTY,
    referenceNames: [],
    deriver: {},
    signatures: [{}],
    ca: { type: 9 as number },
  };
  const steps: [RegExp, () => void][] = [
    [/no narinfo/, () => delete init.narinfo],
    [/reference 0 has 0 bytes/, () => init = { ...init, references: [ZERO_20.slice().fill(1)] }],
    [/1 references but 0 names/, () => narInfo = { ...narInfo, referenceNames: ["x"] }],
    [/the name of reference 0/, () => narInfo = { ...narInfo, referenceNames: [BASE] }],
    [/reference 0 is /, () => init = { ...init, references: [ZERO_20] }],
    [/no entry/, () => init = { ...init, entry: {} }],
    [/neither directory, file nor symlink/, () => init = { ...init, entry: NODES[2][1](fromText("x")) }],
    [/is not that of a store path/, () => init = { ...init, entry: NODES[2][1](fromText(BASE)) }],
    [/NAR hash/, () => narInfo = { ...narInfo, narSha256: ZERO_32 }],
    [/deriver/, () => narInfo = { ...narInfo, deriver: { name: "d", digest: ZERO_20 } }],
    [/signature 0/, () => narInfo = { ...narInfo, signatures: [] }],
    [/unknown kind/, () => narInfo = { ...narInfo, ca: { type: 0 } }],
    [/content address .* has 0 bytes/, () => narInfo = { ...narInfo, ca: undefined }],
  ];
  for (const [reason, repair] of steps) {
    refuses(() => decodePathInfo(message(init, narInfo)), reason);
    repair();
  }
  assert.equal(decodePathInfo(message(init, narInfo)).storePath.name, "dummy");
});

Deno.test("PathInfo: broken messages are refused, unknown fields skipped", () => {
  const bytes = encodePathInfo(FULL);
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => decodePathInfo(bytes.slice(0, length)), FormatError, `cut at ${length}`);
  }
  refuses(() => decodePathInfo(fromHex("0f")), /not a protobuf message/);
  // A reference name that is not UTF-8.
  refuses(() => decodePathInfo(fromHex("1a032201ff")), /not a protobuf message/);
  assert.deepEqual(decodePathInfo(concat([bytes, fromHex("7a0161")])), FULL);
});
