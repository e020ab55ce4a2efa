/** Flow control both ways: who does not read is not sent more than its windows, and nothing is kept beyond the bounds. */
import assert from "node:assert/strict";
import { Flag, FrameType, read31 } from "../../../src/adapters/http2/frames.ts";
import { ErrorCode } from "../../../src/adapters/http2/http2_error.ts";
import { type Http2Handler, Http2Server } from "../../../src/adapters/http2/server.ts";
import { duplexPipe } from "../../../src/adapters/http2/pipe.ts";
import { numbers, rawClient, RawPeer, REQUEST, settings, sleep } from "./_raw_peer.ts";

const { DATA, HEADERS, WINDOW_UPDATE, SETTINGS } = FrameType;

/** Waits until a number no longer changes. */
async function settled(count: () => number): Promise<number> {
  for (let last = -1;;) {
    const now = count();
    if (now === last) return now;
    last = now;
    await sleep(20);
  }
}

/** Answers with an endless body; counts the bytes it was asked for. */
function endless(piece: number) {
  const count = { asked: 0 };
  const handler: Http2Handler = () => {
    const body = (async function* () {
      while (true) {
        count.asked += piece;
        yield new Uint8Array(piece);
        await undefined;
      }
    })();
    return Promise.resolve({ status: 200, body });
  };
  return { count, handler };
}

Deno.test("http2: settings are acknowledged before DATA that only they allow", async () => {
  const { handler } = endless(10);
  await using meeting = rawClient(handler);
  const { peer } = meeting;
  await peer.greet(settings([4, 0]));
  await peer.request(1, true);
  await peer.expect(HEADERS, 1);
  await sleep(30); // the response has come to wait for its window
  peer.frames.length = 0;
  await peer.frame(SETTINGS, 0, 0, settings([4, 1]));
  await peer.expect(DATA, 1);
  assert.deepEqual(peer.frames.map(({ type }) => type), [SETTINGS, DATA]);
});

Deno.test("http2: a response stops at the window of its stream, and goes on as that grows", async () => {
  const { count, handler } = endless(10_000);
  await using meeting = rawClient(handler);
  const { peer } = meeting;
  await peer.greet(settings([4, 30_000]));
  await peer.request(1, true);
  assert.equal(await settled(() => peer.received()), 30_000);
  assert.equal(count.asked, 40_000, "one piece that waits, no more");
  await peer.frame(WINDOW_UPDATE, 0, 1, numbers(1));
  assert.equal(await settled(() => peer.received()), 30_001);
  await peer.frame(WINDOW_UPDATE, 0, 1, numbers(9_999));
  assert.equal(await settled(() => peer.received()), 40_000);
  assert.equal(count.asked, 50_000);
});

Deno.test("http2: streams share the window of the connection, and stop with it", async () => {
  const { handler } = endless(100_000);
  await using meeting = rawClient(handler);
  const { peer } = meeting;
  await peer.greet(settings([4, 1_000_000]));
  for (const id of [1, 3, 5]) await peer.request(id, true);
  assert.equal(await settled(() => peer.received()), 65_535);
  await peer.frame(WINDOW_UPDATE, 0, 0, numbers(100_000));
  assert.equal(await settled(() => peer.received()), 165_535);
  for (const id of [1, 3, 5]) assert.ok(peer.received(id) > 30_000, `stream ${id} had its turn`);
});

Deno.test("http2: a window may become negative by SETTINGS, and must come back first", async () => {
  const { handler } = endless(50_000);
  await using meeting = rawClient(handler);
  const { peer } = meeting;
  await peer.greet(settings([4, 20_000]));
  await peer.request(1, true);
  assert.equal(await settled(() => peer.received()), 20_000);
  await peer.frame(SETTINGS, 0, 0, settings([4, 5_000])); // the window is -15000 now
  await peer.frame(WINDOW_UPDATE, 0, 1, numbers(15_000));
  assert.equal(await settled(() => peer.received()), 20_000);
  await peer.frame(WINDOW_UPDATE, 0, 1, numbers(7));
  assert.equal(await settled(() => peer.received()), 20_007);
  await peer.frame(SETTINGS, 0, 0, settings([4, 6_000]));
  assert.equal(await settled(() => peer.received()), 21_007);
  await peer.frame(WINDOW_UPDATE, 0, 1, numbers(0x7fff_ff00));
  await peer.frame(SETTINGS, 0, 0, settings([4, 0x7fff_ffff]));
  assert.equal(await peer.goAway(), ErrorCode.FLOW_CONTROL_ERROR);
});

Deno.test("http2: frames are no larger than the peer takes, and as large", async () => {
  const { handler } = endless(500_000);
  await using meeting = rawClient(handler);
  const { peer } = meeting;
  await peer.greet();
  await peer.request(1, true);
  await settled(() => peer.received());
  assert.equal(Math.max(...peer.of(DATA).map(({ payload }) => payload.length)), 16_384);
  await peer.frame(SETTINGS, 0, 0, settings([5, 40_000], [4, 1_000_000]));
  await peer.frame(WINDOW_UPDATE, 0, 0, numbers(1_000_000));
  await settled(() => peer.received());
  assert.equal(Math.max(...peer.of(DATA).map(({ payload }) => payload.length)), 40_000);
});

Deno.test("http2: a header block larger than a frame goes on in CONTINUATION", async () => {
  const long = "z".repeat(40_000);
  await using meeting = rawClient(() =>
    Promise.resolve({ status: 200, header: new Headers({ "x-long": long }) })
  );
  const { peer } = meeting;
  await peer.greet();
  await peer.request(1, true);
  const first = await peer.expect(HEADERS, 1);
  await settled(() => peer.frames.length);
  const rest = peer.of(FrameType.CONTINUATION, 1);
  assert.ok(rest.length >= 1 && first.payload.length === 16_384);
  assert.equal(first.flags, Flag.END_STREAM);
  assert.deepEqual(rest.map(({ flags }) => flags), [
    ...new Array(rest.length - 1).fill(0),
    Flag.END_HEADERS,
  ]);
  const block = new Uint8Array([...first.payload, ...rest.flatMap(({ payload }) => [...payload])]);
  assert.deepEqual(peer.decode(block), [[":status", "200"], ["x-long", long]]);
});

Deno.test("http2: a peer that does not read stops the handler, whatever its windows", async () => {
  const { count, handler } = endless(50_000);
  await using meeting = rawClient(handler, {}, 1000);
  const { peer } = meeting;
  await peer.greet(settings([4, 0x7fff_ffff]));
  await peer.frame(WINDOW_UPDATE, 0, 0, numbers(0x7fff_0000));
  await peer.request(1, true);
  await peer.expect(DATA, 1);
  const go = Promise.withResolvers<void>();
  peer.deaf = go.promise;
  const asked = await settled(() => count.asked);
  assert.ok(asked - peer.received() < 700_000, `${asked} bytes asked for, ${peer.received()} read`);
  peer.deaf = undefined;
  go.resolve();
  await sleep(50);
  assert.ok(count.asked > asked);
});

Deno.test("http2: a small answer does not wait for a large one", async () => {
  const large = endless(4_000_000).handler;
  await using meeting = rawClient((request) => {
    if (request.method === "POST") return large(request);
    return Promise.resolve({ status: 200, body: request.body });
  });
  const { peer } = meeting;
  await peer.greet(settings([4, 0x7fff_ffff]));
  await peer.frame(WINDOW_UPDATE, 0, 0, numbers(0x7fff_0000));
  await peer.request(1, true);
  await peer.expect(DATA, 1);
  const before = peer.received(1);
  await peer.headers(3, [[":method", "GET"], ...REQUEST.slice(1)], Flag.END_HEADERS | Flag.END_STREAM);
  await peer.expect(DATA, 3);
  assert.ok(peer.received(1) - before < 3_000_000, `${peer.received(1) - before} bytes went before it`);
});

Deno.test("http2: the window of a stream opens as its handler reads", async () => {
  const gate = Promise.withResolvers<void>();
  let read = 0;
  await using meeting = rawClient(async ({ body }) => {
    await gate.promise;
    for await (const piece of body) read += piece.length;
    return { status: 200 };
  }, { streamWindow: 65_535, connectionWindow: 100_000 });
  const { peer } = meeting;
  await peer.greet();
  await peer.request(1, false);
  for (let i = 0; i < 4; i++) await peer.frame(DATA, 0, 1, new Uint8Array(16_000));
  await settled(() => meeting.server.heldBytes);
  assert.equal(meeting.server.heldBytes, 64_000);
  assert.equal(peer.of(WINDOW_UPDATE).filter(({ streamId }) => streamId === 1).length, 0);
  gate.resolve();
  assert.equal(read31((await peer.expect(WINDOW_UPDATE, 1)).payload, 0), 64_000);
  assert.equal(read, 64_000);
  assert.equal(meeting.server.heldBytes, 0);
  await peer.frame(DATA, Flag.END_STREAM, 1, new Uint8Array(1));
  await peer.expect(HEADERS, 1);
  assert.equal(read, 64_001);
});

Deno.test("http2: what a handler never reads is given back to the connection", async () => {
  await using meeting = rawClient(async () => {
    await sleep(5);
    return { status: 200 };
  }, { streamWindow: 65_535, connectionWindow: 65_535 });
  const { peer } = meeting;
  await peer.greet();
  let given = 65_535;
  for (let id = 1; id < 20; id += 2) {
    assert.ok(given >= 30_000, `${given} bytes may be sent before stream ${id}`);
    await peer.request(id, false);
    await peer.frame(DATA, 0, id, new Uint8Array(15_000));
    await peer.frame(DATA, Flag.PADDED, id, new Uint8Array(15_000).fill(100, 0, 1));
    given -= 30_000;
    await peer.expect(HEADERS, id);
    assert.equal(await peer.resetCode(id), ErrorCode.NO_ERROR);
    // The bytes of a stream that was reset already count as well.
    for (const { payload } of peer.of(WINDOW_UPDATE, 0)) given += read31(payload, 0);
    peer.frames.length = 0;
  }
  assert.equal(meeting.server.heldBytes, 0);
});

Deno.test("http2: small frames take no more memory than their bytes", async () => {
  const gate = Promise.withResolvers<void>();
  let pieces = 0;
  let read = 0;
  await using meeting = rawClient(async ({ body }) => {
    await gate.promise;
    for await (const piece of body) {
      pieces++;
      read += piece.length;
      assert.ok(piece.buffer.byteLength <= 128 * 1024);
    }
    return { status: 200 };
  });
  const { peer } = meeting;
  await peer.greet();
  await peer.request(1, false);
  const frame = new Uint8Array([0, 0, 1, DATA, 0, 0, 0, 0, 1, 7]);
  const many = new Uint8Array(10 * 1000);
  for (let i = 0; i < 1000; i++) many.set(frame, 10 * i);
  for (let i = 0; i < 200; i++) await peer.send(many);
  await peer.frame(DATA, Flag.END_STREAM, 1);
  await settled(() => meeting.server.heldBytes);
  gate.resolve();
  await peer.expect(HEADERS, 1);
  assert.equal(read, 200_000);
  assert.ok(pieces < 100, `${pieces} pieces`);
});

Deno.test("http2: over the bound of the server greedy connections wait, the others do not", async () => {
  const gate = Promise.withResolvers<void>();
  let read = 0;
  const server = new Http2Server(async ({ body, header }) => {
    if (!header.has("x-now")) await gate.promise;
    for await (const piece of body) read += piece.length;
    return { status: 200 };
  }, { maxHeldBytes: 2_000_000, closeMs: 50 });
  const connect = () => {
    const [near, far] = duplexPipe();
    const served = server.handleConnection(far);
    return { peer: new RawPeer(near), served };
  };
  const all = Array.from({ length: 4 }, connect);
  const sending = all.map(async ({ peer }) => {
    await peer.greet();
    await peer.request(1, false);
    for (let i = 0; i < 100; i++) await peer.frame(DATA, 0, 1, new Uint8Array(10_000));
    await peer.frame(DATA, Flag.END_STREAM, 1);
  });
  const held = await settled(() => server.heldBytes);
  assert.ok(held >= 2_000_000 && held < 3_200_000, `${held} bytes`);
  const other = connect();
  await other.peer.greet();
  await other.peer.request(1, true, [["x-now", "yes"]]);
  await other.peer.expect(HEADERS, 1);
  gate.resolve();
  for (const { peer } of all) await peer.expect(HEADERS, 1);
  await Promise.all(sending);
  assert.equal(read, 4_000_000);
  assert.equal(server.heldBytes, 0);
  for (const { peer, served } of [...all, other]) {
    peer.duplex.close();
    await served;
  }
});

Deno.test("http2: head, body and trailers of an answer are one write", async () => {
  const [near, far] = duplexPipe();
  const written: number[] = [];
  const server = new Http2Server(() => {
    const body = (async function* () {
      await undefined;
      yield new Uint8Array(10);
    })();
    return Promise.resolve({ status: 200, body, trailer: new Headers({ "grpc-status": "0" }) });
  });
  const served = server.handleConnection({
    read: (into) => far.read(into),
    write(bytes) {
      written.push(bytes.length);
      return far.write(bytes);
    },
    close: () => far.close(),
  });
  const peer = new RawPeer(near);
  await peer.greet();
  await peer.expect(SETTINGS);
  await sleep(20);
  const before = written.length;
  await peer.request(1, true);
  await peer.expect(DATA, 1);
  await sleep(20);
  assert.deepEqual(peer.frames.filter(({ streamId }) => streamId === 1).map(({ type }) => type), [
    HEADERS,
    DATA,
    HEADERS,
  ]);
  assert.equal(written.length - before, 1);
  near.close();
  await served;
});
