import assert from "node:assert/strict";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { concat, fromText } from "../../../src/bytes/bytes.ts";
import { fromHex } from "../../../src/bytes/hex.ts";
import type { Directory } from "../../../src/castore/directory.ts";
import type { DirectoryService } from "../../../src/castore/directory_service.ts";
import { rpcHandler } from "../../../src/server/grpc/dispatch.ts";
import { grpcHandlers } from "../../../src/server/grpc/handlers.ts";
import {
  all,
  type Clients,
  clientsOf,
  envelope,
  everyWay,
  openContext,
  outcome,
  post,
  stream,
} from "./_calls.ts";
import * as given from "./_fixtures.ts";

const KEEP_FILE = fromHex(
  "12290a052e6b6565701220af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
);
const KEEP_FOLDER = fromHex(
  "0a2a0a046b65657012208b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e",
);
const LINK = fromHex("1a1e0a02616112182f6e69782f73746f72652f736f6d657768657265656c7365");

/** Both rules of sizes: what the parent says of its child, in a message and encoded, and its digest. */
const SIZES: readonly [bigint, string, Uint8Array][] = [
  [1n, "1801", given.COMPLICATED_DIGEST],
  [2n, "1802", given.COMPLICATED_DOUBLED_DIGEST],
];

async function encodings(
  { era, directories }: Clients,
  digest: Uint8Array,
  recursive: boolean,
): Promise<Uint8Array[]> {
  const messages = await all(directories.get({ byWhat: { case: "digest", value: digest }, recursive }));
  return messages.map((message) => toBinary(era.directoryService.method.get.output, message));
}

for (const { era, protocol, way } of everyWay()) {
  Deno.test(`grpc directories: a closure, by either rule of sizes, ${way}`, async () => {
    for (const [size, tail, digest] of SIZES) {
      const clients = clientsOf(openContext(), era, protocol);
      const closure = stream<Record<string, unknown>>(given.WITH_KEEP, given.complicated(size));
      assert.deepEqual((await clients.directories.put(closure)).rootDigest, digest);
      const root = concat([KEEP_FOLDER, fromHex(tail), KEEP_FILE, LINK]);
      assert.deepEqual(await encodings(clients, digest, true), [root, KEEP_FILE]);
      assert.deepEqual(await encodings(clients, digest, false), [root]);
      assert.deepEqual(await encodings(clients, given.WITH_KEEP_DIGEST, false), [KEEP_FILE]);
    }
  });

  Deno.test(`grpc directories: a recursive Get of what is not there gives nothing, ${way}`, async () => {
    const clients = clientsOf(openContext(), era, protocol);
    assert.deepEqual(await encodings(clients, given.ABSENT, true), []);
  });

  Deno.test(`grpc directories: the empty one, ${way}`, async () => {
    const clients = clientsOf(openContext(), era, protocol);
    assert.deepEqual((await clients.directories.put(stream({}))).rootDigest, given.EMPTY_DIGEST);
    assert.deepEqual(await encodings(clients, given.EMPTY_DIGEST, false), [new Uint8Array(0)]);
  });

  Deno.test(`grpc directories: one Directory may come again, ${way}`, async () => {
    const clients = clientsOf(openContext(), era, protocol);
    const keep = given.WITH_KEEP;
    const closure = stream<Record<string, unknown>>(keep, keep, given.complicated(1n));
    assert.deepEqual((await clients.directories.put(closure)).rootDigest, given.COMPLICATED_DIGEST);
  });

  Deno.test(`grpc directories: unknown fields are refused, for they are part of the digest, ${way}`, async () => {
    const { directories } = clientsOf(openContext(), era, protocol);
    const unknownOfAll = concat([KEEP_FILE, fromHex("4801")]);
    const unknownOfEntry = concat([fromHex("122b"), KEEP_FILE.subarray(2), fromHex("4801")]);
    for (const encoded of [unknownOfAll, unknownOfEntry]) {
      const message = fromBinary(era.directoryService.method.put.input, encoded);
      const { code, error } = await outcome(directories.put(stream(message)));
      assert.equal(code, era.name === "snix" ? "Internal" : "InvalidArgument");
      assert.match(error!.message, /not the canonical encoding/);
    }
  });

  Deno.test(`grpc directories: a Put that is cancelled ends in the store too, ${way}`, async () => {
    const context = openContext();
    const settled = Promise.withResolvers<string>();
    const directories = {
      putClosure: (closure: AsyncIterable<Directory>) =>
        context.directories.putClosure(closure).catch((error) => {
          settled.resolve("rejected");
          throw error;
        }),
    } as DirectoryService;
    const clients = clientsOf({ ...context, directories }, era, protocol);
    const canceller = new AbortController();
    const endless = async function* () {
      yield given.WITH_KEEP;
      canceller.abort();
      await new Promise(() => {});
    };
    const { code } = await outcome(clients.directories.put(endless(), { signal: canceller.signal }));
    assert.equal(code, "Canceled");
    assert.equal(await settled.promise, "rejected");
  });
}

Deno.test("grpc directories: in JSON, an unknown field is refused rather than dropped", async () => {
  const handle = rpcHandler(grpcHandlers(openContext()));
  const path = "/snix.castore.v1.DirectoryService/Put";
  for (const [json, refused] of [["{}", false], ['{"sockets":[]}', true]] as const) {
    const { body } = await handle(post(path, "application/connect+json", [envelope(fromText(json))]));
    assert.equal(
      /"code":"invalid_argument"/.test(new TextDecoder().decode(concat(await all(body!)))),
      refused,
    );
  }
});
