import assert from "node:assert/strict";
import { rpcHandler } from "../../../src/server/grpc/dispatch.ts";
import { grpcHandlers } from "../../../src/server/grpc/handlers.ts";
import { all, envelope, openContext, post } from "./_calls.ts";

const handle = rpcHandler(grpcHandlers(openContext()));

Deno.test("grpc dispatch: a method of every service is there", () => {
  const paths = grpcHandlers(openContext()).map(({ requestPath }) => requestPath).sort();
  const methods = (era: string) => [
    `/${era}.castore.v1.BlobService/Put`,
    `/${era}.castore.v1.BlobService/Read`,
    `/${era}.castore.v1.BlobService/Stat`,
    `/${era}.castore.v1.DirectoryService/Get`,
    `/${era}.castore.v1.DirectoryService/Put`,
    `/${era}.store.v1.PathInfoService/CalculateNAR`,
    `/${era}.store.v1.PathInfoService/Get`,
    `/${era}.store.v1.PathInfoService/List`,
    `/${era}.store.v1.PathInfoService/Put`,
  ];
  assert.deepEqual(paths, [
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/List",
    "/grpc.health.v1.Health/Watch",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ...methods("snix"),
    ...methods("tvix"),
  ]);
});

Deno.test("grpc dispatch: an unknown method is UNIMPLEMENTED, in the header, to gRPC", async () => {
  for (const type of ["application/grpc", "application/grpc+proto", "application/grpc-web+proto"]) {
    for (const path of ["/snix.castore.v1.BlobService/Delete", "/no.Service/Get", "/", "/nix-cache-info"]) {
      const { status, header, body, trailer } = await handle(post(path, type, []));
      assert.equal(status, 200);
      assert.equal(header!.get("content-type"), type);
      assert.equal(header!.get("grpc-status"), "12");
      assert.match(decodeURIComponent(header!.get("grpc-message")!), /^Cannot call \//);
      assert.deepEqual([body, trailer], [undefined, undefined]);
    }
  }
});

Deno.test("grpc dispatch: an unknown path is 404 to all others", async () => {
  for (const type of ["application/proto", "application/connect+json", "text/plain", "application/grpcx"]) {
    assert.equal((await handle(post("/snix.castore.v1.BlobService/Delete", type, []))).status, 404);
  }
});

Deno.test("grpc dispatch: a query is not part of the path", async () => {
  const response = await handle(
    post("/grpc.health.v1.Health/Check?x=1", "application/grpc", [envelope(new Uint8Array(0))]),
  );
  assert.equal((await all(response.body!)).length, 1);
  assert.equal(response.trailer!.get("grpc-status"), "0");
});

Deno.test("grpc dispatch: requests that are not calls", async () => {
  const check = "/grpc.health.v1.Health/Check";
  assert.equal((await handle(post(check, "text/plain", []))).status, 415);
  assert.equal((await handle({ ...post(check, "application/grpc", []), method: "GET" })).status, 405);
  const cut = await handle(post(check, "application/grpc", [Uint8Array.of(0, 0, 0, 0, 9, 1)]));
  await all(cut.body!);
  assert.equal(cut.trailer!.get("grpc-status"), "3", "a message that is cut off");
  const none = await handle(post(check, "application/grpc", []));
  await all(none.body!);
  assert.equal(none.trailer!.get("grpc-status"), "12", "no message at all");
});

Deno.test("grpc dispatch: grpc-message is encoded where the protocol asks for it and nowhere else", async () => {
  const name = new TextEncoder().encode("jiný: 100%, a/b?");
  const request = envelope(Uint8Array.of(0x0a, name.length, ...name));
  const { body, trailer } = await handle(
    post("/grpc.health.v1.Health/Check", "application/grpc", [request]),
  );
  if (body) await all(body);
  const wanted = "jin%C3%BD: 100%25, a/b?";
  assert.ok(trailer!.get("grpc-message")!.includes(wanted), trailer!.get("grpc-message")!);
  assert.ok(trailer!.get("grpc-message")!.includes(wanted), "however often it is looked at");
  const unknown = await handle(post("/no.Service/Get", "application/grpc", []));
  assert.equal(
    unknown.header!.get("grpc-message"),
    "Cannot call /no.Service/Get: there is no such method here",
  );
});
