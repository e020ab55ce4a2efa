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
 * the system, so the first is generous; and of the others one has to be within its bound, as what is lost grows each time.
 */
const MOST_LEFT = 400 * MIB;
const MOST_MORE = 100 * MIB;
const REPEATS = 3;
/** How long an ordinary client may be kept waiting meanwhile, in milliseconds, on a machine that does other things, too. */
const MOST_WAIT = 10_000;

/** Declares a test of what some clients do to a server and to the others. */
function loadTest(title: string, load: (server: FirnServer, large: Uint8Array) => Promise<unknown>): void {
  grpcTest(`under load: ${title}`, async (server) => {
    const large = await putLarge(server, 64);
    await serveOne(server);
    const files = descriptors(server);
    /** How much memory has grown by one load, in bytes. */
    const grown = async (most: number) => {
      const before = server.memory().now;
      const { slowest } = await servingOthers(server, () => load(server, large));
      assert.ok(slowest < MOST_WAIT, `others waited ${slowest} ms`);
      return await settle(server, { files }, before + most) - before;
    };
    const first = await grown(MOST_LEFT);
    assert.ok(first <= MOST_LEFT, `memory has grown by ${Math.round(first / MIB)} MiB`);
    const more: number[] = [];
    do more.push(await grown(MOST_MORE)); while (more.at(-1)! > MOST_MORE && more.length < REPEATS);
    assert.ok(
      more.at(-1)! <= MOST_MORE,
      `memory has grown each time, by ${more.map((bytes) => Math.round(bytes / MIB)).join(", ")} MiB`,
    );
    assert.equal(await server.stop(), 0, server.log);
    assert.doesNotMatch(server.log, /^\s+at /m, "no stack in the log");
  });
}

loadTest("1000 Stats at the same time over 20 connections", (server) => manyStats(server, 20, 50));
loadTest("100 clients that hang up", (server, large) => hangUps(server, 100, large));
loadTest("clients that never read", (server, large) => neverReading(server, large, 6, 2));
loadTest("clients that reset what they ask for", (server, large) => resetting(server, large, 2, 2));
loadTest("clients that send byte by byte", (server) => trickle(server, 20, 100));
