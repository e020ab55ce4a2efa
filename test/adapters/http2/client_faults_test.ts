/** The client against a server that says what it likes. */
import assert from "node:assert/strict";
import { collect } from "../../../src/bytes/streams.ts";
import { Http2Client } from "../../../src/adapters/http2/client.ts";
import { encodeFrame, Flag, FrameType, PREFACE, read31 } from "../../../src/adapters/http2/frames.ts";
import type { HeaderField } from "../../../src/adapters/http2/hpack_tables.ts";
import { ErrorCode, Http2Error } from "../../../src/adapters/http2/http2_error.ts";
import type { Http2Options } from "../../../src/adapters/http2/options.ts";
import { duplexPipe } from "../../../src/adapters/http2/pipe.ts";
import { numbers, RawPeer, settings, sleep } from "./_raw_peer.ts";

const { DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE } = FrameType;
const OK: HeaderField = [":status", "200"];
const END = Flag.END_HEADERS | Flag.END_STREAM;

/** A client whose connections end at raw servers, the last of which is `peer`. */
function rawServer(options: Partial<Http2Options> = {}, ...limits: [id: number, value: number][]) {
  const peers: RawPeer[] = [];
  const client = new Http2Client(async () => {
    const [near, far] = duplexPipe();
    const peer = new RawPeer(far, PREFACE.length);
    peers.push(peer);
    await peer.frame(SETTINGS, 0, 0, settings(...limits));
    return near;
  }, { closeMs: 100, ...options });
  return {
    client,
    peers,
    /** The server, when it has seen a request. */
    async peer(stream = 1): Promise<RawPeer> {
      while (peers.length === 0) await sleep(1);
      await peers.at(-1)!.expect(HEADERS, stream);
      return peers.at(-1)!;
    },
    get(signal?: AbortSignal) {
      return client.request({
        url: "https://firn.test:1/a?b",
        method: "GET",
        header: new Headers({ x: "y" }),
        signal,
      });
    },
    async [Symbol.asyncDispose]() {
      await client.close();
      for (const { duplex, ended } of peers) {
        duplex.close();
        await ended;
      }
    },
  };
}

function fails(code: number, retryable: boolean) {
  return (error: unknown) => {
    assert.ok(error instanceof Http2Error, `${error}`);
    assert.deepEqual([error.code, error.retryable], [code, retryable], error.message);
    return true;
  };
}

Deno.test("http2 client: begins with the preface, SETTINGS without push, and a whole request", async () => {
  await using meeting = rawServer();
  const answer = meeting.get();
  const peer = await meeting.peer();
  assert.ok(peer.of(SETTINGS)[0].payload.length % 6 === 0);
  const values = new DataView(peer.of(SETTINGS)[0].payload.buffer);
  const sent = new Map<number, number>();
  for (let at = 0; at < values.byteLength; at += 6) sent.set(values.getUint16(at), values.getUint32(at + 2));
  assert.equal(sent.get(2), 0);
  const [{ flags, payload }] = peer.of(HEADERS, 1);
  assert.equal(flags, END);
  assert.deepEqual(peer.decode(payload), [
    [":method", "GET"],
    [":scheme", "https"],
    [":authority", "firn.test:1"],
    [":path", "/a?b"],
    ["x", "y"],
  ]);
  await peer.headers(1, [[":status", "103"], ["link", "early"]], Flag.END_HEADERS);
  await peer.headers(1, [OK, ["content-length", "4"]], Flag.END_HEADERS);
  await peer.frame(DATA, 0, 1, numbers(5));
  await peer.headers(1, [["x-trailer", "z"]], END);
  const { status, header, body, trailer } = await answer;
  assert.equal(status, 200);
  assert.equal(header.get("link"), null);
  assert.deepEqual(await collect(body), numbers(5));
  assert.equal(trailer.get("x-trailer"), "z");
});

Deno.test("http2 client: GOAWAY fails what was not begun, which may be retried, and finishes the rest", async () => {
  await using meeting = rawServer();
  const first = meeting.get();
  await meeting.peer(1);
  const second = meeting.get();
  const peer = await meeting.peer(3);
  await peer.frame(GOAWAY, 0, 0, numbers(1, 0));
  await assert.rejects(second, fails(ErrorCode.NO_ERROR, true));
  const third = meeting.get();
  while (meeting.peers.length < 2) await sleep(1);
  await peer.headers(1, [OK], END);
  assert.equal((await first).status, 200);
  await peer.ended;
  const next = await meeting.peer();
  await next.headers(1, [OK], END);
  assert.equal((await third).status, 200);
});

Deno.test("http2 client: a refused stream may be retried, one that was reset may not", async () => {
  await using meeting = rawServer();
  for (
    const [id, code, retryable] of [[1, ErrorCode.REFUSED_STREAM, true], [
      3,
      ErrorCode.INTERNAL_ERROR,
      false,
    ]] as const
  ) {
    const answer = meeting.get();
    const peer = await meeting.peer(id);
    await peer.frame(RST_STREAM, 0, id, numbers(code));
    await assert.rejects(answer, fails(code, retryable));
  }
  assert.equal(meeting.peers.length, 1);
});

const wrong: [name: string, act: (peer: RawPeer) => Promise<void>][] = [
  ["DATA before a head", (p) => p.frame(DATA, 0, 1, numbers(1))],
  ["an interim response that ends", (p) => p.headers(1, [[":status", "100"]], END)],
  ["no status", (p) => p.headers(1, [["a", "b"]], Flag.END_HEADERS)],
  ["a request", (p) => p.headers(1, [[":method", "GET"], [":path", "/"]], Flag.END_HEADERS)],
  ["connection", (p) => p.headers(1, [OK, ["connection", "close"]], Flag.END_HEADERS)],
  ["no body where content-length says so", (p) => p.headers(1, [OK, ["content-length", "3"]], END)],
];
for (const [name, act] of wrong) {
  Deno.test(`http2 client: ${name} resets the stream, and only that`, async () => {
    await using meeting = rawServer();
    const answer = meeting.get().then(({ body }) => collect(body));
    const peer = await meeting.peer();
    await act(peer);
    await assert.rejects(answer, fails(ErrorCode.PROTOCOL_ERROR, false));
    assert.equal(await peer.resetCode(1), ErrorCode.PROTOCOL_ERROR);
    const next = meeting.get();
    await meeting.peer(3);
    await peer.headers(3, [OK], END);
    assert.equal((await next).status, 200);
  });
}

const fatal: [name: string, act: (peer: RawPeer) => Promise<void>][] = [
  ["PUSH_PROMISE", (p) => p.frame(PUSH_PROMISE, Flag.END_HEADERS, 1, numbers(2))],
  ["HEADERS of a stream of its own", (p) => p.headers(2, [OK], END)],
  ["HEADERS of a stream that is not open", (p) => p.headers(99, [OK], END)],
  ["ENABLE_PUSH", (p) => p.frame(SETTINGS, 0, 0, settings([2, 1]))],
];
for (const [name, act] of fatal) {
  Deno.test(`http2 client: ${name} ends the connection`, async () => {
    await using meeting = rawServer();
    const answer = assert.rejects(meeting.get(), fails(ErrorCode.CANCEL, false));
    const peer = await meeting.peer();
    await act(peer);
    assert.equal(await peer.goAway(), ErrorCode.PROTOCOL_ERROR);
    await answer;
  });
}

Deno.test("http2 client: requests wait for a free stream, as many as the server allows", async () => {
  await using meeting = rawServer({}, [3, 2]);
  const first = meeting.get();
  const more = [meeting.get(), meeting.get()];
  const peer = await meeting.peer();
  const controller = new AbortController();
  const given = assert.rejects(meeting.get(controller.signal), /not any more/);
  await sleep(10);
  assert.equal(peer.of(HEADERS).length, 2);
  controller.abort(new Error("not any more"));
  await given;
  // One that cannot be sent after all leaves its turn to the next.
  const wrong = assert.rejects(
    meeting.client.request({ url: "no", method: "GET", header: new Headers() }),
    TypeError,
  );
  more.push(meeting.get());
  for (const id of [1, 3, 5, 7]) {
    await peer.expect(HEADERS, id);
    await peer.headers(id, [OK], END);
  }
  await wrong;
  for (const answer of [first, ...more]) assert.equal((await answer).status, 200);
  assert.equal(peer.of(HEADERS).length, 4);
});

Deno.test("http2 client: a body is asked for no further than the window, and not after the response", async () => {
  let asked = 0;
  let left = false;
  await using meeting = rawServer({}, [4, 10_000]);
  const first = meeting.get(); // after it SETTINGS have come
  await (await meeting.peer()).headers(1, [OK], END);
  await first;
  const body = (async function* () {
    try {
      while (true) {
        yield new Uint8Array(4000);
        asked += 4000;
        await undefined;
      }
    } finally {
      left = true;
    }
  })();
  const answer = meeting.client.request({ url: "http://a/", method: "POST", header: new Headers(), body });
  const peer = await meeting.peer(3);
  while (peer.received(3) < 10_000) await sleep(1);
  await sleep(20);
  assert.equal(peer.received(3), 10_000);
  assert.equal(asked, 8000);
  await peer.frame(WINDOW_UPDATE, 0, 3, numbers(2000));
  while (peer.received(3) < 12_000) await sleep(1);
  await peer.send(
    encodeFrame(HEADERS, END, 3, peer.block([OK])),
    encodeFrame(RST_STREAM, 0, 3, numbers(ErrorCode.NO_ERROR)),
  );
  const response = await answer;
  assert.equal((await collect(response.body)).length, 0);
  while (!left) await sleep(1);
  assert.equal(peer.of(RST_STREAM).length, 0);
});

Deno.test("http2 client: a body that throws resets the stream and fails the call", async () => {
  await using meeting = rawServer();
  const body = (async function* () {
    yield new Uint8Array(1);
    await undefined;
    throw new Error("no more");
  })();
  const answer = meeting.client.request({ url: "http://a/", method: "POST", header: new Headers(), body });
  await assert.rejects(answer, (error: Http2Error) => (error.cause as Error).message === "no more");
  assert.equal(await (await meeting.peer()).resetCode(1), ErrorCode.CANCEL);
});

Deno.test("http2 client: PINGs ask whether the server is there, while something is under way", async () => {
  await using meeting = rawServer({ keepaliveMs: 40, keepaliveTimeoutMs: 60 });
  const answer = assert.rejects(meeting.get(), fails(ErrorCode.CANCEL, false));
  const peer = await meeting.peer();
  const { payload } = await peer.expect(PING);
  await peer.frame(PING, Flag.ACK, 0, payload);
  await sleep(90);
  assert.equal(peer.of(GOAWAY).length, 0);
  assert.ok(peer.of(PING).length >= 2);
  await answer;
  await peer.goAway();
});

Deno.test("http2 client: a connection without streams is left after a while, and made anew", async () => {
  await using meeting = rawServer({ idleMs: 40 });
  for (let i = 0; i < 2; i++) {
    const answer = meeting.get();
    while (meeting.peers.length <= i) await sleep(1);
    const peer = await meeting.peer();
    await peer.headers(1, [OK], END);
    assert.equal((await answer).status, 200);
    assert.equal(await peer.goAway(), ErrorCode.NO_ERROR);
    assert.equal(read31(peer.of(GOAWAY)[0].payload, 0), 0);
    await peer.ended;
  }
});

Deno.test("http2 client: closed, it fails what is under way and what comes", async () => {
  await using meeting = rawServer();
  const answer = assert.rejects(meeting.get(), fails(ErrorCode.CANCEL, false));
  const peer = await meeting.peer();
  await meeting.client.close();
  await answer;
  await peer.ended;
  await assert.rejects(meeting.get(), /the client was closed/);
});
