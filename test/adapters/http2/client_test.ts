/** The client against the server, over pipes: what goes in comes out, both ways, and every way to end. */
import assert from "node:assert/strict";
import { fromText } from "../../../src/bytes/bytes.ts";
import { collect } from "../../../src/bytes/streams.ts";
import { Http2Client } from "../../../src/adapters/http2/client.ts";
import { Http2Error } from "../../../src/adapters/http2/http2_error.ts";
import { duplexPipe } from "../../../src/adapters/http2/pipe.ts";
import {
  type Http2Handler,
  Http2Server,
  type Http2ServerOptions,
  serveHttp2,
} from "../../../src/adapters/http2/server.ts";

const SERVER = "http://firn.test";

/** A client, a server, and how often they were connected. */
function pair(handler: Http2Handler, options: Partial<Http2ServerOptions> = {}) {
  const logged: string[] = [];
  const server = new Http2Server(handler, { log: (line) => logged.push(line), closeMs: 100, ...options });
  let connections = 0;
  const client = new Http2Client(() => {
    connections++;
    const [near, far] = duplexPipe();
    void server.handleConnection(far);
    return Promise.resolve(near);
  }, { closeMs: 100, ...options });
  const get = (path: string, signal?: AbortSignal) =>
    client.request({ url: SERVER + path, method: "GET", header: new Headers(), signal });
  const post = (path: string, body: AsyncIterable<Uint8Array>) =>
    client.request({ url: SERVER + path, method: "POST", header: new Headers(), body });
  return {
    server,
    client,
    logged,
    get,
    post,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      await client.close();
      await server.stop(1000);
    },
  };
}

async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  yield* parts;
}

async function* slowly(...parts: Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  for (const part of parts) {
    await sleep(1);
    yield part;
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const echo: Http2Handler = ({ body, header }) =>
  Promise.resolve({ status: 200, header, body, trailer: new Headers({ "x-trailer": "after" }) });

/** Bytes that differ everywhere. */
function pattern(length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + (i >> 8) * 7 + (i >> 16)) & 0xff;
  return bytes;
}

Deno.test("http2: a request gets to the handler, and its response back", async () => {
  await using meeting = pair(async ({ method, url, header, body, httpVersion }) => {
    const text = new TextDecoder().decode(await collect(body));
    return {
      status: 201,
      header: new Headers({ "x-saw": `${httpVersion} ${method} ${url} ${header.get("x-asked")} ${text}` }),
      body: pieces(fromText("one "), fromText("two")),
      trailer: new Headers({ "grpc-status": "0" }),
    };
  });
  const response = await meeting.client.request({
    url: SERVER + "/a/b?c=d",
    method: "PUT",
    header: new Headers({ "x-asked": "yes" }),
    body: pieces(fromText("to you")),
  });
  assert.equal(response.status, 201);
  assert.equal(response.header.get("x-saw"), `2 PUT ${SERVER}/a/b?c=d yes to you`);
  assert.equal(new TextDecoder().decode(await collect(response.body)), "one two");
  assert.equal(response.trailer.get("grpc-status"), "0");
});

Deno.test("http2: bodies of any size go there and back unchanged", async () => {
  await using meeting = pair(echo);
  for (const size of [0, 1, 16_383, 16_384, 16_385, 300_000, 5_000_000]) {
    const sent = pattern(size);
    const cut = [sent.subarray(0, size >> 2), sent.subarray(size >> 2)];
    for (const source of [pieces, slowly]) {
      const response = await meeting.post("/", source(...cut));
      assert.deepEqual(await collect(response.body), sent);
      assert.equal(response.trailer.get("x-trailer"), "after");
    }
  }
  assert.equal(meeting.connections(), 1);
  assert.equal(meeting.server.heldBytes, 0);
});

Deno.test("http2: a response without a body, with and without trailers, and one to HEAD", async () => {
  let left = false;
  await using meeting = pair(({ url, method }) => {
    if (method === "HEAD") {
      const body = (async function* () {
        try {
          yield fromText("no");
          await sleep(0);
        } finally {
          left = true;
        }
      })();
      return Promise.resolve({ status: 200, header: new Headers({ "content-length": "2" }), body });
    }
    const trailer = url.endsWith("/trailers") ? new Headers({ a: "b" }) : undefined;
    return Promise.resolve({ status: 204, trailer });
  });
  for (const path of ["/", "/trailers"]) {
    const response = await meeting.get(path);
    assert.equal(response.status, 204);
    assert.equal((await collect(response.body)).length, 0);
    assert.equal(response.trailer.get("a"), path === "/" ? null : "b");
  }
  const head = await meeting.client.request({ url: SERVER, method: "HEAD", header: new Headers() });
  assert.equal((await collect(head.body)).length, 0);
  assert.equal(head.header.get("content-length"), "2");
  assert.equal(left, false, "a generator that was never asked has nothing to release");
});

Deno.test("http2: messages go both ways on one stream while it is open", async () => {
  await using meeting = pair(echo);
  let say: (text: string) => void = () => {};
  const asked = (async function* () {
    for (let i = 0; i < 5; i++) {
      const text = await new Promise<string>((resolve) => say = resolve);
      if (text === "") return;
      yield fromText(text);
    }
  })();
  const { body } = await meeting.post("/", asked);
  const answers = body[Symbol.asyncIterator]();
  for (const text of ["a", "bc", "d"]) {
    const answer = answers.next();
    say(text);
    assert.equal(new TextDecoder().decode((await answer).value), text);
    await sleep(0);
  }
  say("");
  assert.equal((await answers.next()).done, true);
});

Deno.test("http2: many requests at once share a connection, and wait for a free stream", async () => {
  let open = 0;
  let most = 0;
  await using meeting = pair(async ({ body }) => {
    most = Math.max(most, ++open);
    const bytes = await collect(body);
    await sleep(1);
    open--;
    return { status: 200, body: pieces(bytes) };
  }, { maxConcurrentStreams: 7 });
  await collect((await meeting.get("/first")).body);
  await Promise.all(Array.from({ length: 100 }, async (_, i) => {
    const sent = pattern(i * 100);
    assert.deepEqual(await collect((await meeting.post("/", pieces(sent))).body), sent);
  }));
  assert.equal(most, 7);
  assert.equal(meeting.connections(), 1);
});

Deno.test("http2: a handler that throws is status 500, a body that throws resets the stream", async () => {
  await using meeting = pair(({ url }) => {
    if (url.endsWith("/at-once")) throw new TypeError("inside");
    const body = (async function* () {
      yield fromText("begun");
      await sleep(1);
      throw new TypeError("inside");
    })();
    return Promise.resolve({ status: 200, body });
  });
  const failed = await meeting.get("/at-once");
  assert.equal(failed.status, 500);
  assert.equal((await collect(failed.body)).length, 0);
  const broken = await meeting.get("/later");
  await assert.rejects(collect(broken.body), (error) => error instanceof Http2Error && error.code === 2);
  assert.equal(meeting.logged.length, 2);
  assert.match(meeting.logged[0], /^Cannot answer GET http:\/\/firn.test\/at-once: TypeError: inside/);
  assert.equal((await meeting.get("/at-once")).status, 500, "the connection goes on");
  assert.equal(meeting.connections(), 1);
});

Deno.test("http2: a request that is aborted aborts the handler's signal, and its body is left", async () => {
  const seen: string[] = [];
  await using meeting = pair(({ signal }) => {
    signal.addEventListener("abort", () => seen.push("signal"));
    const body = (async function* () {
      try {
        while (true) {
          yield new Uint8Array(1000);
          await sleep(1);
        }
      } finally {
        seen.push("left");
      }
    })();
    return Promise.resolve({ status: 200, body });
  });
  const controller = new AbortController();
  const { body } = await meeting.get("/", controller.signal);
  const answers = body[Symbol.asyncIterator]();
  await answers.next();
  controller.abort(new Error("enough"));
  await assert.rejects(
    async () => {
      while (!(await answers.next()).done);
    },
    (error) => error instanceof Http2Error && error.code === 8 && (error.cause as Error).message === "enough",
  );
  while (seen.length < 2) await sleep(1);
  assert.deepEqual(seen.sort(), ["left", "signal"]);

  for await (const _ of (await meeting.get("/")).body) break;
  while (seen.length < 4) await sleep(1);
  assert.equal(meeting.server.streamCount, 0);
  assert.deepEqual(meeting.logged, []);
  await assert.rejects(meeting.get("/", AbortSignal.abort(new Error("before"))), /before/);
});

Deno.test("http2: a response may come before the request was read, whose rest is not asked for", async () => {
  await using meeting = pair(() => Promise.resolve({ status: 413, body: pieces(fromText("no")) }));
  let asked = 0;
  const endless = (async function* () {
    while (true) {
      asked++;
      yield new Uint8Array(100_000);
      await sleep(0);
    }
  })();
  const response = await meeting.post("/", endless);
  assert.equal(response.status, 413);
  assert.equal(new TextDecoder().decode(await collect(response.body)), "no");
  await sleep(20);
  const until = asked;
  await sleep(20);
  assert.equal(asked, until);
  assert.equal(meeting.server.heldBytes, 0);
});

Deno.test("http2: a server that stops finishes what is under way, and the client connects anew", async () => {
  const gate = Promise.withResolvers<void>();
  const handler: Http2Handler = async () => {
    await gate.promise;
    return { status: 200, body: pieces(fromText("done")) };
  };
  await using meeting = pair(handler);
  const under = meeting.get("/");
  await sleep(5);
  assert.equal(meeting.server.streamCount, 1);
  const stopped = meeting.server.stop();
  await sleep(20);
  gate.resolve();
  assert.equal(new TextDecoder().decode(await collect((await under).body)), "done");
  await stopped;
  assert.equal(meeting.server.connectionCount, 0);
  await assert.rejects(meeting.get("/"), (error) => error instanceof Http2Error);
  assert.ok(meeting.connections() > 1);
});

Deno.test("http2: no connection is an error that may be retried", async () => {
  await using client = new Http2Client(() => Promise.reject(new Error("refused")));
  const request = { url: SERVER, method: "GET", header: new Headers() };
  for (let i = 0; i < 2; i++) {
    await assert.rejects(
      client.request(request),
      (error) =>
        error instanceof Http2Error && error.retryable && /Cannot connect: refused/.test(error.message),
    );
  }
});

Deno.test("http2: a connection that breaks fails what is under way, which may not be retried", async () => {
  const [near, far] = duplexPipe();
  const served = serveHttp2(far, () => new Promise(() => {}));
  await using client = new Http2Client(() => Promise.resolve(near));
  const request = client.request({ url: SERVER, method: "GET", header: new Headers() });
  await sleep(5);
  far.close();
  await assert.rejects(request, (error) => error instanceof Http2Error && !error.retryable);
  await served;
});
