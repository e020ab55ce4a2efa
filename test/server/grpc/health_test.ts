import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../src/gen/grpc/health/v1/health_pb.ts";
import { openContext, outcome, PROTOCOLS, transportTo } from "./_calls.ts";

const SERVICES = [
  "",
  "snix.castore.v1.BlobService",
  "snix.castore.v1.DirectoryService",
  "snix.store.v1.PathInfoService",
  "tvix.castore.v1.BlobService",
  "tvix.castore.v1.DirectoryService",
  "tvix.store.v1.PathInfoService",
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
];

for (const protocol of PROTOCOLS) {
  const open = (stopping?: AbortSignal) =>
    createClient(Health, transportTo(openContext(), protocol, { stopping }));

  Deno.test(`grpc health: Check and List, by ${protocol}`, async () => {
    const stopping = new AbortController();
    const health = open(stopping.signal);
    for (const status of [Status.SERVING, Status.NOT_SERVING]) {
      for (const service of SERVICES) assert.equal((await health.check({ service })).status, status);
      const { statuses } = await health.list({});
      assert.deepEqual(Object.keys(statuses).sort(), [...SERVICES].sort());
      for (const service of SERVICES) assert.equal(statuses[service].status, status);
      assert.equal((await outcome(health.check({ service: "snix.castore.v1" }))).code, "NotFound");
      stopping.abort();
    }
  });

  Deno.test(`grpc health: Watch says when the server begins to stop, and ends, by ${protocol}`, async () => {
    const stopping = new AbortController();
    for (const service of SERVICES.slice(0, 2)) {
      const seen: Status[] = [];
      const own = new AbortController();
      const health = open(service === "" ? stopping.signal : own.signal);
      for await (const { status } of health.watch({ service })) {
        seen.push(status);
        if (seen.length === 1) setTimeout(() => (service === "" ? stopping : own).abort(), 5);
      }
      assert.deepEqual(seen, [Status.SERVING, Status.NOT_SERVING]);
    }
    const unknown = [];
    const stops = new AbortController();
    for await (const { status } of open(stops.signal).watch({ service: "nothing" })) {
      unknown.push(status);
      stops.abort();
    }
    assert.deepEqual(unknown, [Status.SERVICE_UNKNOWN]);
    const late = [];
    for await (const { status } of open(stopping.signal).watch({})) late.push(status);
    assert.deepEqual(late, [Status.NOT_SERVING]);
  });

  Deno.test(`grpc health: Watch of what is not here stays open, by ${protocol}`, async () => {
    const canceller = new AbortController();
    const watch = open().watch({ service: "nothing" }, { signal: canceller.signal })[Symbol.asyncIterator]();
    assert.equal((await watch.next()).value.status, Status.SERVICE_UNKNOWN);
    const next = watch.next();
    const first = await Promise.race([
      next.then(() => "more", () => "ended"),
      new Promise((resolve) => setTimeout(() => resolve("open"), 20)),
    ]);
    assert.equal(first, "open");
    canceller.abort();
    await assert.rejects(next, /canceled|abort/i);
  });
}
