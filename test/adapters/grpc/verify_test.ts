/** A remote that says what is not true: nothing of it is delivered. The servers here are made up. */
import assert from "node:assert/strict";
import type { ServiceImpl } from "@connectrpc/connect";
import type { Bytes } from "../../../src/bytes/bytes.ts";
import { fromText } from "../../../src/bytes/bytes.ts";
import { toHex } from "../../../src/bytes/hex.ts";
import { fromNixBase32 } from "../../../src/bytes/nixbase32.ts";
import type { BlobService as Blobs } from "../../../src/castore/blob_service.ts";
import { chunksOf } from "../../castore/_chunks.ts";
import { directoryToMessage } from "../../../src/castore/messages.ts";
import { directoryOf } from "../../../src/castore/directory.ts";
import { DamageError, FormatError, MissingError } from "../../../src/errors.ts";
import type { BlobService } from "../../../src/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { outboardOf } from "../../../src/hash/bao.ts";
import { blake3 } from "../../../src/hash/blake3.ts";
import { parseStorePathBase } from "../../../src/nix/store_path.ts";
import { pathInfoToMessage } from "../../../src/store/messages.ts";
import { pattern } from "../../contract/_byte_store_samples.ts";
import { A, B, D, file, folder, type KnownDirectory, WITH_KEEP } from "../../contract/_castore_samples.ts";
import { blobServiceContract } from "../../contract/blob_service.ts";
import { testContract } from "../../contract/run.ts";
import { notFound, openMadeUp } from "./_remotes.ts";

type BlobMethods = ServiceImpl<typeof BlobService>;

/** Methods of a server that holds blobs, does not split them and reads in messages of 4 KiB. */
function unsplit(blobs: Map<string, Bytes> = new Map()): BlobMethods {
  const find = (digest: Uint8Array) => {
    const bytes = blobs.get(toHex(digest));
    if (!bytes) throw notFound();
    return bytes;
  };
  return {
    stat: ({ digest }) => (find(digest), {}),
    async *read({ digest }) {
      const bytes = find(digest);
      for (let at = 0; at < bytes.length; at += 4096) yield await { data: bytes.subarray(at, at + 4096) };
    },
    async put(messages) {
      const parts: number[] = [];
      for await (const { data } of messages) for (const byte of data) parts.push(byte);
      const bytes = Uint8Array.from(parts);
      const digest = blake3(bytes);
      blobs.set(toHex(digest), bytes);
      return { digest };
    },
  };
}

/** Methods of a server that holds one blob and its chunks, or what it gives for them. */
function split(
  blob: Bytes,
  given: (digest: string, bytes: Bytes) => Bytes | undefined = (_, bytes) => bytes,
) {
  const chunks = [...chunksOf(blob)].map((bytes) => ({ bytes, digest: blake3(bytes) }));
  const held = new Map(
    [...chunks, { bytes: blob, digest: blake3(blob) }].map((c) => [toHex(c.digest), c.bytes]),
  );
  return {
    stat: () => ({ chunks: chunks.map(({ digest, bytes }) => ({ digest, size: BigInt(bytes.length) })) }),
    async *read({ digest }) {
      const bytes = given(toHex(digest), held.get(toHex(digest))!);
      if (!bytes) throw notFound();
      for (let at = 0; at < bytes.length; at += 100_000) {
        yield await { data: bytes.subarray(at, at + 100_000) };
      }
    },
  } satisfies Partial<BlobMethods>;
}

const flipped = (bytes: Bytes, at: number) => {
  const copy = bytes.slice();
  copy[at] ^= 1;
  return copy;
};

/** Reads a blob until it fails; returns what was delivered. */
async function readUntilDamage(blobs: Blobs, digest: Bytes, range?: { start: number; end: number }) {
  const pieces: Bytes[] = [];
  await assert.rejects(async () => {
    for await (const piece of (await blobs.open(digest, { range }))!) pieces.push(piece);
  }, DamageError);
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

const slowContract = blobServiceContract.filter(({ name }) => !/many blobs|however it is cut/.test(name));
testContract("blobs over a server that does not split", slowContract, () => {
  return Promise.resolve({ ...openMadeUp({ blobs: unsplit() }), [Symbol.asyncDispose]: async () => {} });
});

Deno.test("a short blob with other bytes, more or fewer is a DamageError", async () => {
  const bytes = pattern(5000);
  const digest = blake3(bytes);
  for (const lie of [flipped(bytes, 4999), bytes.subarray(1), pattern(5001), new Uint8Array(0)]) {
    const { blobs } = openMadeUp({ blobs: unsplit(new Map([[toHex(digest), lie]])) });
    await assert.rejects(blobs.open(digest), DamageError);
    await assert.rejects(blobs.open(digest, { range: { start: 0, end: 1 } }), DamageError);
    await assert.rejects(blobs.chunks(digest), DamageError);
  }
});

Deno.test("of a chunk with other bytes nothing is delivered, of those before it all is", async () => {
  const bytes = pattern(3_000_000);
  const digest = blake3(bytes);
  const chunks = [...chunksOf(bytes)];
  const third = toHex(blake3(chunks[2]));
  const before = chunks[0].length + chunks[1].length;
  const lies: ((bytes: Bytes) => Bytes | undefined)[] = [
    (bytes) => flipped(bytes, bytes.length - 1),
    (bytes) => bytes.subarray(1),
    () => pattern(2_000_000),
    () => undefined,
  ];
  for (const lie of lies) {
    const { blobs } = openMadeUp({ blobs: split(bytes, (name, held) => name === third ? lie(held) : held) });
    assert.equal(await readUntilDamage(blobs, digest), before);
    const range = { start: 10, end: before };
    assert.deepEqual(await (await blobs.open(digest, { range }))!.bytes(), bytes.slice(10, before));
  }
});

Deno.test("chunks of another blob are noticed before the last of them is delivered", async () => {
  const [bytes, other] = [pattern(3_000_000, 1), pattern(3_000_000, 2)];
  const { blobs } = openMadeUp({ blobs: { ...split(other), read: readOf(other, bytes) } });
  const delivered = await readUntilDamage(blobs, blake3(bytes));
  assert.ok(delivered < bytes.length, `${delivered} bytes were delivered`);
});

/** Gives the head of one blob and the chunks of another. */
function readOf(chunked: Bytes, blob: Bytes): BlobMethods["read"] {
  const { read } = split(chunked);
  return async function* (request, context) {
    if (toHex(request.digest) !== toHex(blake3(blob))) yield* read(request);
    else for (let at = 0; at < chunked.length; at += 65536) yield { data: chunked.subarray(at, at + 65536) };
    context.signal.throwIfAborted();
  };
}

const OUTBOARD_BYTES = pattern(3_000_000, 1);
const { digest: OUTBOARD_DIGEST, outboard: OUTBOARD } = await outboardOf(OUTBOARD_BYTES);

/** A server of that blob that sends its outboard, or another, to who asks. */
function proving(methods: ReturnType<typeof split>, bao = OUTBOARD) {
  return {
    ...methods,
    stat: ({ sendBao }: { sendBao: boolean }) => ({ ...methods.stat(), bao: sendBao ? bao : undefined }),
  };
}

Deno.test("with an outboard any range is verified and given, whatever its ends are", async () => {
  const { blobs } = openMadeUp({ blobs: proving(split(OUTBOARD_BYTES)) });
  const { length } = OUTBOARD_BYTES;
  const [first] = [...chunksOf(OUTBOARD_BYTES)];
  for (const start of [0, 1, 16383, 16384, 600_000, first.length - 1, first.length, length - 1, length]) {
    for (const end of [start, start + 1, start + 16384, start + 700_000, length - 1, length, length + 9]) {
      if (end < start) continue;
      const reader = (await blobs.open(OUTBOARD_DIGEST as Bytes, { range: { start, end } }))!;
      assert.equal(reader.size, length);
      assert.deepEqual(await reader.bytes(), OUTBOARD_BYTES.slice(start, end), `${start} to ${end}`);
    }
  }
  assert.deepEqual(await blobs.outboard(OUTBOARD_DIGEST as Bytes), OUTBOARD);
});

Deno.test("the chunks of another blob are noticed in any range of it, if there is an outboard", async () => {
  const other = OUTBOARD_BYTES.slice();
  other.set(other.subarray(1_100_000, 1_500_000), 1_000_000); // the same length, and the same beginning and end
  const range = { start: 1_200_000, end: 1_200_100 };
  const lying = split(other);
  const trusting = openMadeUp({ blobs: lying }).blobs; // a server without outboards is believed
  assert.deepEqual(
    await (await trusting.open(OUTBOARD_DIGEST as Bytes, { range }))!.bytes(),
    other.slice(range.start, range.end),
  );
  const { blobs } = openMadeUp({ blobs: proving(lying) });
  assert.equal(await readUntilDamage(blobs, OUTBOARD_DIGEST as Bytes, range), 0);
  const sound = await blobs.open(OUTBOARD_DIGEST as Bytes, { range: { start: 2_500_000, end: 2_999_999 } });
  assert.deepEqual(await sound!.bytes(), OUTBOARD_BYTES.slice(2_500_000, 2_999_999));
  const long = { start: 700_000, end: 2_999_999 };
  const delivered = await readUntilDamage(blobs, OUTBOARD_DIGEST as Bytes, long);
  assert.ok(delivered <= 300_000, `${delivered} bytes were delivered`);
});

Deno.test("an outboard that is not the blob's is a DamageError", async () => {
  const range = { start: 1_000_000, end: 1_000_010 };
  const lies = [flipped(OUTBOARD as Bytes, 0), OUTBOARD.slice(64), new Uint8Array(OUTBOARD.length)];
  for (const lie of lies) {
    const { blobs } = openMadeUp({ blobs: proving(split(OUTBOARD_BYTES), lie) });
    await assert.rejects(async () => {
      await (await blobs.open(OUTBOARD_DIGEST as Bytes, { range }))!.bytes();
    }, DamageError);
    await assert.rejects(blobs.outboard(OUTBOARD_DIGEST as Bytes), DamageError);
  }
  // One parent that the range does not need, but who asks for all of it does.
  const last = openMadeUp({
    blobs: proving(split(OUTBOARD_BYTES), flipped(OUTBOARD as Bytes, OUTBOARD.length - 1)),
  });
  const reader = await last.blobs.open(OUTBOARD_DIGEST as Bytes, { range });
  assert.deepEqual(await reader!.bytes(), OUTBOARD_BYTES.slice(range.start, range.end));
  await assert.rejects(last.blobs.outboard(OUTBOARD_DIGEST as Bytes), DamageError);
});

Deno.test("of a server without outboards the blob is read for one", async () => {
  for (
    const methods of [split(OUTBOARD_BYTES), unsplit(new Map([[toHex(OUTBOARD_DIGEST), OUTBOARD_BYTES]]))]
  ) {
    const { blobs } = openMadeUp({ blobs: methods });
    assert.deepEqual(await blobs.outboard(OUTBOARD_DIGEST as Bytes), OUTBOARD);
  }
});

Deno.test("a list of chunks that cannot be one is a DamageError", async () => {
  const bytes = pattern(1_000_000);
  const lists = [
    [{ digest: new Uint8Array(31), size: 1_000_000n }],
    [{ digest: blake3(bytes), size: 0n }],
    [{ digest: blake3(bytes), size: (1n << 64n) - 1n }],
  ];
  for (const chunks of lists) {
    const { blobs } = openMadeUp({ blobs: { ...split(bytes), stat: () => ({ chunks }) } });
    await assert.rejects(blobs.open(blake3(bytes)), DamageError);
    await assert.rejects(blobs.chunks(blake3(bytes)), DamageError);
  }
});

Deno.test("a long blob that is not split and changes between two reads is a DamageError", async () => {
  const bytes = pattern(2_000_000);
  const digest = blake3(bytes);
  const lies = [
    flipped(bytes, 1_100_000),
    bytes.subarray(0, 1_048_576),
    bytes.subarray(0, 1_500_000),
    pattern(2_000_001),
  ];
  for (const lie of lies) {
    const held = new Map([[toHex(digest), bytes]]);
    const { blobs } = openMadeUp({ blobs: unsplit(held) });
    assert.equal((await blobs.open(digest))!.size, bytes.length); // measured now
    held.set(toHex(digest), lie);
    const delivered = await readUntilDamage(blobs, digest);
    assert.ok(delivered <= 1_572_864, `${delivered} bytes were delivered`);
    assert.equal(delivered % 524288, 0);
  }
});

Deno.test("a long blob that is not split and never was what it should be is a DamageError", async () => {
  const digest = blake3(pattern(2_000_000));
  const held = new Map([[toHex(digest), pattern(2_000_000, 1)]]);
  const { blobs } = openMadeUp({ blobs: unsplit(held) });
  await assert.rejects(blobs.open(digest), DamageError);
  await assert.rejects(blobs.chunks(digest), DamageError);
});

Deno.test("a digest that is not that of what was sent is an error", async () => {
  const blobs: BlobMethods = {
    ...unsplit(),
    async put(messages) {
      for await (const _ of messages);
      return { digest: new Uint8Array(32) };
    },
  };
  const remote = openMadeUp({ blobs });
  await assert.rejects(remote.blobs.put(pattern(10)), DamageError);
  const stream = async function* () {
    for (let i = 0; i < 30; i++) yield await pattern(100_000, i);
  };
  await assert.rejects(remote.blobs.put(stream()), DamageError);
});

/** A server that answers with these Directories, whatever it is asked for. */
function giving(...list: KnownDirectory[]) {
  return openMadeUp({
    directories: {
      async *get() {
        for (const { directory } of list) yield await directoryToMessage(directory);
      },
      put: async (messages) => {
        for await (const _ of messages);
        return { rootDigest: A.digest };
      },
    },
  }).directories;
}

Deno.test("a Directory that was not asked for is a DamageError", async () => {
  await assert.rejects(giving(B).get(A.digest), DamageError);
  assert.equal(await giving().get(A.digest), undefined);
  await assert.rejects(Array.fromAsync(giving(B).getClosure(A.digest)), DamageError);
});

Deno.test("in a closure nothing may be unexpected or missing", async () => {
  assert.deepEqual(await Array.fromAsync(giving().getClosure(D.digest)), []);
  const digests = async (list: KnownDirectory[]) => {
    return (await Array.fromAsync(giving(...list).getClosure(list[0].digest))).map(({ digest }) => digest);
  };
  assert.deepEqual(await digests([D, B, A]), [D.digest, B.digest, A.digest]);
  assert.deepEqual(
    await digests([D, B, A, A, B]),
    [D.digest, B.digest, A.digest],
    "what comes twice is given once",
  );
  await assert.rejects(digests([D, B, A, WITH_KEEP]), DamageError);
  await assert.rejects(digests([B, D]), DamageError);
  await assert.rejects(digests([D, B]), MissingError);
});

Deno.test("an unlawful Directory is a DamageError, and so is another root for one that was put", async () => {
  const unlawful = {
    files: [{ name: fromText("a/b"), digest: new Uint8Array(32), size: 0n, executable: false }],
  };
  const { directories } = openMadeUp({
    directories: {
      async *get() {
        yield await unlawful;
      },
    },
  });
  await assert.rejects(directories.get(A.digest), DamageError);
  await assert.rejects(Array.fromAsync(directories.getClosure(A.digest)), DamageError);
  await assert.rejects(giving().putClosure([A.directory, B.directory]), DamageError);
});

Deno.test("a wrong closure is a FormatError before the server is asked, a long one too", async () => {
  let asked = 0;
  const { directories } = openMadeUp({
    directories: {
      async put(messages) {
        asked++;
        for await (const _ of messages);
        return { rootDigest: A.digest };
      },
    },
  }, { era: "snix" });
  await assert.rejects(directories.putClosure([B.directory]), FormatError);
  await assert.rejects(directories.putClosure([]), FormatError);
  assert.equal(asked, 0);
  const long = Array.from({ length: 400 }, (_, i) => {
    const items = Array.from({ length: 60 }, (_, k) => file(`${k}-`.padEnd(200, "n"), A.digest, i));
    return directoryOf(items);
  });
  await assert.rejects(directories.putClosure([...long, B.directory]), FormatError);
});

Deno.test("a path info of another path, or one that is unlawful, is a DamageError", async () => {
  const asked = "00bgd045z0d4icpbc2yyz4gx48ak44la";
  const info = {
    storePath: parseStorePathBase("y7j0h1s346m08pya3s42nhmx0j0mqidh-foo"),
    node: folder("", A.digest, 0n).node,
    references: [],
    narSha256: new Uint8Array(32),
    narSize: 1,
    signatures: [],
    unclaimedReferences: [],
    registeredAt: 0,
  };
  const message = pathInfoToMessage(info);
  for (const given of [message, { ...message, narinfo: undefined }]) {
    const { pathInfos } = openMadeUp({
      pathInfos: {
        get: () => given,
        put: () => given,
        async *list() {
          yield await given;
        },
      },
    });
    await assert.rejects(pathInfos.get(asked), DamageError);
    await assert.rejects(
      pathInfos.put({ ...info, storePath: parseStorePathBase(`${asked}-a`) }),
      DamageError,
    );
    if (!given.narinfo) await assert.rejects(Array.fromAsync(pathInfos.list()), DamageError);
  }
  assert.equal(fromNixBase32(asked).length, 20);
});
