/**
 * Native gRPC as bytes: messages however the body is cut, and bodies that are not calls. Statuses are those of gRPC's own
 * documents: "gRPC over HTTP2" and "Compression".
 */
import assert from "node:assert/strict";
import type { UniversalServerRequest } from "@connectrpc/connect/protocol";
import { type Bytes, concat, fromText } from "../../../src/bytes/bytes.ts";
import { toBase64 } from "../../../src/bytes/base64.ts";
import { rpcHandler } from "../../../src/server/grpc/dispatch.ts";
import { grpcHandlers } from "../../../src/server/grpc/handlers.ts";
import { all, envelope, openContext, post } from "./_calls.ts";
import * as given from "./_fixtures.ts";

const PUT = "/snix.castore.v1.BlobService/Put";
const STAT = "/snix.castore.v1.BlobService/Stat";
const READ = "/snix.castore.v1.BlobService/Read";
/** BLAKE3 of "x86_64-linux". */
const DIGEST = "KOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA=";

/** A message with one field of bytes, number 1. */
const message = (data: Bytes) => envelope(concat([new Uint8Array([0x0a, data.length]), data]));
const put = concat([message(fromText("x86_64")), envelope(new Uint8Array(0)), message(fromText("-linux"))]);

async function call(request: UniversalServerRequest): Promise<{ status: string | null; answer: Bytes }> {
  const handle = rpcHandler(grpcHandlers(openContext()));
  const { status, header, body, trailer } = await handle(request);
  assert.equal(status, 200);
  assert.equal(new Headers(header).get("content-type"), "application/grpc+proto");
  const answer = concat(await all(body!));
  return { status: trailer!.get("grpc-status"), answer };
}

async function assertPut(...pieces: Uint8Array[]): Promise<void> {
  const { status, answer } = await call(post(PUT, "application/grpc", pieces));
  assert.equal(status, "0");
  assert.deepEqual([...answer.subarray(0, 7)], [0, 0, 0, 0, 34, 0x0a, 32]);
  assert.equal(toBase64(answer.subarray(7)), DIGEST);
}

Deno.test("native gRPC: messages however the body is cut", async () => {
  await assertPut(put);
  for (let at = 0; at <= put.length; at++) await assertPut(put.subarray(0, at), put.subarray(at));
  await assertPut(...Array.from(put, (byte) => new Uint8Array([byte])));
});

Deno.test("native gRPC: an empty message may be the last", async () => {
  await assertPut(put, envelope(new Uint8Array(0)));
  await assertPut(put, new Uint8Array(4), new Uint8Array(1));
});

Deno.test("native gRPC: a body that ends within a message is refused", async () => {
  const ends = [13, 18]; // of the first message and the empty one
  for (let at = 1; at < put.length; at++) {
    const { status, answer } = await call(post(PUT, "application/grpc", [put.subarray(0, at)]));
    assert.equal(status, ends.includes(at) ? "0" : "3", `${at} of ${put.length} bytes`);
    assert.equal(answer.length, ends.includes(at) ? 39 : 0);
  }
});

Deno.test("native gRPC: bodies that are not calls", async () => {
  const digest = message(given.ABSENT);
  const compressed = digest.slice();
  compressed[0] = 1;
  const rows: [name: string, path: string, body: Uint8Array[], status: string][] = [
    ["no message", STAT, [], "12"],
    ["two messages", STAT, [digest, digest], "12"],
    ["no message, of a stream", READ, [], "12"],
    ["two messages, of a stream", READ, [concat([digest, digest])], "12"],
    ["compressed, without a name of how", STAT, [compressed], "13"],
    ["not Protobuf", STAT, [envelope(new Uint8Array([0x0a, 40, 1]))], "13"],
    ["a call that is one", STAT, [digest], "5"],
  ];
  for (const [name, path, body, want] of rows) {
    assert.equal((await call(post(path, "application/grpc+proto", body))).status, want, name);
  }
});

Deno.test("native gRPC: headers of a call", async () => {
  const rows: [header: Record<string, string>, status: string][] = [
    [{ "grpc-timeout": "0m" }, "4"],
    [{ "grpc-timeout": "10S" }, "5"],
    [{ "grpc-timeout": "99999999H" }, "5"],
    [{ "grpc-timeout": "10" }, "3"],
    [{ "grpc-timeout": "123456789S" }, "3"],
    [{ "grpc-encoding": "identity" }, "5"],
    [{ "grpc-encoding": "gzip" }, "12"],
  ];
  for (const [header, want] of rows) {
    const { status } = await call(post(STAT, "application/grpc", [message(given.ABSENT)], header));
    assert.equal(status, want, JSON.stringify(header));
  }
});
