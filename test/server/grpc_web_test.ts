// Remote calls on the port of the binary cache: gRPC-Web, binary and text, and Connect, over real HTTP.
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { type Bytes, concat, fromText, toText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import type { BlobReader } from "../../src/castore/blob_service.ts";
import * as snix from "../../src/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import * as tvix from "../../src/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { type Need, permissions } from "../needs.ts";
import { frame, framesOf, headersOf, PROTOCOLS, transportTo } from "./_grpc_clients.ts";
import { Listening, until } from "./_wire.ts";
import { assertRefused, noise, type Site, siteTest } from "./_site.ts";

const HELLO = fromText("Hello World!");
const HELLO_DIGEST = fromHex("5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c");
const READ = "snix.castore.v1.BlobService/Read";
const PUT = "snix.castore.v1.BlobService/Put";
const STAT = "snix.castore.v1.BlobService/Stat";
const NEEDS: { needs: readonly Need[] } = { needs: [permissions] };
const WRITING = { writingOrigins: ["https://page.example"] };
const WAYS = (Object.keys(PROTOCOLS) as (keyof typeof PROTOCOLS)[]).flatMap((protocol) =>
  [false, true].map((json) => ({ protocol, json }))
);

async function* chunks(...parts: Uint8Array[]): AsyncGenerator<{ data: Uint8Array }> {
  for (const data of parts) yield await Promise.resolve({ data });
}

async function dataOf(messages: AsyncIterable<{ data: Uint8Array }>): Promise<Bytes> {
  return concat((await Array.fromAsync(messages)).map(({ data }) => data));
}

async function codeOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(() => undefined, (error) => error);
  assert.ok(error instanceof ConnectError, String(error));
  return `${Code[error.code]}: ${error.rawMessage}`;
}

siteTest("Connect's clients put and read blobs, in both packages", async (site) => {
  await using listening = new Listening(site);
  for (const { protocol, json } of WAYS) {
    const transport = transportTo(listening.url, protocol, { json });
    for (
      const client of [createClient(snix.BlobService, transport), createClient(tvix.BlobService, transport)]
    ) {
      const put = await client.put(chunks(HELLO.slice(0, 5), new Uint8Array(0), HELLO.slice(5)));
      assert.deepEqual(put.digest, HELLO_DIGEST, protocol);
      assert.deepEqual(await dataOf(client.read({ digest: HELLO_DIGEST })), HELLO);
      assert.deepEqual((await client.stat({ digest: HELLO_DIGEST })).chunks, []);
      const long = noise(2_500_000, 3);
      const { digest } = await client.put(chunks(long.slice(0, 900_000), long.slice(900_000)));
      assert.deepEqual(await dataOf(client.read({ digest })), long);
      const absent = new Uint8Array(32).fill(7);
      assert.match(await codeOf(client.stat({ digest: absent })), /^NotFound: .*blake3-/);
      assert.match(await codeOf(dataOf(client.read({ digest: absent }))), /^NotFound: .*blake3-/);
      assert.match(await codeOf(client.stat({ digest: new Uint8Array(3) })), /^InvalidArgument/);
    }
  }
}, NEEDS);

siteTest("a message over the limit is refused, in the middle of a stream too", async (site) => {
  await using listening = new Listening(site);
  for (const { protocol, json } of WAYS) {
    const client = createClient(snix.BlobService, transportTo(listening.url, protocol, { json }));
    const call = client.put(chunks(HELLO, noise(20_000)));
    assert.match(await codeOf(call), /^ResourceExhausted: .*10000/, `${protocol} ${json}`);
  }
}, { ...NEEDS, maxMessageBytes: 10_000 });

/** A call in gRPC-Web by hand. */
async function post(site: Site, path: string, type: string, body: BodyInit): Promise<Response> {
  const headers = { "content-type": type, "x-grpc-web": "1", origin: "https://page.example" };
  return await site.send("POST", path, { body, headers });
}

/** A stream of these texts. */
function pieces(...texts: string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull(controller) {
      const text = texts.shift();
      if (text === undefined) controller.close();
      else controller.enqueue(fromText(text));
    },
  });
}

const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));

/** The frames of an answer in text: runs of base64 with padding, one after another. */
async function textFrames(answer: Response): Promise<ReturnType<typeof framesOf>> {
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get("content-type"), "application/grpc-web-text+proto");
  const runs = (await answer.text()).match(/[^=]+=*/g) ?? [];
  return framesOf(concat(runs.map((run) => {
    assert.equal(run.length % 4, 0, "a whole run");
    return Uint8Array.from(atob(run), (char) => char.charCodeAt(0));
  })));
}

siteTest("gRPC-Web as text: runs of base64, cut anywhere", async (site) => {
  const messages = concat([HELLO.slice(0, 1), HELLO.slice(1)].map((data) => {
    return frame(toBinary(snix.BlobChunkSchema, create(snix.BlobChunkSchema, { data })));
  }));
  for (const type of ["application/grpc-web-text", "application/grpc-web-text+proto"]) {
    for (let run = 1; run <= messages.length; run++) {
      let text = "";
      for (let at = 0; at < messages.length; at += run) text += base64(messages.subarray(at, at + run));
      for (const cut of [1, 5, text.length]) {
        const cuts = text.match(new RegExp(`.{1,${cut}}`, "g"))!;
        const [put, trailers] = await textFrames(await post(site, PUT, type, pieces(...cuts)));
        assert.deepEqual(fromBinary(snix.PutBlobResponseSchema, put.payload).digest, HELLO_DIGEST);
        assert.equal(trailers.flag, 0x80);
        assert.equal(headersOf(trailers.payload).get("grpc-status"), "0");
      }
    }
    const request = toBinary(
      snix.ReadBlobRequestSchema,
      create(snix.ReadBlobRequestSchema, { digest: HELLO_DIGEST }),
    );
    const [read] = await textFrames(await post(site, READ, type, base64(frame(request))));
    assert.equal(toText(fromBinary(snix.BlobChunkSchema, read.payload).data as Bytes), "Hello World!");
  }
}, WRITING);

siteTest("gRPC-Web as text that is none is an invalid argument", async (site) => {
  const whole = base64(frame(toBinary(snix.BlobChunkSchema, create(snix.BlobChunkSchema, { data: HELLO }))));
  for (const body of ["!", whole + "A", whole.slice(0, 6), "AA=A", "====", `${whole}\n`, whole + "AB=="]) {
    const frames = await textFrames(await post(site, PUT, "application/grpc-web-text", body));
    const trailers = headersOf(frames[frames.length - 1].payload);
    assert.equal(trailers.get("grpc-status"), String(Code.InvalidArgument), body);
    assert.match(decodeURIComponent(trailers.get("grpc-message")!), /base64/);
  }
}, WRITING);

siteTest("what is no call is refused in the terms of who asked", async (site) => {
  for (const path of ["snix.castore.v1.BlobService/Nothing", "other.v1.Service/Read"]) {
    for (const type of ["application/grpc-web", "application/grpc-web+proto", "application/grpc-web-text"]) {
      const answer = await post(site, path, type, "");
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("content-type")?.startsWith(type), true, type);
      assert.equal(answer.headers.get("grpc-status"), String(Code.Unimplemented));
      assert.match(answer.headers.get("access-control-expose-headers") ?? "", /grpc-status/i);
      await answer.body?.cancel();
    }
    await assertRefused(
      await post(site, path, "application/json", "{}"),
      404,
      /^Cannot call .*no such method/,
    );
    await assertRefused(await site.get(path), 404, /no such method/);
  }
  await assertRefused(await post(site, STAT, "text/plain", "{}"), 415, /content type is text\/plain; want/);
  await assertRefused(await site.get(STAT), 405, /not called by GET/);
  await assertRefused(await site.put(STAT, "x"), 404, /Not Found/);
});

siteTest("native gRPC is told where to go, in a way its clients show", async (site) => {
  for (const type of ["application/grpc", "application/grpc+proto"]) {
    const answer = await post(site, STAT, type, frame(new Uint8Array(0)));
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "application/grpc");
    assert.equal(answer.headers.get("grpc-status"), String(Code.FailedPrecondition));
    assert.match(answer.headers.get("grpc-message")!, /use the gRPC port/);
    assert.equal((await answer.arrayBuffer()).byteLength, 0);
  }
});

siteTest("a browser's preflights of all protocols are allowed", async (site) => {
  const asked = [
    "content-type,x-grpc-web,x-user-agent,grpc-timeout",
    "connect-protocol-version,content-type,connect-timeout-ms",
  ];
  for (const names of asked) {
    const answer = await site.send("OPTIONS", READ, {
      headers: {
        origin: "https://page.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": names,
      },
    });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    assert.equal(answer.headers.get("access-control-allow-credentials"), null);
    assert.match(answer.headers.get("access-control-allow-methods") ?? "", /POST/);
    const allowed = answer.headers.get("access-control-allow-headers")!.toLowerCase().split(",").map((name) =>
      name.trim()
    );
    for (const name of names.split(",")) assert.ok(allowed.includes(name), name);
  }
  const absent = frame(fromHex("0a20" + "07".repeat(32)));
  const answer = await post(site, STAT, "application/grpc-web+proto", absent);
  assert.equal(answer.headers.get("access-control-allow-origin"), "*");
  const exposed = answer.headers.get("access-control-expose-headers")!.toLowerCase();
  for (const name of ["grpc-status", "grpc-message", "grpc-status-details-bin", "firn-error"]) {
    assert.ok(exposed.includes(name), name);
  }
  await answer.body?.cancel();
});

/** A site whose blobs never end, and how many of their readers were let go. */
function endless(site: Site): { ended: number; read: number } {
  const counts = { ended: 0, read: 0 };
  const reader: BlobReader = {
    size: Number.MAX_SAFE_INTEGER,
    bytes: () => Promise.reject(new Error("endless")),
    async *[Symbol.asyncIterator]() {
      try {
        while (true) {
          await new Promise((resolve) => setTimeout(resolve, 1));
          counts.read++;
          yield new Uint8Array(65_536);
        }
      } finally {
        counts.ended++;
      }
    },
  };
  site.services.blobs.open = () => Promise.resolve(reader);
  return counts;
}

siteTest("a client that goes away ends the call, and back-pressure reaches the store", async (site) => {
  const counts = endless(site);
  await using listening = new Listening(site);
  let calls = 0;
  for (const { protocol, json } of WAYS) {
    const client = createClient(snix.BlobService, transportTo(listening.url, protocol, { json }));
    const leave = new AbortController();
    const messages = client.read({ digest: HELLO_DIGEST }, { signal: leave.signal })[Symbol.asyncIterator]();
    assert.equal((await messages.next()).value?.data.length, 65_536);
    leave.abort();
    await messages.next().catch(() => {});
    calls++;
    await until(`the end of call ${calls}`, () => counts.ended === calls);
  }
  // By hand: nothing is read from the response, so the store is not read on for ever either.
  const request = concat([Uint8Array.of(0x0a, 32), HELLO_DIGEST]);
  const answer = await fetch(`${listening.url}/${READ}`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web-text" },
    body: base64(frame(request)),
  });
  await new Promise((resolve) => setTimeout(resolve, 700));
  const before = counts.read;
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.ok(counts.read - before < 20, `${counts.read - before} more pieces`);
  await answer.body!.cancel();
  await until("the end of the last call", () => counts.ended === calls + 1);
}, NEEDS);

siteTest("an answer that is not wanted any more ends a call that waits for something else", async (site) => {
  for (const type of ["application/grpc-web+proto", "application/grpc-web-text"]) {
    const request = frame(new Uint8Array(0));
    const body = type.endsWith("text") ? base64(request) : request;
    const answer = await post(site, "grpc.health.v1.Health/Watch", type, body);
    const reader = answer.body!.getReader();
    assert.equal((await reader.read()).done, false);
    const next = reader.read();
    await reader.cancel();
    assert.equal((await next).done, true);
  }
});

siteTest("a body that stalls, or breaks off, ends the call, and leaves nothing", async (site) => {
  await using listening = new Listening(site);
  const part = frame(toBinary(snix.BlobChunkSchema, create(snix.BlobChunkSchema, { data: HELLO })));
  const { hostname, port } = new URL(listening.url);
  const head = `POST /${PUT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web+proto\r\n` +
    `content-length: ${part.length + 100}\r\n\r\n`;
  {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(concat([fromText(head), part]));
    let text = "";
    const buffer = new Uint8Array(10_000);
    while (!text.includes("grpc-status")) {
      const length = await connection.read(buffer);
      assert.ok(length !== null, text);
      text += new TextDecoder().decode(buffer.subarray(0, length));
    }
    assert.match(text, /^HTTP\/1.1 200/);
    assert.match(text, new RegExp(`grpc-status: ${Code.DeadlineExceeded}`));
  }
  {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(concat([fromText(head), part]));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(await site.services.blobs.has(HELLO_DIGEST), false, toHex(HELLO_DIGEST));
}, { ...NEEDS, stallMs: 400 });
