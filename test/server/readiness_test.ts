// Whether the server is alive, and ready: over HTTP and as health of gRPC.
import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../src/gen/grpc/health/v1/health_pb.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { Readiness } from "../../src/server/readiness.ts";
import { Site } from "./_site.ts";
import { openContext, transportTo } from "./grpc/_calls.ts";

async function answer(site: Site, path: string): Promise<string> {
  const response = await site.get(path);
  assert.equal(response.headers.get("cache-control"), "no-store");
  return `${response.status} ${await response.text()}`;
}

Deno.test("readiness: as the store answers, fails and answers again", async () => {
  const names = openMemory();
  let fault: Error | undefined;
  const look = async () => {
    if (fault) throw fault;
    await names.get("ready");
  };
  const told: string[] = [];
  const readiness = new Readiness({ look, freshMs: 0, log: (line) => told.push(line) });
  await using site = await Site.open("memory:", { readiness });
  assert.equal(await answer(site, "readyz"), "200 ready\n");
  fault = new Error("no route to 10.1.2.3");
  for (let i = 0; i < 3; i++) assert.equal(await answer(site, "readyz"), "503 not ready: the store fails\n");
  assert.equal(await answer(site, "healthz"), "200 alive\n");
  fault = undefined;
  assert.equal(await answer(site, "readyz"), "200 ready\n");
  assert.deepEqual(told, ["not ready: the store fails: no route to 10.1.2.3", "ready again"]);
});

Deno.test("readiness: a store that does not answer is asked once, however many ask", async () => {
  let looks = 0;
  const store = Promise.withResolvers<void>();
  const readiness = new Readiness({
    look: () => {
      looks++;
      return store.promise;
    },
    withinMs: 30,
    freshMs: 0,
  });
  await using site = await Site.open("memory:", { readiness });
  for (let round = 0; round < 3; round++) {
    const all = await Promise.all(Array.from({ length: 20 }, () => answer(site, "readyz")));
    assert.deepEqual([...new Set(all)], ["503 not ready: the store does not answer\n"]);
  }
  assert.equal(looks, 1);
  store.resolve();
  await new Promise((resolve) => setTimeout(resolve));
  assert.equal(await answer(site, "readyz"), "200 ready\n");
});

Deno.test("readiness: an answer is believed for a while", async () => {
  let looks = 0;
  const readiness = new Readiness({ look: () => Promise.resolve(looks++), freshMs: 60_000 });
  for (let i = 0; i < 5; i++) assert.equal(await readiness.why(), undefined);
  assert.equal(looks, 1);
});

Deno.test("readiness: a server that is stopping is alive, and not ready; other paths are other things", async () => {
  const stopping = new AbortController();
  await using site = await Site.open("memory:", { stopping: stopping.signal });
  assert.equal(await answer(site, "readyz"), "200 ready\n");
  stopping.abort();
  assert.equal(await answer(site, "readyz"), "503 not ready: the server is stopping\n");
  assert.equal(await answer(site, "healthz"), "200 alive\n");
  for (const path of ["x/readyz", "nix/healthz", "xhealthz", "healthz/"]) {
    const response = await site.get(path);
    assert.equal(response.status, 404, path);
    await response.body?.cancel();
  }
  const head = await site.send("HEAD", "healthz");
  assert.equal(head.status, 200);
  await head.body?.cancel();
});

Deno.test("readiness: health of gRPC is the same", async () => {
  const state: { why?: string } = {};
  const readiness = { why: () => Promise.resolve(state.why) };
  const health = createClient(Health, transportTo(openContext(), "grpc-web", { readiness }));
  assert.equal((await health.check({})).status, Status.SERVING);
  state.why = "the store fails";
  assert.equal((await health.check({ service: "snix.castore.v1.BlobService" })).status, Status.NOT_SERVING);
  assert.equal((await health.list({})).statuses[""].status, Status.NOT_SERVING);
});
