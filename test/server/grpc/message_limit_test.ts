import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { concat, fromText } from "../../../src/bytes/bytes.ts";
import { rpcHandler } from "../../../src/server/grpc/dispatch.ts";
import { grpcHandlers } from "../../../src/server/grpc/handlers.ts";
import {
  all,
  clientsOf,
  envelope,
  everyWay,
  openContext,
  outcome,
  pathInfoOf,
  post,
  stream,
} from "./_calls.ts";
import * as given from "./_fixtures.ts";

const LIMIT = 1000;
/** A BlobChunk with so many bytes of data is three bytes longer. */
const chunk = (length: number) => ({ data: new Uint8Array(length) });

for (const { era, protocol, way } of everyWay()) {
  Deno.test(`grpc limits: messages up to the limit are taken, ${way}`, async () => {
    const { blobs } = clientsOf(openContext(), era, protocol, { maxMessageBytes: LIMIT });
    const { code } = await outcome(blobs.put(stream(chunk(LIMIT - 3), chunk(5), chunk(LIMIT - 3))));
    assert.equal(code, "OK");
  });

  Deno.test(`grpc limits: a longer one is refused, first or in the middle of a stream, ${way}`, async () => {
    for (const before of [[], [chunk(500)], [chunk(LIMIT - 3), chunk(0), chunk(LIMIT - 3)]]) {
      const context = openContext();
      const { blobs } = clientsOf(context, era, protocol, { maxMessageBytes: LIMIT });
      const { code, error } = await outcome(blobs.put(stream(...before, chunk(LIMIT - 2), chunk(1))));
      assert.equal(code, "ResourceExhausted");
      assert.match(error!.rawMessage, /it has 1001 bytes, and 1000 is the most; .*smaller/);
      assert.equal(error!.metadata.get("firn-error"), "LimitError");
    }
  });

  Deno.test(`grpc limits: a unary call is refused, ${way}`, async () => {
    const { pathInfos } = clientsOf(openContext(), era, protocol, { maxMessageBytes: LIMIT });
    const info = (signatures: number) => {
      const narinfo = {
        ...given.DUMMY_REST.narinfo,
        signatures: Array.from(
          { length: signatures },
          (_, i) => ({ name: `key-${i}`, data: new Uint8Array(64) }),
        ),
      };
      return pathInfoOf(era, given.dummyRoot(), { ...given.DUMMY_REST, narinfo });
    };
    assert.equal((await outcome(pathInfos.put(info(5)))).code, "OK");
    const { code, error } = await outcome(pathInfos.put(info(20)));
    assert.equal(code, "ResourceExhausted");
    assert.match(error!.rawMessage, /it has (over 1000|\d{4}) bytes, and 1000 is the most/);
  });

  Deno.test(`grpc limits: 4 MiB unless told otherwise, ${way}`, async () => {
    const { blobs } = clientsOf(openContext(), era, protocol);
    const lengthOfPrefix = 5;
    assert.equal((await outcome(blobs.put(stream(chunk(4 * 1024 * 1024 - lengthOfPrefix))))).code, "OK");
    const { code, error } = await outcome(blobs.put(stream(chunk(4 * 1024 * 1024))));
    assert.equal(code, "ResourceExhausted");
    assert.match(error!.rawMessage, /4194304 is the most/);
  });
}

Deno.test("grpc limits: a length that is promised is refused before room is made for it", async () => {
  const handle = rpcHandler(grpcHandlers(openContext()));
  const headers = { "content-length": String(2 ** 40) };
  const request = post("/snix.store.v1.PathInfoService/Get", "application/json", [fromText("{}")], headers);
  const { status, body } = await handle(request);
  const text = new TextDecoder().decode(concat(await all(body!)));
  assert.equal(status, 429);
  assert.match(text, /"code":"resource_exhausted".*it has 1099511627776 bytes, and 4194304 is the most/);
});

Deno.test("grpc limits: messages are measured however the bytes are cut", async () => {
  const handle = rpcHandler(grpcHandlers(openContext(), { maxMessageBytes: LIMIT }));
  const message = (length: number) =>
    envelope(concat([Uint8Array.of(0x0a, (length & 127) | 128, length >> 7), new Uint8Array(length)]));
  for (const [last, status] of [[LIMIT - 3, "0"], [LIMIT - 2, "8"]] as const) {
    const bytes = concat([message(200), envelope(new Uint8Array(0)), message(last)]);
    for (const step of [1, 4, 5, 7, 203, bytes.length]) {
      const pieces = [];
      for (let at = 0; at < bytes.length; at += step) pieces.push(bytes.subarray(at, at + step));
      const response = await handle(post("/tvix.castore.v1.BlobService/Put", "application/grpc", pieces));
      const answer = await all(response.body!);
      assert.equal(response.trailer!.get("grpc-status"), status, `in pieces of ${step}`);
      if (status === "0") {
        const { output } =
          clientsOf(openContext(), [...everyWay()][0].era, "grpc").era.blobService.method.put;
        assert.equal(fromBinary(output, concat(answer).subarray(5)).digest.length, 32);
      }
    }
  }
});
