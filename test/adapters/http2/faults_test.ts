/** Frames that must not be (RFC 9113): what ends the connection, what ends a stream, what is let pass. */
import assert from "node:assert/strict";
import { concat } from "../../../src/bytes/bytes.ts";
import { Flag, FrameType, PREFACE } from "../../../src/adapters/http2/frames.ts";
import type { HeaderField } from "../../../src/adapters/http2/hpack_tables.ts";
import { ErrorCode } from "../../../src/adapters/http2/http2_error.ts";
import type { Http2Handler } from "../../../src/adapters/http2/server.ts";
import { numbers, rawClient, type RawPeer, REQUEST, settings } from "./_raw_peer.ts";

const {
  DATA,
  HEADERS,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  PUSH_PROMISE,
  PING,
  GOAWAY,
  WINDOW_UPDATE,
  CONTINUATION,
} = FrameType;
const NONE = new Uint8Array(0);

/** Reads the request, then answers. */
const answer: Http2Handler = async ({ body }) => {
  for await (const _ of body);
  return { status: 200 };
};

type Act = (peer: RawPeer) => Promise<void>;

const fatal: [name: string, code: number, act: Act][] = [
  ["DATA on stream 0", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(DATA, 0, 0, numbers(1))],
  ["HEADERS on stream 0", ErrorCode.PROTOCOL_ERROR, (p) => p.request(0, true)],
  ["HEADERS on a stream of the server", ErrorCode.PROTOCOL_ERROR, (p) => p.request(2, true)],
  ["SETTINGS on a stream", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(SETTINGS, 0, 1)],
  ["PING on a stream", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(PING, 0, 1, numbers(0, 0))],
  ["GOAWAY on a stream", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(GOAWAY, 0, 1, numbers(0, 0))],
  ["PRIORITY on stream 0", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(PRIORITY, 0, 0, new Uint8Array(5))],
  ["RST_STREAM on stream 0", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(RST_STREAM, 0, 0, numbers(8))],
  ["RST_STREAM of an idle stream", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(RST_STREAM, 0, 1, numbers(8))],
  ["DATA on an idle stream", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(DATA, 0, 1, numbers(1))],
  [
    "WINDOW_UPDATE of an idle stream",
    ErrorCode.PROTOCOL_ERROR,
    (p) => p.frame(WINDOW_UPDATE, 0, 1, numbers(1)),
  ],
  ["WINDOW_UPDATE of 0 bytes", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(WINDOW_UPDATE, 0, 0, numbers(0))],
  [
    "a window of the connection over 2^31-1",
    ErrorCode.FLOW_CONTROL_ERROR,
    (p) => p.frame(WINDOW_UPDATE, 0, 0, numbers(0x7fffffff)),
  ],
  ["CONTINUATION alone", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(CONTINUATION, Flag.END_HEADERS, 1)],
  ["PUSH_PROMISE", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(PUSH_PROMISE, Flag.END_HEADERS, 1, numbers(2))],
  ["a short PING", ErrorCode.FRAME_SIZE_ERROR, (p) => p.frame(PING, 0, 0, numbers(1))],
  ["a short GOAWAY", ErrorCode.FRAME_SIZE_ERROR, (p) => p.frame(GOAWAY, 0, 0, numbers(1))],
  ["a long WINDOW_UPDATE", ErrorCode.FRAME_SIZE_ERROR, (p) => p.frame(WINDOW_UPDATE, 0, 0, numbers(1, 1))],
  ["a long RST_STREAM", ErrorCode.FRAME_SIZE_ERROR, (p) => p.frame(RST_STREAM, 0, 1, numbers(1, 1))],
  ["SETTINGS of 5 bytes", ErrorCode.FRAME_SIZE_ERROR, (p) => p.frame(SETTINGS, 0, 0, new Uint8Array(5))],
  [
    "an ack of SETTINGS with bytes",
    ErrorCode.FRAME_SIZE_ERROR,
    (p) => p.frame(SETTINGS, Flag.ACK, 0, new Uint8Array(6)),
  ],
  ["ENABLE_PUSH 2", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(SETTINGS, 0, 0, settings([2, 2]))],
  [
    "INITIAL_WINDOW_SIZE 2^31",
    ErrorCode.FLOW_CONTROL_ERROR,
    (p) => p.frame(SETTINGS, 0, 0, settings([4, 2 ** 31])),
  ],
  ["MAX_FRAME_SIZE 16383", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(SETTINGS, 0, 0, settings([5, 16383]))],
  ["MAX_FRAME_SIZE 2^24", ErrorCode.PROTOCOL_ERROR, (p) => p.frame(SETTINGS, 0, 0, settings([5, 2 ** 24]))],
  ["a frame of 256 KiB and a byte", ErrorCode.FRAME_SIZE_ERROR, (p) => {
    return p.send(new Uint8Array([4, 0, 1, DATA, 0, 0, 0, 0, 1]));
  }],
  ["DATA without its pad length", ErrorCode.FRAME_SIZE_ERROR, (p) => p.frame(DATA, Flag.PADDED, 1)],
  ["DATA that is too much padding", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.request(1, false);
    await p.frame(DATA, Flag.PADDED, 1, new Uint8Array([4, 1, 1, 1]));
  }],
  ["HEADERS that are too much padding", ErrorCode.PROTOCOL_ERROR, (p) => {
    return p.frame(HEADERS, Flag.PADDED | Flag.END_HEADERS, 1, new Uint8Array([9, 0x82]));
  }],
  ["HEADERS too short for their priority", ErrorCode.PROTOCOL_ERROR, (p) => {
    return p.frame(HEADERS, Flag.PRIORITY | Flag.END_HEADERS, 1, new Uint8Array(4));
  }],
  ["padded HEADERS without a pad length", ErrorCode.PROTOCOL_ERROR, (p) => {
    return p.frame(HEADERS, Flag.PADDED | Flag.END_HEADERS, 1);
  }],
  ["a stream that depends on itself", ErrorCode.PROTOCOL_ERROR, (p) => {
    return p.frame(PRIORITY, 0, 5, concat([numbers(5), new Uint8Array(1)]));
  }],
  ["a header block that is no HPACK", ErrorCode.COMPRESSION_ERROR, (p) => {
    return p.frame(HEADERS, Flag.END_HEADERS, 1, new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
  }],
  ["a stream below the last", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.request(5, true);
    await p.request(3, true);
  }],
  ["a frame between HEADERS and CONTINUATION", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.headers(1, REQUEST, 0);
    await p.frame(PING, 0, 0, numbers(0, 0));
  }],
  ["an unknown frame between HEADERS and CONTINUATION", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.headers(1, REQUEST, 0);
    await p.frame(0x42, 0, 1, numbers(0, 0));
  }],
  ["CONTINUATION of another stream", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.headers(1, REQUEST, 0);
    await p.frame(CONTINUATION, Flag.END_HEADERS, 3);
  }],
  ["HEADERS of a stream that has ended", ErrorCode.STREAM_CLOSED, async (p) => {
    await p.request(1, true);
    await p.expect(HEADERS, 1);
    await p.request(1, true);
  }],
  ["DATA of a stream that has ended", ErrorCode.STREAM_CLOSED, async (p) => {
    await p.request(1, true);
    await p.expect(HEADERS, 1);
    await p.frame(DATA, 0, 1, numbers(1));
  }],
  ["DATA of a stream the peer has reset", ErrorCode.STREAM_CLOSED, async (p) => {
    await p.request(1, false);
    await p.frame(RST_STREAM, 0, 1, numbers(8));
    await p.frame(DATA, 0, 1, numbers(1));
  }],
  ["DATA beyond the window of the connection", ErrorCode.FLOW_CONTROL_ERROR, async (p) => {
    const all = 256 * 1024;
    for (let id = 1; id <= 9; id += 2) {
      await p.request(id, false, [["x-hold", "yes"]]);
      for (let i = 0; i < 4; i++) await p.frame(DATA, 0, id, new Uint8Array(all));
    }
  }],
];

for (const [name, code, act] of fatal) {
  Deno.test(`http2: ${name} ends the connection`, async () => {
    await using meeting = rawClient(async (request) => {
      if (request.header.has("x-hold")) await new Promise((resolve) => request.signal.onabort = resolve);
      return answer(request);
    });
    const { peer } = meeting;
    await peer.greet();
    await act(peer).catch(() => {});
    assert.equal(await peer.goAway(), code);
    await meeting.served;
    assert.deepEqual(meeting.logged, []);
  });
}

Deno.test("http2: a connection begins with the preface, then SETTINGS", async () => {
  for (
    const begin of [
      new TextEncoder().encode("GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
      concat([PREFACE, new Uint8Array([0, 0, 8, PING, 0, 0, 0, 0, 0]), numbers(0, 0)]),
      concat([PREFACE, new Uint8Array([0, 0, 0, SETTINGS, Flag.ACK, 0, 0, 0, 0])]),
    ]
  ) {
    await using meeting = rawClient(answer);
    await meeting.peer.send(begin);
    assert.equal(await meeting.peer.goAway(), ErrorCode.PROTOCOL_ERROR);
    await meeting.served;
  }
});

const ofStream: [name: string, code: number, act: Act][] = [
  ["DATA after END_STREAM", ErrorCode.STREAM_CLOSED, async (p) => {
    await p.request(1, true, [["x-wait", "yes"]]);
    await p.frame(DATA, 0, 1, numbers(1));
  }],
  ["HEADERS after END_STREAM", ErrorCode.STREAM_CLOSED, async (p) => {
    await p.request(1, true, [["x-wait", "yes"]]);
    await p.headers(1, [["a", "b"]], Flag.END_HEADERS | Flag.END_STREAM);
  }],
  ["PRIORITY of 4 bytes", ErrorCode.FRAME_SIZE_ERROR, async (p) => {
    await p.request(1, false);
    await p.frame(PRIORITY, 0, 1, numbers(0));
  }],
  ["WINDOW_UPDATE of 0 bytes", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.request(1, false);
    await p.frame(WINDOW_UPDATE, 0, 1, numbers(0));
  }],
  ["a window over 2^31-1", ErrorCode.FLOW_CONTROL_ERROR, async (p) => {
    await p.request(1, false);
    await p.frame(WINDOW_UPDATE, 0, 1, numbers(0x7fffffff));
  }],
  ["DATA beyond its window", ErrorCode.FLOW_CONTROL_ERROR, async (p) => {
    await p.request(1, false, [["x-wait", "yes"]]);
    for (let i = 0; i < 5; i++) await p.frame(DATA, 0, 1, new Uint8Array(256 * 1024));
  }],
  ["trailers that do not end it", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.request(1, false);
    await p.headers(1, [["a", "b"]], Flag.END_HEADERS);
  }],
  ["a pseudo-header field in trailers", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.request(1, false);
    await p.headers(1, [[":path", "/"]], Flag.END_HEADERS | Flag.END_STREAM);
  }],
  ["a body shorter than content-length", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.request(1, false, [["content-length", "5"]]);
    await p.frame(DATA, Flag.END_STREAM, 1, numbers(1));
  }],
  ["a body longer than content-length", ErrorCode.PROTOCOL_ERROR, async (p) => {
    await p.request(1, false, [["content-length", "3"]]);
    await p.frame(DATA, 0, 1, numbers(1));
  }],
  ["no body where content-length says so", ErrorCode.PROTOCOL_ERROR, (p) => {
    return p.request(1, true, [["content-length", "3"]]);
  }],
];

const [METHOD, SCHEME, AUTHORITY, PATH] = REQUEST;
const malformed: [name: string, fields: HeaderField[]][] = [
  ["no :method", [SCHEME, AUTHORITY, PATH]],
  ["no :scheme", [METHOD, AUTHORITY, PATH]],
  ["no :path", [METHOD, SCHEME, AUTHORITY]],
  ["no :authority and no host", [METHOD, SCHEME, PATH]],
  ["an empty :path", [METHOD, SCHEME, AUTHORITY, [":path", ""]]],
  ["a :path that is no path", [METHOD, SCHEME, AUTHORITY, [":path", "x/"]]],
  ["a :path with a space", [METHOD, SCHEME, AUTHORITY, [":path", "/a b"]]],
  ["a :method with a space", [[":method", "GET it"], SCHEME, AUTHORITY, PATH]],
  ["an :authority with a user", [METHOD, SCHEME, [":authority", "me@firn.test"], PATH]],
  ["an :authority with a slash", [METHOD, SCHEME, [":authority", "firn.test/a"], PATH]],
  ["a host that is another", [...REQUEST, ["host", "other.test"]]],
  ["two :path", [...REQUEST, PATH]],
  ["an unknown pseudo-header field", [...REQUEST, [":protocol", "websocket"]]],
  ["one of responses", [...REQUEST, [":status", "200"]]],
  ["one after other fields", [METHOD, SCHEME, AUTHORITY, ["a", "b"], PATH]],
  ["an upper-case name", [...REQUEST, ["X-Name", "b"]]],
  ["an empty name", [...REQUEST, ["", "b"]]],
  ["a name with a space", [...REQUEST, ["a b", "c"]]],
  ["a value with a line feed", [...REQUEST, ["a", "b\nc"]]],
  ["a value with NUL", [...REQUEST, ["a", "b\0"]]],
  ["a value that begins with a space", [...REQUEST, ["a", " b"]]],
  ["connection", [...REQUEST, ["connection", "close"]]],
  ["transfer-encoding", [...REQUEST, ["transfer-encoding", "chunked"]]],
  ["upgrade", [...REQUEST, ["upgrade", "h2c"]]],
  ["te that is not trailers", [...REQUEST, ["te", "gzip"]]],
  ["a content-length that is no number", [...REQUEST, ["content-length", "-1"]]],
  ["two content-lengths", [...REQUEST, ["content-length", "0"], ["content-length", "1"]]],
  ["CONNECT with a :path", [[":method", "CONNECT"], AUTHORITY, PATH]],
];

for (
  const [name, code, act] of [
    ...ofStream,
    ...malformed.map(([name, fields]): [string, number, Act] => [name, ErrorCode.PROTOCOL_ERROR, (p) => {
      return p.headers(1, fields, Flag.END_HEADERS | Flag.END_STREAM);
    }]),
  ]
) {
  Deno.test(`http2: ${name} ends the stream, and only that`, async () => {
    await using meeting = rawClient(async (request) => {
      if (request.header.has("x-wait")) await new Promise((resolve) => request.signal.onabort = resolve);
      return answer(request);
    });
    const { peer } = meeting;
    await peer.greet();
    await act(peer);
    assert.equal(await peer.resetCode(1), code);
    await peer.request(3, true);
    const { payload } = await peer.expect(HEADERS, 3);
    assert.deepEqual(peer.decode(payload), [[":status", "200"]]);
    assert.deepEqual(peer.of(GOAWAY), []);
    assert.equal(meeting.server.streamCount, 0);
    assert.equal(meeting.server.heldBytes, 0);
    assert.deepEqual(meeting.logged, []);
  });
}

const fine: [name: string, act: Act][] = [
  ["unknown frames, flags and settings", async (p) => {
    await p.frame(0x42, 0xff, 0, numbers(1, 2, 3));
    await p.frame(0x43, 0xff, 77, new Uint8Array(100_000));
    await p.frame(SETTINGS, 0, 0, settings([0x99, 5], [6, 100]));
    await p.frame(PING, 0xfe, 0, numbers(1, 2));
  }],
  ["priorities, of streams that are not open too", async (p) => {
    await p.frame(PRIORITY, 0, 7, concat([numbers(0x80000000 + 3), new Uint8Array(1)]));
  }],
  ["frames of a stream that was reset here", async (p) => {
    await p.headers(1, [...REQUEST, ["te", "no"]], Flag.END_HEADERS);
    await p.frame(DATA, 0, 1, numbers(1));
    await p.headers(1, [["x-a", "in the table"]], Flag.END_HEADERS | Flag.END_STREAM);
    await p.frame(WINDOW_UPDATE, 0, 1, numbers(1));
    await p.frame(RST_STREAM, 0, 1, numbers(8));
    await p.expect(RST_STREAM, 1);
  }],
  ["a reserved bit, padding of 0 and GOAWAY of the client", async (p) => {
    await p.send(new Uint8Array([0, 0, 8, PING, 0, 0x80, 0, 0, 0]), numbers(0, 0));
    await p.request(1, false);
    await p.frame(DATA, Flag.PADDED | Flag.END_STREAM, 1, new Uint8Array([0]));
    await p.frame(GOAWAY, 0, 0, numbers(0, 0));
  }],
  ["a header block in many pieces", async (p) => {
    const block = p.block([...REQUEST, ["x-long", "y".repeat(100)]]);
    await p.frame(HEADERS, Flag.END_STREAM, 1, block.subarray(0, 1));
    for (let i = 1; i < 20; i++) await p.frame(CONTINUATION, 0, 1, block.subarray(i, i + 1));
    await p.frame(CONTINUATION, Flag.END_HEADERS, 1, block.subarray(20));
    await p.expect(HEADERS, 1);
  }],
  ["CONNECT, OPTIONS of everything, cookies in crumbs", async (p) => {
    await p.headers(1, [[":method", "CONNECT"], AUTHORITY], Flag.END_HEADERS | Flag.END_STREAM);
    await p.headers(
      3,
      [[":method", "OPTIONS"], SCHEME, AUTHORITY, [":path", "*"]],
      Flag.END_HEADERS | Flag.END_STREAM,
    );
    await p.request(5, true, [["cookie", "a=b"], ["cookie", "c=d"], ["host", "FIRN.test"], [
      "te",
      "trailers",
    ]]);
    for (const id of [1, 3, 5]) await p.expect(HEADERS, id);
  }],
];

for (const [name, act] of fine) {
  Deno.test(`http2: fine are ${name}`, async () => {
    const seen: string[] = [];
    await using meeting = rawClient((request) => {
      seen.push(`${request.method} ${request.url} ${request.header.get("cookie")}`);
      return answer(request);
    });
    const { peer } = meeting;
    await peer.greet();
    await act(peer);
    await peer.request(101, true);
    await peer.expect(HEADERS, 101);
    assert.equal(seen.pop(), "POST http://firn.test/ null");
    if (name.startsWith("CONNECT")) {
      assert.deepEqual(seen, [
        "CONNECT http://firn.test/ null",
        "OPTIONS http://firn.test/* null",
        "POST http://firn.test/ a=b; c=d",
      ]);
    }
    assert.equal(meeting.server.heldBytes, 0);
  });
}

Deno.test("http2: a header list that is too large is status 431, and the tables stay the same", async () => {
  await using meeting = rawClient(answer);
  const { peer } = meeting;
  await peer.greet();
  await peer.request(1, true, [["x-a", "y".repeat(9000)], ["x-b", "y".repeat(9000)], ["x-c", "kept"]]);
  assert.deepEqual(peer.decode((await peer.expect(HEADERS, 1)).payload), [[":status", "431"]]);
  await peer.request(3, true, [["x-c", "kept"]]);
  assert.deepEqual(peer.decode((await peer.expect(HEADERS, 3)).payload), [[":status", "200"]]);
});

Deno.test("http2: SETTINGS and PING are acknowledged", async () => {
  await using meeting = rawClient(answer);
  const { peer } = meeting;
  await peer.greet(settings([3, 10]));
  await peer.frame(PING, 0, 0, numbers(123, 456));
  const { payload } = await peer.expect(PING);
  assert.deepEqual(payload, numbers(123, 456));
  assert.deepEqual(peer.of(SETTINGS).map(({ flags, payload }) => [flags, payload.length > 0]), [[0, true], [
    1,
    false,
  ]]);
  assert.deepEqual(peer.of(SETTINGS)[1].payload, NONE);
});
