/**
 * Clients of native gRPC that are many, leave in the middle, never read, or are slow: what each does to a server, and that the
 * server is as it was when they are gone. Bodies of broken Puts must never be seen.
 */
import assert from "node:assert/strict";
import { createBLAKE3 } from "hash-wasm";
import { encodeFrame, FrameType, PREFACE } from "../../src/adapters/http2/frames.ts";
import { concat, fromText } from "../../src/bytes/bytes.ts";
import { fromHex } from "../../src/bytes/hex.ts";
import { SNIX } from "../../src/server/grpc/era.ts";
import { GrpcJs } from "../e2e/grpc_js.ts";
import { ENDLESS_WINDOW, framed, RawHttp2 } from "../e2e/raw_http2.ts";
import { type FirnServer, pause, within } from "../e2e/server.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const { stat, read, put } = SNIX.blobService.method;
const STAT = `/${SNIX.blobService.typeName}/Stat`;
const READ = `/${SNIX.blobService.typeName}/Read`;
const PUT = `/${SNIX.blobService.typeName}/Put`;

/** The bytes `Hello World!` and their BLAKE3, as b3sum prints it. */
const HELLO = fromText("Hello World!");
const HELLO_DIGEST = fromHex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");

/** Clients at the same time, of those that come one after the other. */
const WAVE = 50;
/** Longest wait for something that must come, in milliseconds. */
const PATIENCE = 60_000;

/** Bytes that no other call of this gives: random ones at both ends, zeros between. */
function unique(length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  crypto.getRandomValues(bytes.subarray(0, 32));
  crypto.getRandomValues(bytes.subarray(-32));
  return bytes;
}

async function blake3(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const hash = await createBLAKE3();
  return fromHex(hash.update(bytes).digest("hex"));
}

/** Puts a blob of so many MiB. */
export async function putLarge(server: FirnServer, mebibytes: number): Promise<Uint8Array> {
  using client = new GrpcJs(server.grpc);
  const pieces = function* () {
    for (let i = 0; i < mebibytes; i++) yield { data: unique(MIB) };
  };
  return (await client.send(put, pieces())).message.digest;
}

/** That an ordinary client gets what it wants: a Put, a Stat, a Read. Returns milliseconds. */
export async function serveOne(server: FirnServer): Promise<number> {
  const started = performance.now();
  using client = new GrpcJs(server.grpc);
  const bytes = unique(64 * KIB);
  const { message: { digest } } = await client.send(put, [{ data: bytes }], { deadlineMs: PATIENCE });
  await client.unary(stat, { digest }, { deadlineMs: PATIENCE });
  const copy: Uint8Array[] = [];
  for await (const { data } of client.receive(read, { digest }, { deadlineMs: PATIENCE })) copy.push(data);
  assert.deepEqual(concat(copy), bytes);
  return performance.now() - started;
}

/** Does something, while an ordinary client is served again and again. Returns the slowest, in milliseconds. */
export async function servingOthers<T>(
  server: FirnServer,
  work: () => Promise<T>,
): Promise<{ result: T; slowest: number }> {
  let over = false;
  let slowest = 0;
  const others = (async () => {
    while (!over) {
      slowest = Math.max(slowest, await serveOne(server));
      await pause(50);
    }
  })();
  let result: T;
  try {
    result = await work();
  } finally {
    over = true;
    await others;
  }
  return { result, slowest };
}

/** That nothing of what broke off is a blob. */
async function assertNone(server: FirnServer, digests: Iterable<Uint8Array>): Promise<void> {
  using client = new GrpcJs(server.grpc);
  for (const digest of digests) {
    const code = await client.unary(stat, { digest }).then(() => 0, (error) => error.code);
    assert.equal(code, 5, "a Put that broke off became a blob");
  }
}

/** File descriptors of the server: a connection is one. */
export function descriptors(server: FirnServer): number {
  return [...Deno.readDirSync(`/proc/${server.child.pid}/fd`)].length;
}

/**
 * Waits until the server has let go of the connections and the memory of what was before.
 *
 * @param most bytes of resident memory it may keep
 * @returns what it keeps at the end, in bytes; over `most` if it did not let go in time
 */
export async function settle(server: FirnServer, before: { files: number }, most: number): Promise<number> {
  const end = performance.now() + 20_000;
  while (performance.now() < end && (descriptors(server) > before.files || server.memory().now > most)) {
    await pause(200);
    await serveOne(server); // an idle process collects nothing
  }
  assert.ok(descriptors(server) <= before.files, `connections stay open: ${descriptors(server)}`);
  return server.memory().now;
}

/** So many Stats at the same time on each of so many connections. Returns seconds, without those of connecting. */
export async function manyStats(server: FirnServer, connections: number, each: number): Promise<number> {
  const ask = await Promise.resolve(framed(HELLO_DIGEST));
  using client = new GrpcJs(server.grpc);
  await client.send(put, [{ data: HELLO }]);
  const clients = await Promise.all(
    Array.from({ length: connections }, () => RawHttp2.connect(server.grpc)),
  );
  const started = performance.now();
  await Promise.all(clients.map(async (client) => {
    using _ = client;
    await client.write(...Array.from({ length: each }, () => client.call(STAT, ask).frames));
    const answers = await client.answers(each);
    assert.equal(answers.size, each, "the server hung up");
    for (const { status, body } of answers.values()) {
      assert.equal(status, "0");
      assert.equal(body.length, 5, "an empty message");
    }
  }));
  return (performance.now() - started) / 1000;
}

/** So many clients that hang up in the middle of a Read, and as many of a Put. */
export async function hangUps(server: FirnServer, clients: number, large: Uint8Array): Promise<void> {
  const digests: Uint8Array[] = [];
  for (let i = 0; i < clients; i += WAVE) {
    const wave = Array.from({ length: Math.min(WAVE, clients - i) }, (_, k) => k);
    await Promise.all(wave.map(async (k) => {
      using reader = await RawHttp2.connect(server.grpc, k % 2 === 0 ? ENDLESS_WINDOW : undefined);
      await reader.write(reader.call(READ, framed(large)).frames);
      for (let frame; (frame = await reader.read());) if (frame.type === FrameType.DATA) return;
      assert.fail("the server hung up before any data");
    }));
    await Promise.all(wave.map(async (k) => {
      using writer = await RawHttp2.connect(server.grpc);
      const bytes = unique(60 * KIB);
      // Between messages, in the middle of one, and after the first of a longer body.
      const message = framed(bytes);
      await writer.write(
        writer.call(PUT, k % 3 === 0 ? message : message.subarray(0, -1), { end: false }).frames,
      );
      if (k % 2 === 0) await pause(20);
      digests.push(await blake3(bytes));
    }));
  }
  await assertNone(server, digests);
}

/**
 * Clients that ask for a large blob and never read it, with windows that stop the server and with endless ones, which leave that
 * to TCP. They stay for so many seconds.
 */
export async function neverReading(
  server: FirnServer,
  large: Uint8Array,
  clients: number,
  seconds: number,
): Promise<void> {
  const readers: RawHttp2[] = [];
  try {
    for (let i = 0; i < clients; i++) {
      const reader = await RawHttp2.connect(server.grpc, i % 2 === 0 ? ENDLESS_WINDOW : undefined);
      readers.push(reader);
      await reader.write(reader.call(READ, framed(large)).frames);
    }
    await pause(seconds * 1000);
  } finally {
    for (const reader of readers) reader[Symbol.dispose]();
  }
}

/**
 * Opens Reads and resets them at once, for so many seconds, over a new connection whenever the server has had enough of one.
 *
 * @returns streams that were opened, and connections that it took
 */
export async function resetting(
  server: FirnServer,
  large: Uint8Array,
  attackers: number,
  seconds: number,
): Promise<{ streams: number; connections: number }> {
  const end = performance.now() + seconds * 1000;
  let [streams, connections] = [0, 0];
  const attack = async () => {
    while (performance.now() < end) {
      using client = await RawHttp2.connect(server.grpc);
      connections++;
      let refused = false;
      const told = (async () => {
        while (await client.read());
        refused = true;
      })();
      while (!refused && performance.now() < end) {
        const frames = Array.from({ length: 50 }, () => {
          const { id, frames } = client.call(READ, framed(large));
          return concat([frames, client.reset(id)]);
        });
        try {
          await client.write(...frames);
        } catch {
          break; // closed while we write
        }
        streams += frames.length;
        await pause(0); // let the answer in
      }
      client[Symbol.dispose]();
      await told.catch(() => {});
    }
  };
  await Promise.all(Array.from({ length: attackers }, attack));
  return { streams, connections };
}

/** Clients that send a Put one byte after the other. It must succeed, for they do send. */
export async function trickle(server: FirnServer, clients: number, everyMs: number): Promise<void> {
  await Promise.all(
    Array.from({ length: clients }, async () => {
      using client = await RawHttp2.connect(server.grpc);
      const body = framed(HELLO);
      const { id, frames } = client.call(PUT, body.subarray(0, 1), { end: false });
      await client.write(frames);
      for (let i = 1; i < body.length; i++) {
        await pause(everyMs);
        await client.write(client.data(id, body.subarray(i, i + 1), i === body.length - 1));
      }
      const answer = (await client.answers(1)).get(id);
      assert.equal(answer?.status, "0");
      assert.deepEqual(answer?.body, framed(HELLO_DIGEST));
    }),
  );
}

/**
 * Clients that begin what comes before a request and go on byte by byte: half of them the preface, half a header block, in
 * CONTINUATION frames. They are hung up on. Returns seconds.
 */
export async function trickleGreeting(
  server: FirnServer,
  clients: number,
  everyMs: number,
): Promise<number> {
  const started = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async (_, k) => {
      const greets = k % 2 === 0;
      using client = await (greets ? RawHttp2.silent(server.grpc) : RawHttp2.connect(server.grpc));
      if (!greets) await client.write(encodeFrame(FrameType.HEADERS, 0, 1, Uint8Array.of(0x83))); // POST
      let over = false;
      const closed = (async () => {
        while (await client.read());
        over = true;
      })();
      for (let i = 0; i < PREFACE.length - 1 && !over; i++) {
        // One more `:method: POST` is as good as any.
        const next = encodeFrame(FrameType.CONTINUATION, 0, 1, Uint8Array.of(0x83));
        await client.write(greets ? PREFACE.subarray(i, i + 1) : next).catch(() => over = true);
        await pause(everyMs);
      }
      await within(PATIENCE, closed);
      assert.ok(over, "the server waits for ever");
    }),
  );
  return (performance.now() - started) / 1000;
}
