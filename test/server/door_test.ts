// The door: who is asked in which order, what Limits and Watch are told, and when it is over; over HTTP and for calls.
import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { createTransport } from "@connectrpc/connect/protocol-grpc";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { ANYBODY, type Caller, type DoorOptions, OPEN_ACCESS, type Outcome } from "../../src/server/door.ts";
import { createServer, type Server } from "../../src/server/app.ts";
import { SNIX } from "../../src/server/grpc/era.ts";
import { HttpError } from "../../src/server/http_error.ts";
import { servicesOver } from "../../src/store/services.ts";
import { all, inMemory, stream } from "./grpc/_calls.ts";
import { fileNar, narFile, narInfo, narInfoName, pathOf } from "./_site.ts";

const PEER = { address: "192.0.2.1", local: false };
const CALLER: Caller = { ...ANYBODY, name: "somebody", token: "abcdefgh" };

/** What was told, in order; `received` and `sent` summed up. */
class Told {
  readonly events: string[] = [];
  received = 0;
  sent = 0;
  room = { received: 0, sent: 0, left: 0 };
  outcome: Outcome | undefined;
  refuse: { access?: HttpError; limits?: HttpError; bytes?: HttpError } = {};

  get options(): DoorOptions {
    return {
      access: {
        ...OPEN_ACCESS,
        opensReads: false,
        admit: ({ needs, address }) => {
          this.events.push(`admit ${needs}`);
          if (this.refuse.access) throw this.refuse.access;
          return { ...CALLER, address };
        },
      },
      limits: {
        enter: (asking, caller) => {
          this.events.push(`enter ${asking.protocol} ${caller.token}`);
          if (this.refuse.limits) throw this.refuse.limits;
          return {
            received: (bytes) => {
              this.room.received += bytes;
              if (this.refuse.bytes) throw this.refuse.bytes;
            },
            sent: (bytes) => this.room.sent += bytes,
            leave: () => {
              this.events.push("leave");
              this.room.left++;
            },
          };
        },
      },
      watch: {
        begin: ({ method, path, address, protocol }) => {
          this.events.push(`begin ${protocol} ${method} ${path} ${address}`);
          return {
            admitted: ({ name }) => this.events.push(`admitted ${name}`),
            received: (bytes) => this.received += bytes,
            sent: (bytes) => this.sent += bytes,
            end: (outcome) => {
              assert.equal(this.outcome, undefined, "ended twice");
              this.outcome = outcome;
              this.events.push("end");
            },
          };
        },
      },
    };
  }
}

function serverOf(options: DoorOptions): Server {
  const services = servicesOver({ names: openMemory(), bytes: openMemory() });
  return createServer({ ...services, codec: openCodecs(), hashes: nativeHashes, alone: true, ...options });
}

async function ask(server: Server, method: string, path: string, body?: BodyInit): Promise<Response> {
  return await server.fetch(new Request(`http://cache.test/${path}`, { method, body }), PEER);
}

Deno.test("Watch, Access, Limits, the answer, and at its end Limits and Watch", async () => {
  const told = new Told();
  const server = serverOf(told.options);
  const put = await ask(server, "PUT", "blob", "Hello World!");
  const { digest } = await put.json();
  assert.deepEqual(told.events, [
    "begin http PUT /blob 192.0.2.1",
    "admit write",
    "admitted somebody",
    "enter http abcdefgh",
    "leave",
    "end",
  ]);
  assert.equal(told.received, 12);
  assert.deepEqual(told.room, { received: 12, sent: told.sent, left: 1 });
  assert.deepEqual(told.outcome, { status: 200, body: "whole" });
  assert.ok(digest);
});

Deno.test("it is over when the body has ended, or the client has left it, and not before", async () => {
  for (const leaves of [false, true]) {
    const told = new Told();
    const server = serverOf({ ...told.options });
    const bytes = new Uint8Array(3_000_000).fill(7);
    const { digest } = await (await ask(server, "PUT", "blob", bytes)).json();
    const again = new Told();
    Object.assign(told, { outcome: undefined, sent: 0, room: again.room });
    const path = `blob/${digest.slice(7).replaceAll("+", "-").replaceAll("/", "_").replace("=", "")}`;
    const answer = await ask(server, "GET", path);
    const reader = answer.body!.getReader();
    const first = await reader.read();
    assert.equal(told.outcome, undefined, "under way");
    assert.equal(again.room.left, 0);
    assert.equal(told.sent, first.value!.length);
    if (leaves) await reader.cancel();
    else while (!(await reader.read()).done);
    assert.deepEqual(told.outcome, { status: 200, body: leaves ? "left" : "whole" });
    assert.equal(again.room.left, 1);
    if (!leaves) assert.equal(told.sent, bytes.length);
  }
});

Deno.test("who is not let in is told why, and takes no room", async () => {
  const told = new Told();
  const server = serverOf(told.options);
  told.refuse.limits = new HttpError(429, "Cannot take more", { "retry-after": "3" });
  const full = await ask(server, "PUT", "blob", "x");
  assert.deepEqual([full.status, full.headers.get("retry-after"), await full.text()], [
    429,
    "3",
    "Cannot take more\n",
  ]);
  assert.equal(full.headers.get("access-control-allow-origin"), "*");
  assert.deepEqual(told.outcome, { status: 429, body: "whole", refused: told.refuse.limits });
  assert.equal(told.room.left, 0);
  told.outcome = undefined;
  told.refuse = { access: new HttpError(403, "Cannot: no") };
  const closed = await ask(server, "PUT", "blob", "x");
  assert.deepEqual([closed.status, await closed.text()], [403, "Cannot: no\n"]);
  assert.deepEqual(told.outcome, { status: 403, body: "whole", refused: told.refuse.access });
});

Deno.test("a body that grows over what there is room for is refused with the status of Limits", async () => {
  const told = new Told();
  const server = serverOf(told.options);
  told.refuse.bytes = new HttpError(413, "Cannot take so much");
  const answer = await ask(server, "PUT", "blob", "x");
  assert.deepEqual([answer.status, await answer.text()], [413, "Cannot take so much\n"]);
  assert.equal(told.room.left, 1);
  assert.equal(told.outcome!.status, 413);
});

Deno.test("a narinfo that is kept is told of, too", async () => {
  const told = new Told();
  const server = serverOf({ watch: told.options.watch });
  const path = pathOf("kept");
  const file = await narFile(await fileNar("kept"));
  for (const [url, body] of [[file.url, file.bytes], [narInfoName(path), narInfo(path, file)]] as const) {
    assert.equal((await ask(server, "PUT", url, body as BodyInit)).status, 200);
    told.outcome = undefined;
  }
  for (let i = 0; i < 2; i++) {
    told.sent = 0;
    const answer = await ask(server, "GET", narInfoName(path));
    const text = await answer.text();
    assert.equal(told.sent, text.length);
    assert.deepEqual(told.outcome, { status: 200, body: "whole" });
    told.outcome = undefined;
  }
});

Deno.test("a call passes once, however it comes, and its code is told", async () => {
  const told = new Told();
  const server = serverOf(told.options);
  const transport = createTransport({
    httpClient: inMemory((request) => server.rpc(request, PEER)),
    baseUrl: "http://cache.test",
    useBinaryFormat: true,
    interceptors: [],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1024,
    readMaxBytes: 2 ** 26,
    writeMaxBytes: 2 ** 26,
  });
  const client = createClient(SNIX.blobService, transport);
  const { digest } = await client.put(stream({ data: new Uint8Array(100) }));
  assert.deepEqual(told.events, [
    "begin grpc POST /snix.castore.v1.BlobService/Put 192.0.2.1",
    "admit write",
    "admitted somebody",
    "enter grpc abcdefgh",
    "leave",
    "end",
  ]);
  assert.equal(told.received, 107);
  assert.ok(told.sent > 32);
  assert.deepEqual(told.outcome, { status: 200, code: 0, body: "whole" });
  told.outcome = undefined;
  await assert.rejects(all(client.read({ digest: new Uint8Array(32) })));
  assert.deepEqual(told.outcome, { status: 200, code: 5, body: "whole" });
  told.outcome = undefined;
  assert.equal((await all(client.read({ digest }))).length, 1);
  assert.deepEqual(told.outcome, { status: 200, code: 0, body: "whole" });

  for (const [type, path, code] of [["grpc-web+proto", "Stat", 5], ["proto", "Stat", 5]] as const) {
    Object.assign(told, { outcome: undefined, events: [] });
    const message = Uint8Array.of(10, 32, ...new Uint8Array(32));
    const body = type === "proto" ? message : Uint8Array.of(0, 0, 0, 0, message.length, ...message);
    const request = new Request(`http://cache.test/snix.castore.v1.BlobService/${path}`, {
      method: "POST",
      headers: { "content-type": `application/${type}` },
      body,
    });
    await (await server.fetch(request, PEER)).bytes();
    assert.equal(told.events.filter((event) => event.startsWith("begin")).length, 1, type);
    assert.equal(told.events[0], "begin grpc POST /snix.castore.v1.BlobService/Stat 192.0.2.1");
    assert.equal((told.outcome as Outcome | undefined)?.code, code, type);
  }
  Object.assign(told, { outcome: undefined, events: [] });
  told.refuse.limits = new HttpError(429, "Cannot take more", { "retry-after": "3" });
  await assert.rejects(client.stat({ digest }), /Cannot take more/);
  assert.equal((told.outcome as Outcome | undefined)?.status, 429);
});
