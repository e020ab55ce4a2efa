// Calls over WebSockets (grpc-websockets): by Deno's own client, and by evans.
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { fromHex } from "../../src/bytes/hex.ts";
import {
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import * as snix from "../../src/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { client, clientPath } from "../e2e/grpc_clients.ts";
import { permissions } from "../needs.ts";
import { type Frame, frame, headersOf } from "./_grpc_clients.ts";
import { Listening, until } from "./_wire.ts";
import { assertRefused, noise, type Site, siteTest } from "./_site.ts";

const HELLO = fromText("Hello World!");
const HELLO_DIGEST = fromHex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
const PUT = "snix.castore.v1.BlobService/Put";
const READ = "snix.castore.v1.BlobService/Read";
const STAT = "snix.castore.v1.BlobService/Stat";
const REFLECT = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const HEADERS = "content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n";
const HALF_CLOSE = Uint8Array.of(1);

const OPTIONS = {
  needs: [permissions],
  upgradeWebSocket: (request: Request, protocol: string) => Deno.upgradeWebSocket(request, { protocol }),
};

/** A client of one call: what it receives is kept, in pairs. */
class Call {
  readonly socket: WebSocket;
  readonly messages: Bytes[] = [];
  readonly closed: Promise<CloseEvent>;

  private constructor(url: string, path: string, protocols: string | string[]) {
    this.socket = new WebSocket(`${url.replace("http", "ws")}/${path}`, protocols);
    this.socket.binaryType = "arraybuffer";
    this.socket.onmessage = ({ data }) => this.messages.push(new Uint8Array(data));
    this.closed = new Promise((resolve) => this.socket.onclose = resolve);
  }

  static async open(url: string, path: string, headers: string | null = HEADERS): Promise<Call> {
    const call = new Call(url, path, ["other", "grpc-websockets"]);
    await new Promise((resolve, reject) => {
      call.socket.onopen = resolve;
      call.socket.onerror = reject;
    });
    assert.equal(call.socket.protocol, "grpc-websockets");
    if (headers !== null) call.socket.send(fromText(headers));
    return call;
  }

  /** Sends bytes of the body. */
  send(bytes: Uint8Array): void {
    this.socket.send(concat([Uint8Array.of(0), bytes]));
  }

  /** Everything, up to the close, which must be a normal one: the headers, the messages, the trailers. */
  async answer(): Promise<{ header: Headers; payloads: Bytes[]; trailer: Headers }> {
    const { code, reason } = await this.closed;
    assert.deepEqual([code, reason], [1000, ""]);
    const frames = this.frames();
    assert.deepEqual(frames.map(({ flag }) => flag >> 7).join(""), `1${"0".repeat(frames.length - 2)}1`);
    return {
      header: headersOf(frames[0].payload),
      payloads: frames.slice(1, -1).map(({ payload }) => payload),
      trailer: headersOf(frames[frames.length - 1].payload),
    };
  }

  /** Frames received so far: a message of five bytes, and one of as many as those say. */
  frames(): Frame[] {
    return Array.from({ length: this.messages.length >> 1 }, (_, i) => {
      const [prefix, payload] = this.messages.slice(2 * i, 2 * i + 2);
      assert.equal(prefix.length, 5);
      assert.equal(new DataView(prefix.buffer).getUint32(1), payload.length);
      return { flag: prefix[0], payload };
    });
  }
}

const chunk = (data: Uint8Array) =>
  frame(toBinary(snix.BlobChunkSchema, create(snix.BlobChunkSchema, { data })));
const named = (digest: Uint8Array) => frame(concat([Uint8Array.of(0x0a, digest.length), digest]));

async function put(url: string, ...parts: Uint8Array[]): Promise<Bytes> {
  const call = await Call.open(url, PUT);
  for (const part of parts) call.send(chunk(part));
  call.socket.send(HALF_CLOSE);
  const { payloads, trailer } = await call.answer();
  assert.equal(trailer.get("grpc-status"), "0");
  return fromBinary(snix.PutBlobResponseSchema, payloads[0]).digest as Bytes;
}

siteTest("all four kinds of calls", async (site) => {
  await using listening = new Listening(site);
  assert.deepEqual(await put(listening.url, HELLO.slice(0, 5), HELLO.slice(5)), HELLO_DIGEST);
  const stat = await Call.open(listening.url, STAT);
  stat.send(named(HELLO_DIGEST));
  stat.socket.send(HALF_CLOSE);
  const { header, payloads, trailer } = await stat.answer();
  assert.match(header.get("content-type") ?? "", /^application\/grpc-web/);
  assert.deepEqual(payloads.map(({ length }) => length), [0]);
  assert.equal(trailer.get("grpc-status"), "0");

  const long = noise(5_000_000, 11);
  const digest = await put(listening.url, long.slice(0, 3_000_000), long.slice(3_000_000));
  const read = await Call.open(listening.url, READ);
  read.send(named(digest));
  read.socket.send(HALF_CLOSE);
  const answer = await read.answer();
  assert.ok(answer.payloads.length > 5);
  const data = answer.payloads.map((payload) => fromBinary(snix.BlobChunkSchema, payload).data);
  assert.deepEqual(concat(data), long);

  // Both directions at once: an answer comes before the next question is asked.
  const reflect = await Call.open(listening.url, REFLECT);
  for (
    const [round, symbol] of ["snix.castore.v1.BlobService", "tvix.store.v1.PathInfo", "no.Such"].entries()
  ) {
    const messageRequest = { case: "fileContainingSymbol", value: symbol } as const;
    const request = create(ServerReflectionRequestSchema, { messageRequest });
    reflect.send(frame(toBinary(ServerReflectionRequestSchema, request)));
    await until(`answer ${round}`, () => reflect.frames().length === round + 2);
    const { payload } = reflect.frames()[round + 1];
    const { messageResponse } = fromBinary(ServerReflectionResponseSchema, payload);
    assert.equal(messageResponse.case, round < 2 ? "fileDescriptorResponse" : "errorResponse");
  }
  reflect.socket.send(HALF_CLOSE);
  assert.equal((await reflect.answer()).trailer.get("grpc-status"), "0");
}, OPTIONS);

siteTest("a body cut anywhere is the same body", async (site) => {
  await using listening = new Listening(site);
  const body = concat([chunk(HELLO.slice(0, 5)), chunk(HELLO.slice(5))]);
  for (const size of [1, 3, body.length]) {
    const call = await Call.open(listening.url, PUT);
    for (let at = 0; at < body.length; at += size) call.send(body.subarray(at, at + size));
    call.send(new Uint8Array(0));
    call.socket.send(HALF_CLOSE);
    const { payloads } = await call.answer();
    assert.deepEqual(fromBinary(snix.PutBlobResponseSchema, payloads[0]).digest, HELLO_DIGEST);
  }
}, OPTIONS);

siteTest("a call that fails ends with its status, and a normal close", async (site) => {
  await using listening = new Listening(site);
  const cases: [string, string, Uint8Array, Code][] = [
    [STAT, HEADERS, named(HELLO_DIGEST), Code.NotFound],
    [READ, HEADERS, named(HELLO_DIGEST), Code.NotFound],
    [READ, HEADERS, named(new Uint8Array(3)), Code.InvalidArgument],
    [PUT, HEADERS, chunk(noise(2001)), Code.ResourceExhausted],
    ["snix.castore.v1.BlobService/Nothing", HEADERS, named(HELLO_DIGEST), Code.Unimplemented],
    [STAT, "content-type: text/plain\r\n", named(HELLO_DIGEST), Code.Unimplemented],
    [STAT, "content-type: application/grpc-web-text\r\n", named(HELLO_DIGEST), Code.Unimplemented],
    [STAT, "x-user: me\r\n", named(HELLO_DIGEST), Code.NotFound],
  ];
  for (const [path, headers, body, code] of cases) {
    const call = await Call.open(listening.url, path, headers);
    call.send(body);
    call.socket.send(HALF_CLOSE);
    const { trailer, payloads } = await call.answer();
    assert.equal(trailer.get("grpc-status"), String(code), `${path} ${headers}`);
    assert.deepEqual(payloads, []);
  }
}, { ...OPTIONS, maxMessageBytes: 2000 });

siteTest("what does not follow the protocol is closed with 1002", async (site) => {
  await using listening = new Listening(site);
  const headerless = (message: string | Uint8Array<ArrayBuffer>) => [null, message] as const;
  const cases: (readonly [string | null, ...(string | Uint8Array<ArrayBuffer>)[]])[] = [
    headerless("content-type: application/grpc-web+proto\r\n"),
    headerless(fromText("no colon\r\n")),
    headerless(fromText(": no name\r\n")),
    headerless(fromText("bad name: x\r\n")),
    headerless(fromText("x: a\nb\r\n")),
    [HEADERS, "text"],
    [HEADERS, new Uint8Array(0)],
    [HEADERS, Uint8Array.of(2)],
    [HEADERS, Uint8Array.of(1, 0)],
    [HEADERS, HALF_CLOSE, HALF_CLOSE],
    [HEADERS, HALF_CLOSE, Uint8Array.of(0)],
  ];
  for (const [headers, ...messages] of cases) {
    const call = await Call.open(listening.url, PUT, headers);
    // In one go, so that the call is not over before the last of them.
    for (const message of messages) call.socket.send(message);
    const { code, reason } = await call.closed;
    if (messages[0] === HALF_CLOSE && code === 1000) continue; // it was faster than the second message
    assert.equal(code, 1002, `${headers} ${messages}`);
    assert.match(reason, /^Cannot read /);
  }
}, OPTIONS);

siteTest("headers that are too long, or never come, close the socket", async (site) => {
  await using listening = new Listening(site);
  const long = await Call.open(listening.url, PUT, `x: ${"y".repeat(16_384)}\r\n`);
  assert.equal((await long.closed).code, 1009);
  const silent = await Call.open(listening.url, PUT, null);
  const { code, reason } = await silent.closed;
  assert.deepEqual([code, reason], [1008, "Cannot answer: no headers came"]);
}, { ...OPTIONS, stallMs: 300 });

siteTest("a client that stalls in the middle is told so, and nothing is kept", async (site) => {
  await using listening = new Listening(site);
  const call = await Call.open(listening.url, PUT);
  call.send(chunk(HELLO));
  const { trailer } = await call.answer();
  assert.equal(trailer.get("grpc-status"), String(Code.DeadlineExceeded));
  assert.equal(await site.services.blobs.has(HELLO_DIGEST), false);
}, { ...OPTIONS, stallMs: 300 });

siteTest("a client that goes on sending after its call has failed still learns why", async (site) => {
  await using listening = new Listening(site);
  const call = await Call.open(listening.url, PUT);
  call.send(chunk(noise(2001)));
  for (let i = 0; i < 30; i++) call.send(new Uint8Array(1_000_000));
  assert.equal((await call.answer()).trailer.get("grpc-status"), String(Code.ResourceExhausted));
}, { ...OPTIONS, maxMessageBytes: 2000 });

/** Blobs that are put only when the gate is opened, and whether a put of them has failed. */
function gated(site: Site): { open: () => void; failed: () => boolean } {
  let open = () => {};
  let failed = false;
  const gate = new Promise<void>((resolve) => open = resolve);
  const { blobs } = site.services;
  const original = blobs.put.bind(blobs);
  blobs.put = async (source) => {
    await gate;
    return await original(source).catch((error) => {
      failed = true;
      throw error;
    });
  };
  return { open, failed: () => failed };
}

siteTest("a client far ahead of the store is closed out, one less far is served", async (site) => {
  const gate = gated(site);
  await using listening = new Listening(site);
  const piece = noise(1_000_000, 21);
  const far = await Call.open(listening.url, PUT);
  for (let i = 0; i < 40; i++) far.send(chunk(piece));
  const { code, reason } = await far.closed;
  assert.equal(code, 1013);
  assert.match(reason, /^Cannot keep up: .*PUT \/blob/);
  const near = await Call.open(listening.url, PUT);
  for (let i = 0; i < 20; i++) near.send(chunk(piece));
  near.socket.send(HALF_CLOSE);
  await new Promise((resolve) => setTimeout(resolve, 300));
  gate.open();
  assert.equal((await near.answer()).trailer.get("grpc-status"), "0");
  await until("the end of the other", gate.failed);
}, OPTIONS);

siteTest("a message over the bound is closed with 1009", async (site) => {
  await using listening = new Listening(site);
  const call = await Call.open(listening.url, PUT);
  call.send(new Uint8Array(33 * 1024 * 1024));
  assert.equal((await call.closed).code, 1009);
}, OPTIONS);

siteTest("a client that leaves in the middle cancels the call", async (site) => {
  let ended = 0;
  let read = 0;
  site.services.blobs.open = () =>
    Promise.resolve({
      size: Number.MAX_SAFE_INTEGER,
      bytes: () => Promise.reject(new Error("endless")),
      async *[Symbol.asyncIterator]() {
        try {
          for (;; read++) {
            await new Promise((resolve) => setTimeout(resolve, 1));
            yield new Uint8Array(65_536);
          }
        } finally {
          ended++;
        }
      },
    });
  await using listening = new Listening(site);
  const call = await Call.open(listening.url, READ);
  call.send(named(HELLO_DIGEST));
  call.socket.send(HALF_CLOSE);
  await until("some of the answer", () => call.messages.length > 4);
  call.socket.close();
  await until("the end of the reader", () => ended === 1);
  const before = read;
  const upload = await Call.open(listening.url, PUT);
  upload.send(chunk(HELLO));
  upload.socket.close();
  await upload.closed;
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(await site.services.blobs.has(HELLO_DIGEST), false);
  assert.equal(read, before);
}, OPTIONS);

siteTest("a client that reads nothing does not fill the memory, and is closed out", async (site) => {
  let read = 0;
  let ended = false;
  site.services.blobs.open = () =>
    Promise.resolve({
      size: Number.MAX_SAFE_INTEGER,
      bytes: () => Promise.reject(new Error("endless")),
      async *[Symbol.asyncIterator]() {
        try {
          for (;; read++) {
            await new Promise((resolve) => setTimeout(resolve));
            yield new Uint8Array(262_144);
          }
        } finally {
          ended = true;
        }
      },
    });
  await using listening = new Listening(site);
  const { hostname, port, host } = new URL(listening.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(fromText(
    `GET /${READ} HTTP/1.1\r\nhost: ${host}\r\nupgrade: websocket\r\nconnection: upgrade\r\n` +
      "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      "sec-websocket-protocol: grpc-websockets\r\n\r\n",
  ));
  await connection.read(new Uint8Array(1000));
  // Frames of a client: binary, final, masked with zeros.
  const message = (bytes: Uint8Array) =>
    concat([Uint8Array.of(0x82, 0x80 + bytes.length, 0, 0, 0, 0), bytes]);
  await connection.write(message(fromText(HEADERS)));
  await connection.write(message(concat([Uint8Array.of(0), named(HELLO_DIGEST)])));
  await connection.write(message(HALF_CLOSE));
  await until("the end of the reader", () => ended);
  assert.ok(read < 200, `${read} pieces of 256 KiB`);
}, { ...OPTIONS, stallMs: 500 });

siteTest("only this subprotocol, and only where the platform has WebSockets", async (site) => {
  const ask = (protocol: string) =>
    site.get(STAT, { upgrade: "websocket", connection: "upgrade", "sec-websocket-protocol": protocol });
  await assertRefused(await ask("chat"), 400, /want the subprotocol grpc-websockets/);
  // A handshake that has no key.
  await assertRefused(await ask("grpc-websockets"), 400, /^Cannot open a WebSocket: /);
}, OPTIONS);

siteTest("without an upgrade the paths say so", async (site) => {
  const answer = await site.get(STAT, { upgrade: "websocket", "sec-websocket-protocol": "grpc-websockets" });
  await assertRefused(answer, 501, /this server has none/);
});

siteTest("evans asks for the services, puts and reads", async (site) => {
  await using listening = new Listening(site);
  const { hostname, port } = new URL(listening.url);
  const cli = async (input: string, ...args: string[]) => {
    const child = new Deno.Command(clientPath("evans"), {
      args: ["--web", "-r", "--host", hostname, "--port", port, "cli", ...args],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(fromText(input));
    await writer.close();
    const { stdout, stderr } = await child.output();
    return new TextDecoder().decode(concat([stdout, stderr]));
  };
  const services = await cli("", "list");
  for (const era of ["snix", "tvix"]) {
    assert.match(services, new RegExp(`^${era}\\.castore\\.v1\\.BlobService$`, "m"));
    const put = await cli('{"data":"eDg2XzY0LWxpbnV4"}', "call", `${era}.castore.v1.BlobService.Put`);
    const { digest } = JSON.parse(put);
    assert.equal(digest, "KOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA=");
    const read = await cli(JSON.stringify({ digest }), "call", `${era}.castore.v1.BlobService.Read`);
    assert.equal(JSON.parse(read).data, "eDg2XzY0LWxpbnV4");
  }
  const wrong = await cli('{"digest":"AAAA"}', "call", "snix.castore.v1.BlobService.Put");
  assert.match(wrong, /evans: /);
}, { ...OPTIONS, needs: [client("evans")] });
