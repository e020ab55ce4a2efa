/** Peers that mean no good, or do nothing: each meets its bound. */
import assert from "node:assert/strict";
import { concat } from "../../../src/bytes/bytes.ts";
import { encodeFrame, Flag, FrameType, read31 } from "../../../src/adapters/http2/frames.ts";
import { ErrorCode, Http2Error } from "../../../src/adapters/http2/http2_error.ts";
import { type Http2Handler, Http2Server } from "../../../src/adapters/http2/server.ts";
import { duplexPipe } from "../../../src/adapters/http2/pipe.ts";
import { numbers, rawClient, RawPeer, settings, sleep } from "./_raw_peer.ts";

const { DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION } =
  FrameType;

const answer: Http2Handler = async ({ body }) => {
  for await (const _ of body);
  return { status: 200 };
};

/** Waits for its signal. */
const wait: Http2Handler = async ({ signal }) => {
  await new Promise((resolve) => signal.onabort = resolve);
  return { status: 200 };
};

Deno.test("http2: streams over the limit are refused, and may come when there is room", async () => {
  await using meeting = rawClient(answer, { maxConcurrentStreams: 3 });
  const { peer } = meeting;
  await peer.greet();
  for (const id of [1, 3, 5, 7]) await peer.request(id, false);
  assert.equal(await peer.resetCode(7), ErrorCode.REFUSED_STREAM);
  await peer.frame(DATA, Flag.END_STREAM, 3);
  await peer.expect(HEADERS, 3);
  await peer.request(9, true);
  await peer.expect(HEADERS, 9);
  assert.equal(peer.of(RST_STREAM).length, 1);
});

Deno.test("http2: handlers of streams that were reset count until they end", async () => {
  let begun = 0;
  const gate = Promise.withResolvers<void>();
  await using meeting = rawClient(async () => {
    begun++;
    await gate.promise;
    return { status: 200 };
  }, { maxConcurrentStreams: 3 });
  const { peer } = meeting;
  await peer.greet();
  for (let id = 1; id < 40; id += 2) {
    await peer.request(id, true);
    await sleep(2);
    await peer.frame(RST_STREAM, 0, id, numbers(ErrorCode.CANCEL));
  }
  await peer.frame(PING, 0, 0, numbers(0, 0));
  await peer.expect(PING);
  assert.equal(begun, 6);
  gate.resolve();
  await sleep(5);
  await peer.request(41, true);
  await peer.expect(HEADERS, 41);
});

Deno.test("http2: streams that are reset again and again end the connection, before handlers begin", async () => {
  let begun = 0;
  await using meeting = rawClient((request) => {
    begun++;
    return wait(request);
  });
  const { peer } = meeting;
  await peer.greet();
  for (let id = 1; id < 4000 && peer.of(GOAWAY).length === 0; id += 2) {
    const frames = [
      encodeFrame(HEADERS, Flag.END_HEADERS | Flag.END_STREAM, id, peer.block(REQUEST)),
      encodeFrame(RST_STREAM, 0, id, numbers(8)),
    ];
    await peer.send(...frames).catch(() => {});
  }
  assert.equal(await peer.goAway(), ErrorCode.ENHANCE_YOUR_CALM);
  assert.ok(begun < 100, `${begun} handlers`);
  const last = read31(peer.of(GOAWAY)[0].payload, 0);
  assert.ok(last > 1990 && last < 2600, `stream ${last}`);
});

Deno.test("http2: a whole request that is reset in the same read leaves nothing behind", async () => {
  let begun = 0;
  await using meeting = rawClient((request) => {
    begun++;
    return answer(request);
  });
  const { peer } = meeting;
  await peer.greet();
  await peer.send(
    encodeFrame(HEADERS, Flag.END_HEADERS, 1, peer.block(REQUEST)),
    encodeFrame(DATA, Flag.END_STREAM, 1, new Uint8Array(1000)),
    encodeFrame(RST_STREAM, 0, 1, numbers(8)),
    encodeFrame(PING, 0, 0, numbers(0, 0)),
  );
  await peer.expect(PING);
  assert.equal(meeting.server.heldBytes, 0);
  assert.equal(begun, 0);
});

const REQUEST = [[":method", "GET"], [":scheme", "http"], [":authority", "firn.test"], [
  ":path",
  "/",
]] as const;

Deno.test("http2: resets that the peer makes us send count as well", async () => {
  await using meeting = rawClient(wait, { resetBurst: 50, resetsPerSecond: 1 });
  const { peer } = meeting;
  await peer.greet();
  for (let id = 1; id < 200; id += 2) {
    await peer.request(id, false).catch(() => {});
    await peer.frame(WINDOW_UPDATE, 0, id, numbers(0)).catch(() => {});
  }
  assert.equal(await peer.goAway(), ErrorCode.ENHANCE_YOUR_CALM);
});

Deno.test("http2: a thousand connections that each cancel a few calls are fine", async () => {
  const server = new Http2Server(wait, { closeMs: 50 });
  await Promise.all(Array.from({ length: 1000 }, async () => {
    const [near, far] = duplexPipe(4096);
    const served = server.handleConnection(far);
    const peer = new RawPeer(near);
    await peer.greet();
    for (const id of [1, 3, 5]) {
      await peer.request(id, true);
      await peer.frame(RST_STREAM, 0, id, numbers(8));
    }
    await peer.frame(PING, 0, 0, numbers(0, 0));
    await peer.expect(PING);
    assert.equal(peer.of(GOAWAY).length, 0);
    near.close();
    await served;
  }));
  assert.equal(server.connectionCount, 0);
  assert.equal(server.streamCount, 0);
});

const floods: [name: string, frame: Uint8Array][] = [
  ["PING", encodeFrame(PING, 0, 0, numbers(0, 0))],
  ["acks of PING", encodeFrame(PING, Flag.ACK, 0, numbers(0, 0))],
  ["SETTINGS", encodeFrame(SETTINGS, 0, 0, settings([4, 100_000]))],
  ["acks of SETTINGS", encodeFrame(SETTINGS, Flag.ACK, 0, new Uint8Array(0))],
  ["PRIORITY", encodeFrame(PRIORITY, 0, 1, new Uint8Array(5))],
  ["WINDOW_UPDATE", encodeFrame(WINDOW_UPDATE, 0, 0, numbers(1))],
  ["empty DATA", encodeFrame(DATA, 0, 1, new Uint8Array(0))],
  ["DATA that is all padding", encodeFrame(DATA, Flag.PADDED, 1, new Uint8Array([1, 0]))],
  ["unknown frames", encodeFrame(0x55, 0, 1, new Uint8Array(1))],
];

for (const [name, frame] of floods) {
  Deno.test(`http2: a flood of ${name} ends the connection`, async () => {
    await using meeting = rawClient(wait);
    const { peer } = meeting;
    await peer.greet();
    await peer.request(1, false);
    const many = concat(new Array(500).fill(frame));
    for (let i = 0; i < 60 && peer.of(GOAWAY).length === 0; i++) await peer.send(many).catch(() => {});
    assert.equal(await peer.goAway(), ErrorCode.ENHANCE_YOUR_CALM);
    await meeting.served;
  });
}

Deno.test("http2: a peer that asks and does not read the answers is cut off", async () => {
  await using meeting = rawClient(wait, { idleFrameBurst: 1e9 }, 1000);
  const { peer } = meeting;
  await peer.greet();
  await peer.expect(SETTINGS);
  const go = Promise.withResolvers<void>();
  peer.deaf = go.promise;
  const many = concat(new Array(500).fill(encodeFrame(PING, 0, 0, numbers(0, 0))));
  let sent = 0;
  await assert.rejects(async () => {
    while (sent < 10_000_000) {
      await peer.send(many);
      sent += many.length;
    }
  });
  assert.ok(sent < 1_000_000, `${sent} bytes`);
  await meeting.served;
  go.resolve();
});

Deno.test("http2: a header block that does not end, ends the connection", async () => {
  for (const piece of [new Uint8Array(0), new Uint8Array(1), new Uint8Array(16_000)]) {
    await using meeting = rawClient(answer);
    const { peer } = meeting;
    await peer.greet();
    await peer.frame(HEADERS, 0, 1, peer.block(REQUEST));
    for (let i = 0; i < 100; i++) await peer.frame(CONTINUATION, 0, 1, piece).catch(() => {});
    assert.equal(await peer.goAway(), ErrorCode.ENHANCE_YOUR_CALM);
  }
});

Deno.test("http2: no preface, half a preface and half a header block are waited for in vain", async () => {
  for (const sent of [new Uint8Array(0), new TextEncoder().encode("PRI * HTTP")]) {
    await using meeting = rawClient(answer, { prefaceMs: 40 });
    await meeting.peer.send(sent);
    assert.equal(await meeting.peer.goAway(), ErrorCode.SETTINGS_TIMEOUT);
    await meeting.served;
  }
  await using meeting = rawClient(answer, { headersMs: 40 });
  await meeting.peer.greet();
  await meeting.peer.frame(HEADERS, 0, 1, meeting.peer.block(REQUEST));
  assert.equal(await meeting.peer.goAway(), ErrorCode.ENHANCE_YOUR_CALM);
});

Deno.test("http2: a frame that comes byte by byte has no longer than a header block", async () => {
  await using meeting = rawClient(answer, { headersMs: 60 });
  const { peer } = meeting;
  await peer.greet();
  const trickling = (async () => {
    for (const byte of [0, 0, 9, HEADERS, 4, 0, 0, 0, 1, 1, 2, 3, 4, 5]) {
      await peer.send(Uint8Array.of(byte));
      await sleep(20);
    }
  })().catch(() => {});
  assert.equal(await peer.goAway(), ErrorCode.ENHANCE_YOUR_CALM);
  await trickling;
});

Deno.test("http2: a connection without streams is closed after a while, one with streams is not", async () => {
  await using meeting = rawClient(wait, { idleMs: 60 });
  const { peer } = meeting;
  await peer.greet();
  await peer.request(1, true);
  await sleep(150);
  assert.equal(peer.of(GOAWAY).length, 0);
  await peer.frame(RST_STREAM, 0, 1, numbers(8));
  assert.equal(await peer.goAway(), ErrorCode.NO_ERROR);
  const [{ payload: mark }] = peer.of(PING);
  await peer.frame(PING, Flag.ACK, 0, mark);
  await meeting.served;
  assert.deepEqual(peer.of(GOAWAY).map(({ payload }) => read31(payload, 0)), [0x7fffffff, 1]);
});

Deno.test("http2: a stream whose peer neither sends nor reads is reset, one whose handler works is not", async () => {
  const failures: unknown[] = [];
  await using meeting = rawClient(async ({ body, header }) => {
    if (header.has("x-work")) await sleep(200);
    else if (header.has("x-write")) {
      return { status: 200, body: endlessly(), trailer: new Headers() };
    } else {
      try {
        for await (const _ of body);
      } catch (error) {
        failures.push(error);
        throw error;
      }
    }
    return { status: 200 };
  }, { stallMs: 60 });
  const { peer } = meeting;
  await peer.greet(settings([4, 1000]));
  await peer.request(1, false);
  await peer.request(3, true, [["x-write", "yes"]]);
  await peer.request(5, true, [["x-work", "yes"]]);
  assert.equal(await peer.resetCode(1), ErrorCode.CANCEL);
  assert.equal(await peer.resetCode(3), ErrorCode.CANCEL);
  await peer.expect(HEADERS, 5);
  assert.equal(peer.of(RST_STREAM, 5).length, 0);
  assert.ok(failures[0] instanceof Http2Error);
  assert.deepEqual(meeting.logged, []);
});

async function* endlessly() {
  while (true) {
    yield new Uint8Array(1000);
    await undefined;
  }
}

Deno.test("http2: a peer that takes nothing of what is written is cut off", async () => {
  await using meeting = rawClient(
    () => Promise.resolve({ status: 200, body: endlessly() }),
    { stallMs: 60 },
    1000,
  );
  const { peer } = meeting;
  await peer.greet(settings([4, 0x7fff_ffff]));
  await peer.frame(WINDOW_UPDATE, 0, 0, numbers(0x7fff_0000));
  await peer.request(1, true);
  await peer.expect(HEADERS, 1);
  const go = Promise.withResolvers<void>();
  peer.deaf = go.promise;
  await meeting.served;
  go.resolve();
});

Deno.test("http2: a server that stops lets streams begin until its peer knows, and breaks off what takes too long", async () => {
  await using meeting = rawClient(answer);
  const { peer, server } = meeting;
  await peer.greet();
  await peer.request(1, false);
  await sleep(5);
  const stopped = server.stop(60);
  await peer.expect(GOAWAY);
  await peer.request(3, true);
  await peer.expect(HEADERS, 3);
  await peer.frame(PING, Flag.ACK, 0, (await peer.expect(PING)).payload);
  await sleep(5);
  assert.deepEqual(peer.of(GOAWAY).map(({ payload }) => read31(payload, 0)), [0x7fffffff, 3]);
  await peer.request(5, true);
  await stopped;
  assert.deepEqual(peer.of(HEADERS, 5), []);
  assert.equal(server.connectionCount, 0);
});
