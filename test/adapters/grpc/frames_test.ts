/** Blobs of a remote as zstd frames: asked for and given where both ends can, and nothing but what their digests say. */
import assert from "node:assert/strict";
import { openFrameDecoder } from "../../../src/adapters/codecs/frame_decoder.ts";
import { openGrpc } from "../../../src/adapters/grpc/open_grpc.ts";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { nativeFrames } from "../../../src/adapters/native/frames.ts";
import { openFrames } from "../../../src/cli/frames.ts";
import { type Bytes, concat, EMPTY, fromText } from "../../../src/bytes/bytes.ts";
import { rawFrame } from "../../../src/bytes/zstd_frame.ts";
import { indexOver } from "../../../src/combinators/pack_index.ts";
import { openPacked } from "../../../src/combinators/packed.ts";
import { DamageError } from "../../../src/errors.ts";
import { blake3 } from "../../../src/hash/blake3.ts";
import { type Services, servicesOver } from "../../../src/store/services.ts";
import { pattern } from "../../contract/_byte_store_samples.ts";
import { HOMES } from "../../castore/_homes.ts";
import { blobServiceContract } from "../../contract/blob_service.ts";
import { testContract } from "../../contract/run.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { noise } from "../../server/_site.ts";
import {
  firnHandlers,
  openMadeUp,
  openRemote,
  type Protocol,
  type TransportOptions,
  transportTo,
} from "./_remotes.ts";

const decoder = await openFrameDecoder();
const encoder = openFrames({ level: 1, workers: 0 }).encoder!;

const WORDS = fromText(Array.from({ length: 40_000 }, (_, i) => `line ${i} of a text, all alike\n`).join(""));
const NOISE = noise(700_000, 5);
const BLOBS = [EMPTY, WORDS.subarray(0, 3000), NOISE.subarray(0, 3000), WORDS, NOISE, concat([WORDS, NOISE])];

/** Services over packs in memory that are compressed. */
async function openCompressed(): Promise<Services & AsyncDisposable> {
  const names = openMemory();
  const bytes = await openPacked({
    bytes: openMemory(),
    names,
    index: await indexOver(openMemory()),
    frames: { decoder: nativeFrames, encoder },
  });
  const close = async () => await bytes[Symbol.asyncDispose]();
  return { ...servicesOver({ names, bytes }), [Symbol.asyncDispose]: close };
}

/** Counts the bytes of answers. */
class Weighed {
  bytes = 0;
  readonly wrap: TransportOptions["wrap"] = (client) => async (request) => {
    const response = await client(request);
    const body = async function* (weighed: Weighed) {
      for await (const piece of response.body ?? []) {
        weighed.bytes += piece.length;
        yield piece;
      }
    };
    return {
      ...response,
      get trailer() {
        return response.trailer;
      },
      body: body(this),
    };
  };
}

for (const protocol of ["grpc", "grpc-web", "connect"] as Protocol[]) {
  for (const era of ["snix", "tvix"] as const) {
    testContract(`blobs as frames over ${protocol}, ${era}`, blobServiceContract, async () => {
      const services = await openCompressed();
      const close = () => services[Symbol.asyncDispose]();
      return { ...openRemote({ protocol, era, decoder, services }), [Symbol.asyncDispose]: close };
    });
  }

  Deno.test(`blobs over ${protocol} move as they are stored, where both ends can`, async () => {
    await using services = await openCompressed();
    const weigh = async (options: Parameters<typeof openRemote>[0]) => {
      const weighed = new Weighed();
      const { blobs } = openRemote({ protocol, services, ...options, wrap: weighed.wrap });
      for (const blob of BLOBS) {
        const { digest } = await services.blobs.put(blob);
        assert.deepEqual(await (await blobs.open(digest))!.bytes(), blob);
      }
      return weighed.bytes;
    };
    const [framed, plain] = [await weigh({ decoder }), await weigh({})];
    assert.ok(framed < plain * 0.7, `${framed} bytes as frames, ${plain} plain`);
    const raw = servicesOver({ names: openMemory(), bytes: openMemory() });
    for (const blob of BLOBS) await raw.blobs.put(blob);
    const old = await weigh({ decoder, services: { ...services, blobs: raw.blobs } });
    assert.ok(Math.abs(old - plain) < plain * 0.01, `${old} bytes of a store without frames, ${plain} plain`);
  });
}

Deno.test("a remote gives chunks as they are stored there, to who serves them on", async () => {
  await using services = await openCompressed();
  const { blobs } = openRemote({ services, decoder });
  const digests: Bytes[] = [];
  for (const blob of BLOBS) digests.push((await services.blobs.put(blob)).digest);
  const absent = blake3(fromText("nobody has this"));
  const asked = [...digests.slice(0, 3), absent, digests[3]];
  const [empty, words, rough, nothing, long] = await blobs.getStored!(asked);
  const [own] = await services.blobs.getStored!([digests[1]]);
  assert.deepEqual(empty, { bytes: EMPTY, frame: false, size: 0 });
  assert.deepEqual(words, own);
  assert.equal(words!.frame, true);
  assert.deepEqual(rough, { bytes: BLOBS[2], frame: false, size: BLOBS[2].length });
  assert.equal(nothing, undefined);
  assert.equal(long, undefined, "a blob of several chunks is none");
  // One more server between, which has nothing but the remote.
  const far = { ...services, blobs };
  const behind = openGrpc(transportTo(firnHandlers(far)), { decoder });
  assert.deepEqual(await (await behind.blobs.open(digests[5]))!.bytes(), BLOBS[5]);
  assert.equal(openRemote({ services }).blobs.getStored, undefined, "without a decoder there is none");
});

testNeeding(permissions)(
  "a frame that is damaged where it is stored is a DamageError here, in the middle of a blob, too",
  async () => {
    const home = HOMES.find(({ name }) => name === "folder, compressed")!;
    await using services = await home.open();
    const { blobs } = openRemote({ services, decoder, retries: 0 });
    const { digest } = await services.blobs.put(WORDS);
    const chunks = (await services.blobs.chunks(digest))!;
    const start = chunks.slice(0, -1).reduce((sum, { size }) => sum + size, 0);
    await services.corrupt(WORDS.slice(start));
    let read = 0;
    await assert.rejects(async () => {
      for await (const piece of (await blobs.open(digest))!) read += piece.length;
    }, DamageError);
    assert.ok(read <= start, `${read} bytes were given, ${start} are right`);
    await assert.rejects(blobs.open(chunks.at(-1)!.digest), DamageError);
    assert.ok(await blobs.open(chunks[0].digest), "the others are there");
  },
);

/** A remote that answers every read with these bytes as frames. */
function saying(...messages: Bytes[]) {
  return openMadeUp({
    blobs: {
      stat: () => ({}),
      async *read(_, { responseHeader }) {
        responseHeader.set("firn-blob-encoding", "zstd");
        for (const data of messages) yield await { data };
      },
    },
  }, { decoder, retries: 0 });
}

Deno.test("frames that are not what was asked for are a DamageError", async () => {
  const bytes = pattern(5000);
  const digest = blake3(bytes);
  const frame = rawFrame(bytes);
  const claim = (size: number) =>
    Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xa0, size, size >> 8, size >> 16, size >> 24, 1, 0, 0);
  const lies: Bytes[][] = [
    [],
    [bytes],
    [frame.subarray(0, -1)],
    [frame, Uint8Array.of(0)],
    [rawFrame(pattern(5001))],
    [rawFrame(bytes.subarray(1))],
    [frame, frame],
    [claim(5000)],
    [claim(2 ** 30)],
    [new Uint8Array(0), fromText("no frame at all")],
  ];
  for (const [i, lie] of lies.entries()) {
    const { blobs } = saying(...lie);
    await assert.rejects(blobs.open(digest), DamageError, `lie ${i}`);
    if (i !== 6) await assert.rejects(blobs.getStored!([digest]), DamageError, `lie ${i}, as stored`);
  }
  for (const messages of [[frame], [...frame].map((byte) => Uint8Array.of(byte))]) {
    assert.deepEqual(await (await saying(...messages).blobs.open(digest))!.bytes(), bytes);
  }
});

Deno.test("a remote that knows no frames is not harmed by being asked for them", async () => {
  const bytes = pattern(5000);
  const { blobs } = openMadeUp({
    blobs: {
      stat: () => ({}),
      async *read() {
        yield await { data: bytes };
      },
    },
  }, { decoder });
  assert.deepEqual(await (await blobs.open(blake3(bytes)))!.bytes(), bytes);
  assert.deepEqual(await blobs.getStored!([blake3(bytes)]), [{ bytes, frame: false, size: 5000 }]);
});
