/**
 * Frames that are damaged, out of order or made up, cut at random: the server neither fails nor hangs, answers with frames
 * that are well formed, keeps nothing, and the connection ends.
 */
import assert from "node:assert/strict";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { collect } from "../../src/bytes/streams.ts";
import { Http2Client } from "../../src/adapters/http2/client.ts";
import { encodeFrame, Flag, FrameType, PREFACE, read32 } from "../../src/adapters/http2/frames.ts";
import { HpackEncoder } from "../../src/adapters/http2/hpack_encoder.ts";
import { Http2Error } from "../../src/adapters/http2/http2_error.ts";
import { duplexPipe } from "../../src/adapters/http2/pipe.ts";
import { Http2Server } from "../../src/adapters/http2/server.ts";
import { numbers, RawPeer, settings, sleep } from "../adapters/http2/_raw_peer.ts";
import { permissions, testNeeding } from "../needs.ts";

const test = testNeeding(permissions);

const ROUNDS = 3000;
const MILLISECONDS = 8_000;

/** The mulberry32 generator: integers below a bound, the same for the same seed. */
function generator(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

type Random = ReturnType<typeof generator>;

function bytes(random: Random, length: number): Bytes {
  return Uint8Array.from({ length }, () => random(256));
}

const HEAD = [[":method", "POST"], [":scheme", "http"], [":authority", "a"], [":path", "/"], [
  "x-a",
  "b",
]] as const;

/** A frame that could come in a conversation. */
function frame(random: Random, encoder: HpackEncoder): Bytes {
  const id = random(8) === 0 ? random(12) : 1 + 2 * random(6);
  const end = random(2) * Flag.END_STREAM;
  switch (random(12)) {
    case 0:
    case 1:
    case 2:
      return encodeFrame(
        FrameType.HEADERS,
        end | Flag.END_HEADERS,
        id,
        encoder.encode(HEAD.slice(0, 3 + random(3))),
      );
    case 3:
    case 4:
      return encodeFrame(FrameType.DATA, end, id, bytes(random, random(3000)));
    case 5:
      return encodeFrame(
        FrameType.DATA,
        end | Flag.PADDED,
        id,
        concat([numbers(random(4) << 24), bytes(random, 40)]),
      );
    case 6:
      return encodeFrame(FrameType.RST_STREAM, 0, id, numbers(random(20)));
    case 7:
      return encodeFrame(
        FrameType.SETTINGS,
        random(4) === 0 ? 1 : 0,
        0,
        settings([random(8), random(100_000)]),
      );
    case 8:
      return encodeFrame(
        FrameType.WINDOW_UPDATE,
        0,
        random(2) * id,
        numbers(random(3) === 0 ? random(2 ** 32) : 5000),
      );
    case 9:
      return encodeFrame(FrameType.PING, random(2), 0, bytes(random, 8));
    case 10:
      return encodeFrame(FrameType.CONTINUATION, random(2) * Flag.END_HEADERS, id, bytes(random, random(10)));
    default:
      return encodeFrame(random(16), random(256), random(3) * id, bytes(random, random(100)));
  }
}

function conversation(random: Random): Bytes {
  const encoder = new HpackEncoder();
  const frames = [PREFACE, encodeFrame(FrameType.SETTINGS, 0, 0, settings([4, random(200_000)]))];
  // Streams are opened in order and half of the conversations say nothing wrong, so that some get far.
  const wild = random(2);
  for (let id = 1; id <= 9; id += 2) {
    frames.push(
      encodeFrame(FrameType.HEADERS, Flag.END_HEADERS, id, encoder.encode(HEAD.slice(0, 4 + random(2)))),
    );
    for (let i = wild * random(4); i > 0; i--) frames.push(frame(random, encoder));
    for (let i = random(3); i >= 0; i--) {
      const end = i === 0 ? Flag.END_STREAM : 0;
      frames.push(encodeFrame(FrameType.DATA, end, id, bytes(random, random(3000))));
    }
  }
  for (let i = wild * random(30); i > 0; i--) frames.push(frame(random, encoder));
  return concat(frames);
}

function damage(sent: Bytes, random: Random): Bytes {
  const at = PREFACE.length + random(Math.max(1, sent.length - PREFACE.length));
  switch (random(4)) {
    case 0: {
      const changed = sent.slice();
      changed[at] ^= 1 << random(8);
      return changed;
    }
    case 1:
      return concat([sent.subarray(0, at), bytes(random, random(30)), sent.subarray(at)]);
    case 2:
      return concat([sent.subarray(0, at), sent.subarray(at + 1 + random(40))]);
    default:
      return sent.subarray(0, at);
  }
}

/** Sends in pieces of any size, and half of the time hangs up in the end. */
async function send(peer: RawPeer, sent: Bytes, random: Random): Promise<void> {
  try {
    for (let at = 0; at < sent.length;) {
      const length = [1 + random(20), 1 + random(3000), sent.length][random(3)];
      await peer.send(sent.subarray(at, at + length));
      at += length;
    }
  } catch {
    // The server had enough.
  }
}

test("random and damaged frames end in a proper error or a clean answer", async () => {
  const until = Date.now() + MILLISECONDS;
  const unhandled: unknown[] = [];
  const onUnhandled = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", onUnhandled);
  const logged: string[] = [];
  const ends = new Map<number | undefined, number>();
  let answers = 0;
  let handlers = 0;
  const server = new Http2Server(async ({ body, header }) => {
    handlers++;
    try {
      if (header.has("x-a")) return { status: 200, body, trailer: new Headers({ a: "b" }) };
      for await (const _ of body);
      return { status: 200 };
    } finally {
      handlers--;
    }
  }, {
    closeMs: 20,
    idleMs: 30,
    stallMs: 30,
    headersMs: 30,
    prefaceMs: 30,
    log: (line) => logged.push(line),
  });
  let round = 0;
  for (; round < ROUNDS && Date.now() < until; round += 128) {
    await Promise.all(Array.from({ length: 128 }, async (_, i) => {
      const random = generator(round + i);
      let sent = conversation(random);
      for (let i = random(3); i > 0; i--) sent = damage(sent, random);
      const [near, far] = duplexPipe(1 + random(5000));
      const served = server.handleConnection(far);
      const peer = new RawPeer(near);
      await send(peer, sent, random);
      if (random(2) === 0) near.close();
      await served;
      near.close();
      await peer.ended;
      const last = peer.of(FrameType.GOAWAY).at(-1);
      const code = last && read32(last.payload, 4);
      ends.set(code, (ends.get(code) ?? 0) + 1);
      answers += peer.of(FrameType.HEADERS).length;
      for (const { type } of peer.frames) assert.ok(type <= FrameType.CONTINUATION, `round ${round + i}`);
    }));
    assert.equal(server.heldBytes, 0, `round ${round}`);
  }
  assert.equal(server.connectionCount, 0);
  assert.equal(server.streamCount, 0);
  assert.equal(handlers, 0);
  globalThis.removeEventListener("unhandledrejection", onUnhandled);
  assert.deepEqual(unhandled, []);
  assert.deepEqual(logged, []);
  assert.ok(round >= 100, `${round} rounds`);
  assert.ok(answers > round / 4, `${answers} answers in ${round} rounds`);
  for (const code of [0, 1, 5, 6]) assert.ok(ends.get(code)! > 0, `no connection ended with ${code}`);
});

test("a client whose server sends random and damaged frames settles every call", async () => {
  const until = Date.now() + MILLISECONDS / 2;
  const logged: string[] = [];
  let answered = 0;
  let failed = 0;
  for (let round = 0; round < ROUNDS && Date.now() < until; round += 64) {
    await Promise.all(Array.from({ length: 64 }, async (_, i) => {
      const random = generator(1_000_000 + round + i);
      const encoder = new HpackEncoder();
      const frames = [PREFACE, encodeFrame(FrameType.SETTINGS, 0, 0, settings([4, random(200_000)]))];
      const wild = random(2);
      for (let id = 1; id <= 9; id += 2) {
        const head = encoder.encode([[":status", random(8) === 0 ? "103" : "200"], ["x-a", "b"]]);
        frames.push(encodeFrame(FrameType.HEADERS, Flag.END_HEADERS, id, head));
        for (let i = wild * random(3); i > 0; i--) frames.push(frame(random, encoder));
        frames.push(encodeFrame(FrameType.DATA, Flag.END_STREAM, id, bytes(random, random(2000))));
      }
      let sent = concat(frames);
      for (let i = wild * random(3); i > 0; i--) sent = damage(sent, random);
      const [near, far] = duplexPipe(1 + random(5000));
      const peer = new RawPeer(far, PREFACE.length);
      await using client = new Http2Client(() => Promise.resolve(near), {
        closeMs: 20,
        stallMs: 50,
        log: (line) => logged.push(line),
      });
      const calls = Array.from({ length: 5 }, async () => {
        const { body } = await client.request({ url: "http://a/", method: "GET", header: new Headers() });
        return await collect(body);
      });
      let over = false;
      const settled = Promise.allSettled(calls).finally(() => over = true);
      // On a busy machine the client may have given up for want of an answer before it asked for all.
      while (peer.of(FrameType.HEADERS).length < 5 && !over) await sleep(1);
      await send(peer, sent.subarray(PREFACE.length), random);
      far.close();
      for (const result of await settled) {
        if (result.status === "fulfilled") answered++;
        else {
          failed++;
          assert.ok(result.reason instanceof Http2Error, `round ${round + i}: ${result.reason}`);
        }
      }
      await peer.ended;
    }));
  }
  assert.deepEqual(logged, []);
  assert.ok(answered > 100 && failed > 100, `${answered} answered, ${failed} failed`);
});
