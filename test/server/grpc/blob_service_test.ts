import assert from "node:assert/strict";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { type Bytes, concat, fromText } from "../../../src/bytes/bytes.ts";
import { blake3 as oracle } from "hash-wasm";
import { toHex } from "../../../src/bytes/hex.ts";
import { toBase64 } from "../../../src/bytes/base64.ts";
import type { BlobService } from "../../../src/castore/blob_service.ts";
import { blobsOver } from "../../../src/castore/blobs_over.ts";
import { LimitError } from "../../../src/errors.ts";
import { outboardLength } from "../../../src/hash/bao_tree.ts";
import { blake3 } from "../../../src/hash/blake3.ts";
import { rpcHandler } from "../../../src/server/grpc/dispatch.ts";
import { SNIX } from "../../../src/server/grpc/era.ts";
import { grpcHandlers } from "../../../src/server/grpc/handlers.ts";
import { all, clientsOf, envelope, everyWay, openContext, outcome, post, stream } from "./_calls.ts";
import { integerBytes } from "../../hash/_bao.ts";
import baoTree from "../../vectors/bao/bao_tree.json" with { type: "json" };
import * as given from "./_fixtures.ts";

/** Messages of these lengths, again and again. */
function* cut(bytes: Bytes, lengths: readonly number[]): Generator<{ data: Bytes }> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = lengths[i % lengths.length];
    yield { data: bytes.subarray(at, at + length) };
    at += length;
  }
}

for (const { era, protocol, way } of everyWay()) {
  Deno.test(`grpc blobs: put, stat and read, ${way}`, async () => {
    const { blobs } = clientsOf(openContext(), era, protocol);
    const put = await blobs.put(stream({ data: fromText("x86_64") }, {}, { data: fromText("-linux") }));
    assert.equal(toBase64(put.digest), "KOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA=");
    const stat = await blobs.stat({ digest: put.digest, sendChunks: true, sendBao: true });
    assert.deepEqual([stat.chunks.length, stat.bao.length], [0, 0]);
    assert.deepEqual(
      concat((await all(blobs.read({ digest: put.digest }))).map(({ data }) => data)),
      fromText("x86_64-linux"),
    );
  });

  Deno.test(`grpc blobs: one of several chunks, ${way}`, async () => {
    const { blobs } = clientsOf(openContext(), era, protocol);
    const messages = stream(...cut(given.BLOB_B, [1, 70_000, 0, 300_001]));
    assert.deepEqual((await blobs.put(messages)).digest, given.BLOB_B_DIGEST);
    const { chunks, bao } = await blobs.stat({ digest: given.BLOB_B_DIGEST });
    assert.deepEqual(chunks.map(({ size }) => Number(size)), given.BLOB_B_CHUNKS);
    assert.equal(bao.length, 0);
    const pieces = (await all(blobs.read({ digest: given.BLOB_B_DIGEST }))).map(({ data }) => data);
    assert.deepEqual(concat(pieces), given.BLOB_B);
    for (const { length } of pieces) {
      assert.ok(length >= 65_536 && length <= 524_288, `a message of ${length}`);
    }
    const first = (await all(blobs.read({ digest: chunks[0].digest }))).map(({ data }) => data);
    assert.deepEqual(concat(first), given.BLOB_B.subarray(0, given.BLOB_B_CHUNKS[0]));
  });

  Deno.test(`grpc blobs: the outboard of bao-tree, for who asks for it, ${way}`, async () => {
    const { blobs } = clientsOf(openContext(), era, protocol);
    for (const { size, digest, outboard } of baoTree.cases.slice(-4)) {
      const put = await blobs.put(stream(...cut(integerBytes(size), [300_001])));
      assert.equal(toHex(put.digest), digest);
      const asked = await blobs.stat({ digest: put.digest, sendBao: true });
      assert.deepEqual([asked.bao.length, toHex(blake3(asked.bao as Bytes)).slice(0, 32)], outboard);
      const { bao, chunks } = await blobs.stat({ digest: put.digest });
      assert.deepEqual([bao.length, chunks], [0, asked.chunks]);
      for (const chunk of chunks) {
        const { bao } = await blobs.stat({ digest: chunk.digest, sendBao: true });
        assert.equal(bao.length, outboardLength(Number(chunk.size)));
      }
    }
  });

  Deno.test(`grpc blobs: an outboard over 3 MiB is left out, and not looked for, ${way}`, async () => {
    const limit = 768 * 1024 * 1024 + 16384;
    for (const size of [limit, limit + 1]) {
      const chunks = [{ digest: given.HELLO_DIGEST, size: size - 5 }, {
        digest: given.HELLO_DIGEST,
        size: 5,
      }];
      let asked = 0;
      const store = {
        chunks: () => Promise.resolve(chunks),
        outboard: () => (asked++, Promise.resolve(new Uint8Array(outboardLength(size)))),
      } as unknown as BlobService;
      const { blobs } = clientsOf(openContext({ blobs: store }), era, protocol);
      const stat = await blobs.stat({ digest: given.ABSENT, sendBao: true });
      assert.deepEqual([asked, stat.bao.length], size === limit ? [1, 3 * 1024 * 1024] : [0, 0]);
      assert.equal(stat.chunks.length, 2);
    }
  });

  Deno.test(`grpc blobs: of every length about those that are held, ${way}`, async () => {
    for (const length of [1, 65_535, 65_536, 65_537, 131_072, 131_073]) {
      const { blobs } = clientsOf(openContext(), era, protocol);
      const bytes = given.BLOB_B.subarray(0, length);
      const { digest } = await blobs.put(stream(...cut(bytes, [30_000])));
      assert.deepEqual(toHex(digest), await oracle(bytes));
      assert.deepEqual(concat((await all(blobs.read({ digest }))).map(({ data }) => data)), bytes);
    }
  });

  Deno.test(`grpc blobs: the empty one, ${way}`, async () => {
    for (const messages of [[], [{}], [{}, {}]]) {
      const { blobs } = clientsOf(openContext(), era, protocol);
      assert.deepEqual((await blobs.put(stream(...messages))).digest, given.EMPTY_DIGEST);
      assert.deepEqual((await blobs.stat({ digest: given.EMPTY_DIGEST })).chunks, []);
      assert.deepEqual(await all(blobs.read({ digest: given.EMPTY_DIGEST })), []);
    }
  });

  Deno.test(`grpc blobs: a Put that is cancelled, or past its deadline, leaves nothing, ${way}`, async () => {
    for (const why of ["cancelled", "deadline"]) {
      const bytes = openMemory();
      const canceller = new AbortController();
      const sent = Promise.withResolvers<void>();
      const settled = Promise.withResolvers<string>();
      const blobs = {
        put: (source: AsyncIterable<Bytes>) => {
          const put = blobsOver(bytes).put(source);
          put.then(() => settled.resolve("stored"), () => settled.resolve("rejected"));
          return put;
        },
      } as BlobService;
      const clients = clientsOf(openContext({ blobs }), era, protocol);
      const endless = async function* () {
        yield* cut(given.BLOB_B.subarray(0, 200_000), [50_000]);
        sent.resolve();
        await new Promise(() => {});
      };
      const options = why === "cancelled" ? { signal: canceller.signal } : { timeoutMs: 50 };
      const call = outcome(clients.blobs.put(endless(), options));
      await sent.promise;
      canceller.abort();
      assert.equal((await call).code, why === "cancelled" ? "Canceled" : "DeadlineExceeded");
      assert.equal(await settled.promise, "rejected", "the store was told");
      assert.deepEqual(await all(bytes.list("")), []);
    }
  });

  Deno.test(`grpc blobs: a client that sends no more is not waited for, ${way}`, async () => {
    const context = openContext({ stallMs: 20 });
    const { blobs } = clientsOf(context, era, protocol);
    const stalling = async function* () {
      yield { data: given.HELLO };
      await new Promise(() => {});
    };
    const { code, error } = await outcome(blobs.put(stalling()));
    assert.equal(code, "DeadlineExceeded");
    assert.match(error!.message, /nothing came for/);
    assert.equal(await context.blobs.has(given.HELLO_DIGEST), false);
  });

  Deno.test(`grpc blobs: a Read past its deadline ends the reader, ${way}`, async () => {
    const reader = new EndlessReader(5);
    const { blobs } = clientsOf(openContext({ blobs: onlyRead(reader) }), era, protocol);
    const { code } = await outcome(blobs.read({ digest: given.ABSENT }, { timeoutMs: 50 }));
    assert.equal(code, "DeadlineExceeded");
    await reader.ended;
  });
}

for (const type of ["application/grpc", "application/grpc-web+proto", "application/connect+proto"]) {
  Deno.test(`grpc blobs: a Read that is left ends the reader, ${type}`, async () => {
    const reader = new EndlessReader(0);
    const handle = rpcHandler(grpcHandlers(openContext({ blobs: onlyRead(reader) })));
    const request = envelope(concat([new Uint8Array([0x0a, 32]), given.ABSENT]));
    const { body } = await handle(post("/snix.castore.v1.BlobService/Read", type, [request]));
    const messages = body![Symbol.asyncIterator]();
    for (let i = 0; i < 3; i++) await messages.next();
    await messages.return!();
    await reader.ended;
    assert.equal(reader.given, 3);
  });
}

Deno.test("grpc blobs: a Read past its deadline ends, though its client goes on reading", async () => {
  const reader = new EndlessReader(5);
  const handle = rpcHandler(grpcHandlers(openContext({ blobs: onlyRead(reader) })));
  const request = envelope(concat([new Uint8Array([0x0a, 32]), given.ABSENT]));
  const path = "/snix.castore.v1.BlobService/Read";
  const { body, trailer } = await handle(
    post(path, "application/grpc", [request], { "grpc-timeout": "50m" }),
  );
  for await (const _ of body!) assert.ok(reader.given < 100, "it goes on");
  assert.equal(trailer!.get("grpc-status"), "4");
  await reader.ended;
});

Deno.test("grpc blobs: a Put whose client fails leaves nothing", async () => {
  const context = openContext();
  const { blobs } = clientsOf(context, SNIX, "grpc");
  const failing = async function* () {
    yield await { data: given.HELLO };
    throw new Error("the client broke");
  };
  assert.notEqual((await outcome(blobs.put(failing()))).code, "OK");
  assert.equal(await context.blobs.has(given.HELLO_DIGEST), false);
});

Deno.test("grpc blobs: a Put is read at the pace of the store, and no further once it is refused", async () => {
  let sent = 0;
  const messages = async function* () {
    for (; sent < 1000; sent++) yield await { data: new Uint8Array(20_000) };
  };
  const put = async (source: AsyncIterable<Bytes>) => {
    let taken = 0;
    for await (const _ of source) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      assert.ok(sent - taken++ < 10, `${sent} messages were read, ${taken} taken`);
      if (taken === 20) throw new LimitError(20, "Cannot take more");
    }
    throw new Error("the source ended");
  };
  const { blobs } = clientsOf(openContext({ blobs: { put } as unknown as BlobService }), SNIX, "grpc");
  const { code, error } = await outcome(blobs.put(messages()));
  assert.deepEqual([code, error?.rawMessage], ["ResourceExhausted", "Cannot take more"]);
  assert.ok(sent < 40);
});

/** A service that has this blob only. */
function onlyRead(reader: EndlessReader): BlobService {
  return { open: () => Promise.resolve(reader) } as unknown as BlobService;
}

/** A blob without end. */
class EndlessReader {
  readonly size = Number.MAX_SAFE_INTEGER;
  given = 0;
  #ended = Promise.withResolvers<void>();
  readonly ended = this.#ended.promise;

  constructor(readonly pauseMs: number) {}

  bytes(): Promise<Bytes> {
    throw new Error("not to be asked for");
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, void> {
    try {
      while (true) {
        if (this.pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, this.pauseMs));
        this.given++;
        yield given.HELLO;
      }
    } finally {
      this.#ended.resolve();
    }
  }
}
