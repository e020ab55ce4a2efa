/**
 * What clients of native gRPC that are many, slow or rude do to a server with the default store, and to an ordinary client
 * at the same time. Memory is told while they are there and when they are gone: freed memory is not always given back to
 * the system, so each load runs twice, and the second time must cost next to nothing more.
 */
import { FirnServer } from "../e2e/server.ts";
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
  trickleGreeting,
} from "./grpc_load.ts";
import { watching } from "./memory.ts";
import { row } from "./rows.ts";

const MIB = 1024 * 1024;
/** Memory a server may have meanwhile, in MiB. */
const MOST_MEMORY = { below: 1000 };
/** Memory that a load may leave behind, and that it may leave more when it comes again, in MiB. */
const MOST_LEFT = { below: 700 };
const MOST_MORE = { below: 150 };
/** How long an ordinary client may wait meanwhile for a Put, a Stat and a Read of 64 KiB, in milliseconds. */
const MOST_WAIT = { below: 20_000 };

/** Runs all loads, each on a server of its own, and prints what they took. */
export async function measureGrpc(): Promise<void> {
  await measure("10,000 Stats at the same time over 100 connections", 1, async (server, name) => {
    const seconds = await manyStats(server, 100, 100);
    row(name, 10_000 / seconds, "calls/s");
  });
  await measure("1000 clients that hang up", 64, async (server, name, large) => {
    const started = performance.now();
    await hangUps(server, 500, large);
    row(name, (performance.now() - started) / 1000, "s");
  });
  await measure(
    "100 clients that never read 1 GiB, for 15 s",
    1024,
    (server, _, large) => neverReading(server, large, 100, 15),
  );
  await measure("clients that reset at once, for 10 s", 64, async (server, name, large) => {
    const { streams, connections } = await resetting(server, large, 4, 10);
    row(`${name}: streams`, streams, "streams");
    row(`${name}: connections it took`, connections, "connections");
  });
  await measure("100 clients that send a Put at 1 byte/s", 1, (server) => trickle(server, 100, 1000));
  await measure("100 clients that greet at 1 byte/s", 1, async (server, name) => {
    row(`${name}: hung up on after`, await trickleGreeting(server, 100, 1000), "s", { below: 30 });
  });
}

async function measure(
  name: string,
  mebibytes: number,
  load: (server: FirnServer, name: string, large: Uint8Array) => Promise<unknown>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "firn-scale-" });
  try {
    await using server = await FirnServer.start(`${folder}/store`);
    const large = await putLarge(server, mebibytes);
    await serveOne(server);
    const files = descriptors(server);
    let before = server.memory().now;
    for (const round of ["first", "second"] as const) {
      const { result, memory } = await watching(
        server,
        () => servingOthers(server, () => load(server, `${name} (${round})`, large)),
      );
      row(`${name} (${round}): slowest of the others`, result.slowest, "ms", MOST_WAIT);
      row(`${name} (${round}): memory (highest sample)`, memory.highest / MIB, "MiB", MOST_MEMORY);
      const most = round === "first" ? MOST_LEFT : MOST_MORE;
      const after = await settle(server, { files }, before + most.below * MIB);
      row(`${name} (${round}): memory left`, (after - before) / MIB, "MiB", most);
      before = after;
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
