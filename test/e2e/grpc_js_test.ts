/** grpc-js, the gRPC of Node, as a client of firn's native port. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import * as grpc from "@grpc/grpc-js";
import { createBLAKE3 } from "hash-wasm";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { concat, fromText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { collect } from "../../src/bytes/streams.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/gen/grpc/health/v1/health_pb.ts";
import { type Era, SNIX, TVIX } from "../../src/server/grpc/era.ts";
import { entryOf, pathInfoOf } from "../server/grpc/_calls.ts";
import * as given from "../server/grpc/_fixtures.ts";
import { GrpcJs } from "./grpc_js.ts";
import { grpcTest } from "./grpc_clients.ts";
import { type FirnServer, pause, within } from "./server.ts";

const MIB = 1024 * 1024;
const ERAS = [SNIX, TVIX];

/** Bytes without a pattern, the same for the same seed. */
function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0, state = seed; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

async function blake3(...pieces: Uint8Array[]): Promise<Uint8Array<ArrayBuffer>> {
  const hash = await createBLAKE3();
  for (const piece of pieces) hash.update(piece);
  return fromHex(hash.digest("hex"));
}

/** The bytes in messages of these sizes, over and over. */
function* inPieces(bytes: Uint8Array, sizes: number[]): Generator<{ data: Uint8Array }, void, void> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length];
    yield { data: bytes.subarray(at, at + size) };
    at += size;
  }
}

async function put(client: GrpcJs, era: Era, bytes: Uint8Array, sizes = [512 * 1024]): Promise<Uint8Array> {
  return (await client.send(era.blobService.method.put, inPieces(bytes, sizes))).message.digest;
}

async function read(client: GrpcJs, era: Era, digest: Uint8Array): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for await (const { data } of client.receive(era.blobService.method.read, { digest })) pieces.push(data);
  return concat(pieces);
}

/** The error of a call that must fail so. */
async function refused(
  call: Promise<unknown>,
  code: grpc.status,
  why: RegExp,
  what = `the call must fail: ${grpc.status[code]} ${why}`,
): Promise<grpc.ServiceError> {
  const error: grpc.ServiceError | undefined = await call.then(() => undefined, (error) => error);
  if (!error) assert.fail(what);
  assert.equal(grpc.status[error.code], grpc.status[code], error.details);
  assert.match(error.details, why);
  assert.doesNotMatch(error.details, /%[0-9A-F]{2}/, "a text, not its encoding");
  return error;
}

/** That a blob is not there. */
async function assertAbsent(client: GrpcJs, era: Era, digest: Uint8Array, what: string): Promise<void> {
  const call = client.unary(era.blobService.method.stat, { digest });
  await refused(call, grpc.status.NOT_FOUND, /blake3-/, what);
}

/** Declares a test for each package, with a server and a client. */
function eachEra(
  title: string,
  body: (client: GrpcJs, era: Era, server: FirnServer) => Promise<void>,
): void {
  for (const era of ERAS) {
    grpcTest(`grpc-js: ${title} (${era.name})`, async (server) => {
      using client = new GrpcJs(server.grpc);
      await body(client, era, server);
      assert.doesNotMatch(server.log, /^\s+at /m, "no stack in the log");
    });
  }
}

eachEra("calls of all kinds", async (client, era) => {
  const { blobService, directoryService, pathInfoService } = era;
  await assertAbsent(client, era, given.HELLO_DIGEST, "not put yet");
  assert.deepEqual(await put(client, era, given.HELLO, [5]), given.HELLO_DIGEST);
  const stat = await client.unary(blobService.method.stat, { digest: given.HELLO_DIGEST });
  assert.equal(stat.message.chunks.length, 0);
  assert.deepEqual(await read(client, era, given.HELLO_DIGEST), given.HELLO);
  await put(client, era, fromText(""), [1]);
  assert.equal((await read(client, era, given.EMPTY_DIGEST)).length, 0);

  const closure = [given.WITH_KEEP, given.complicated(1n)];
  const { message } = await client.send(directoryService.method.put, closure);
  assert.deepEqual(message.rootDigest, given.COMPLICATED_DIGEST);
  const byWhat = { case: "digest" as const, value: given.COMPLICATED_DIGEST };
  const directories = [];
  for await (const one of client.receive(directoryService.method.get, { byWhat, recursive: true })) {
    directories.push(one);
  }
  assert.deepEqual(directories.map((one) => one.directories.length), [1, 0], "the root first");

  const root = { digest: given.COMPLICATED_DIGEST, size: 4n, name: fromText("") };
  const nar = await client.unary(
    pathInfoService.method.calculateNAR,
    entryOf(era, { case: "directory", value: root }),
  );
  assert.equal(nar.message.narSize, given.COMPLICATED_NAR_SIZE);
  assert.deepEqual(nar.message.narSha256, given.COMPLICATED_NAR_SHA256);

  const info = pathInfoOf(
    era,
    { case: "directory", value: { ...root, name: fromText(given.DUMMY_NAME) } },
    { narinfo: { narSize: given.COMPLICATED_NAR_SIZE, narSha256: given.COMPLICATED_NAR_SHA256 } },
  );
  await client.unary(pathInfoService.method.put, info);
  const found = await client.unary(
    pathInfoService.method.get,
    { byWhat: { case: "byOutputHash", value: given.DUMMY_HASH } },
  );
  assert.equal(found.message.narinfo?.narSize, given.COMPLICATED_NAR_SIZE);
  let listed = 0;
  for await (const _ of client.receive(pathInfoService.method.list, {})) listed++;
  assert.equal(listed, 1);
});

eachEra("8 MiB in messages of odd sizes", async (client, era) => {
  const bytes = noise(8 * MIB + 13);
  const digest = await put(client, era, bytes, [0, 1, 7, 4093, 65_537, 999_983, 3 * MIB + 1, 5]);
  assert.equal(toHex(digest as Uint8Array<ArrayBuffer>), toHex(await blake3(bytes)));
  const { message } = await client.unary(era.blobService.method.stat, { digest });
  assert.ok(message.chunks.length > 1, "it has chunks");
  const sizes = message.chunks.map(({ size }) => Number(size));
  assert.equal(sizes.reduce((sum, size) => sum + size), bytes.length);
  assert.deepEqual(await read(client, era, digest), bytes);
  const [first] = message.chunks;
  assert.deepEqual(await read(client, era, first.digest), bytes.subarray(0, sizes[0]), "a chunk is a blob");
});

eachEra("a Read that is cancelled", async (client, era) => {
  const bytes = noise(16 * MIB);
  const digest = await put(client, era, bytes);
  for (let i = 0; i < 20; i++) {
    const call = client.receive(era.blobService.method.read, { digest });
    await assert.rejects(async () => {
      for await (const { data } of call) {
        assert.ok(data.length > 0);
        call.cancel();
      }
    }, { code: grpc.status.CANCELLED });
  }
  assert.deepEqual(await read(client, era, digest), bytes, "the connection goes on");
});

eachEra("a Put that is cancelled leaves nothing that can be seen", async (client, era, server) => {
  // More than is on its way at once: grpc-js ends a stream before it resets it, so what was sent whole counts as complete.
  const bytes = noise(24 * MIB, 2);
  const { call, write, answer } = client.open(era.blobService.method.put);
  for (const piece of inPieces(bytes, [MIB])) write(piece);
  await pause(20);
  call.cancel();
  await refused(answer, grpc.status.CANCELLED, /./);
  await pause(300);
  for (let end = 0; end <= bytes.length; end += MIB) {
    const digest = await blake3(bytes.subarray(0, end));
    await assertAbsent(client, era, digest, `the first ${end} bytes of a Put became a blob`);
  }
  assert.doesNotMatch(server.log, /failed|Internal/, "nobody's fault");
});

eachEra("a deadline ends a Put that stalls", async (client, era) => {
  const { write, answer } = client.open(era.blobService.method.put, { deadlineMs: 500 });
  write({ data: given.HELLO });
  const started = performance.now();
  await refused(answer, grpc.status.DEADLINE_EXCEEDED, /./);
  assert.ok(performance.now() - started < 20_000);
  const late = client.unary(era.blobService.method.stat, { digest: given.ABSENT }, { deadlineMs: -1 });
  await refused(late, grpc.status.DEADLINE_EXCEEDED, /./);
});

eachEra("errors keep their code, their message and the name of their class", async (client, era) => {
  const { stat } = era.blobService.method;
  const missing = await refused(
    client.unary(stat, { digest: given.ABSENT }),
    grpc.status.NOT_FOUND,
    /blake3-BwcH/,
  );
  assert.deepEqual(missing.metadata.get("firn-error"), ["MissingError"]);
  const short = await refused(
    client.unary(stat, { digest: fromHex("01") }),
    grpc.status.INVALID_ARGUMENT,
    /32/,
  );
  assert.deepEqual(short.metadata.get("firn-error"), ["FormatError"]);
  const service = 'jiný — 100% ☃ 雪\n"x"';
  const unknown = await refused(client.unary(Health.method.check, { service }), grpc.status.NOT_FOUND, /雪/);
  assert.ok(unknown.details.includes(JSON.stringify(service)), unknown.details);
  const nowhere = client.raw(`/${era.blobService.typeName}/Nothing`, fromHex(""));
  await refused(nowhere, grpc.status.UNIMPLEMENTED, /Nothing/);
  const cut: grpc.ServiceError = await client.raw(`/${era.blobService.typeName}/Stat`, fromHex("0aff")).then(
    () => assert.fail("a message that is cut off must be refused"),
    (error) => error,
  );
  const { INTERNAL, INVALID_ARGUMENT } = grpc.status; // implementations differ
  assert.ok([INTERNAL, INVALID_ARGUMENT].includes(cut.code), `${cut.code} ${cut.details}`);
});

eachEra("a message over 4 MiB is refused, and the connection goes on", async (client, era, server) => {
  await refused(
    client.send(era.blobService.method.put, [{ data: noise(5 * MIB) }]),
    grpc.status.RESOURCE_EXHAUSTED,
    /5242\d{3} bytes.*4194304/,
  );
  assert.deepEqual(await put(client, era, given.HELLO), given.HELLO_DIGEST);
  await put(client, era, noise(4 * MIB - 16), [4 * MIB - 16]);
  assert.doesNotMatch(server.log, /failed|Internal/, server.log);
});

eachEra("metadata of the client's own is no obstacle", async (client, era) => {
  const metadata = new grpc.Metadata();
  metadata.set("authorization", "Bearer nobody");
  metadata.set("trace-bin", Buffer.from(noise(300)));
  for (let i = 0; i < 30; i++) metadata.add("x-many", `value ${i} ${"v".repeat(100)}`);
  await client.send(era.blobService.method.put, [{ data: given.HELLO }], { metadata });
  const { message } = await client.unary(
    era.blobService.method.stat,
    { digest: given.HELLO_DIGEST },
    { metadata },
  );
  assert.equal(message.chunks.length, 0);
});

eachEra("64 calls at the same time on one connection", async (client, era) => {
  const blobs = Array.from({ length: 64 }, (_, i) => noise(100_003 * (i % 8) + i, i + 1));
  const digests = await Promise.all(blobs.map((bytes) => put(client, era, bytes, [16_001])));
  for (const [i, bytes] of blobs.entries()) assert.deepEqual(digests[i], await blake3(bytes));
  const copies = await Promise.all(digests.map(async (digest, i) => {
    if (i % 2 === 0) return await read(client, era, digest);
    await client.unary(era.blobService.method.stat, { digest });
    return blobs[i];
  }));
  assert.deepEqual(copies, blobs);
});

eachEra("a blob is read as zstd frames by who asks for them", async (client, era) => {
  const text = fromText(
    Array.from({ length: 60_000 }, (_, i) => `line ${i} of a text, all alike\n`).join(""),
  );
  const bytes = concat([text, noise(700_000)]);
  const digest = await put(client, era, bytes);
  const metadata = new grpc.Metadata();
  metadata.set("firn-blob-encoding", "zstd");
  const call = client.receive(era.blobService.method.read, { digest }, { metadata });
  const header = new Promise<grpc.Metadata>((resolve) => call.once("metadata", resolve));
  const pieces: Uint8Array[] = [];
  for await (const { data } of call) pieces.push(data);
  assert.deepEqual((await header).get("firn-blob-encoding"), ["zstd"]);
  const frames = concat(pieces);
  assert.ok(frames.length < bytes.length * 0.6, `${frames.length} bytes of ${bytes.length}`);
  const back = await collect(openCodecs().decompress("zstd", [frames]));
  assert.ok(Buffer.from(back).equals(bytes), "the frames are those of other bytes");
  const plain = client.receive(era.blobService.method.read, { digest });
  const told = new Promise<grpc.Metadata>((resolve) => plain.once("metadata", resolve));
  const all: Uint8Array[] = [];
  for await (const { data } of plain) all.push(data);
  assert.deepEqual((await told).get("firn-blob-encoding"), [], "nobody asked");
  assert.ok(Buffer.from(concat(all)).equals(bytes));
});

grpcTest("grpc-js: health is told of every service, and by Watch at once", async (server) => {
  using client = new GrpcJs(server.grpc);
  const services = ERAS.flatMap((era) => [era.blobService, era.directoryService, era.pathInfoService]);
  for (const service of ["", ...services.map(({ typeName }) => typeName)]) {
    const { message } = await client.unary(Health.method.check, { service });
    assert.equal(message.status, Status.SERVING, service);
  }
  for (const [service, status] of [["", Status.SERVING], ["nobody", Status.SERVICE_UNKNOWN]] as const) {
    const watch = client.receive(Health.method.watch, { service });
    const first = await new Promise<{ status: Status }>((resolve) => watch.once("data", resolve));
    assert.equal(first.status, status);
    watch.on("error", () => {}); // that it was cancelled
    watch.cancel();
  }
});

grpcTest("grpc-js: SIGTERM tells health, finishes a Read under way, then ends with 0", async (server) => {
  using client = new GrpcJs(server.grpc);
  using other = new GrpcJs(server.grpc);
  const bytes = noise(48 * MIB); // more than the buffers between the two ends hold
  const digest = await put(client, SNIX, bytes, [MIB]);
  const watch = other.receive(Health.method.watch, { service: "" });
  const statuses: string[] = [];
  const watched = (async () => {
    for await (const { status } of watch) statuses.push(Status[status]);
  })();
  const copy: Uint8Array[] = [];
  let code: Promise<number> | undefined;
  for await (const { data } of client.receive(SNIX.blobService.method.read, { digest })) {
    copy.push(data);
    if (code) continue;
    code = server.stop();
    await within(10_000, watched);
    assert.deepEqual(statuses, ["SERVING", "NOT_SERVING"], "while the Read goes on");
    using late = new GrpcJs(server.grpc);
    await refused(
      late.unary(Health.method.check, { service: "" }, { deadlineMs: 5000 }),
      grpc.status.UNAVAILABLE,
      /./,
    );
    await pause(300);
  }
  assert.deepEqual(await blake3(...copy), await blake3(bytes));
  assert.equal(await code, 0, server.log);
});
