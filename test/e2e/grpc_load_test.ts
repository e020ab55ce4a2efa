/** Clients of native gRPC that are many, or without manners; small here, large in `deno task scale grpc`. */
import assert from "node:assert/strict";
import {
  descriptors,
  hangUps,
  manyStats,
  neverReading,
  putLarge,
  resetting,
  serveOne,
  servingOthers,
  settle,
  trickle,
} from "../scale/grpc_load.ts";
import { grpcTest } from "./grpc_clients.ts";
import type { FirnServer } from "./server.ts";

const MIB = 1024 * 1024;
/**
 * What resident memory may grow by, and by how much more when the same load comes again. Freed memory is not always given back to
 * the system, so the first is generous.
 */
const MOST_LEFT = 400 * MIB;
const MOST_MORE = 100 * MIB;
/** How long an ordinary client may be kept waiting meanwhile, in milliseconds, on a machine that does other things, too. */
const MOST_WAIT = 10_000;

/** Declares a test of what some clients do to a server and to the others. */
function loadTest(title: string, load: (server: FirnServer, large: Uint8Array) => Promise<unknown>): void {
  grpcTest(`under load: ${title}`, async (server) => {
    const large = await putLarge(server, 64);
    await serveOne(server);
    const files = descriptors(server);
    let before = server.memory().now;
    for (const most of [MOST_LEFT, MOST_MORE]) {
      const { slowest } = await servingOthers(server, () => load(server, large));
      assert.ok(slowest < MOST_WAIT, `others waited ${slowest} ms`);
      const after = await settle(server, { files }, before + most);
      assert.ok(after <= before + most, `memory has grown by ${Math.round((after - before) / MIB)} MiB`);
      before = after;
    }
    assert.equal(await server.stop(), 0, server.log);
    assert.doesNotMatch(server.log, /^\s+at /m, "no stack in the log");
  });
}

loadTest("1000 Stats at the same time over 20 connections", (server) => manyStats(server, 20, 50));
loadTest("100 clients that hang up", (server, large) => hangUps(server, 100, large));
loadTest("clients that never read", (server, large) => neverReading(server, large, 6, 2));
loadTest("clients that reset what they ask for", (server, large) => resetting(server, large, 2, 2));
loadTest("clients that send byte by byte", (server) => trickle(server, 20, 100));
