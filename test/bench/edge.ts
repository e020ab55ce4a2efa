/**
 * How long an endpoint that was stopped takes to answer: `deno serve mod.ts` on a remote KV that holds many values, started for
 * every figure, its compiled code in the runtime's cache.
 *
 *   edge-start/narinfo   from the start of the process to the first narinfo; its peer is `deno serve` of a module of one line
 *   edge-start/listen    a part of that: until the process listens, most of it loading modules
 *   edge-start/open      the rest: loading what is loaded at the first request, opening the store, the first read
 *   edge-start/kv        what of it is the runtime's: `Deno.openKv` and one `get`, in a process of their own
 *   edge-start/next      the narinfo after the first
 *   edge-start/memory    resident after that
 */
import { openKvHome } from "../../src/cli/kv_home.ts";
import { openKvIndex } from "../../src/adapters/deno_kv/kv_index.ts";
import type { PackEntry } from "../../src/combinators/pack_index.ts";
import { parseStorePathBase } from "../../src/nix/store_path.ts";
import { pathInfosOver } from "../../src/store/path_infos_over.ts";
import { DenokvServer } from "../e2e/_denokv.ts";
import { FirnServer, spawnEdge } from "../e2e/server.ts";
import { pathOf } from "../server/_site.ts";
import { type BenchContext, newFolder, Series } from "./bench_context.ts";

/** Values in the index of the store, and paths. */
const VALUES = 100_000;
const PATHS = 2_000;
const VALUES_PER_PACK = 600;
const STARTS_PER_ROUND = 5;
const ROWS = ["narinfo", "listen", "open", "kv", "next", "memory"].map((row) => `edge-start/${row}`);

export async function benchEdge(context: BenchContext): Promise<void> {
  const { report, rounds } = context;
  if (!report.wants(...ROWS)) return;
  const folder = newFolder(context, "edge");
  await Deno.mkdir(folder);
  await using kv = await DenokvServer.start(`${folder}/kv`);
  await fill(kv);
  await Deno.writeTextFile(`${folder}/bare.ts`, "export default { fetch: () => new Response('x') };");
  const figures = new Series();
  await startOnce(kv, new Series()); // the first start compiles
  for (let round = 0; round < rounds * STARTS_PER_ROUND; round++) {
    await startOnce(kv, figures);
    figures.push("bare", await bareStart(`${folder}/bare.ts`));
    figures.push("edge-start/kv", await kvStart(kv));
  }
  const peer = { name: "deno serve of one line", values: figures.of("bare") };
  for (const row of ROWS) {
    const unit = row.endsWith("memory") ? "MiB" : "s";
    report.add(row, unit, figures.of(row), row.endsWith("narinfo") ? peer : undefined);
  }
}

/** Paths, and index entries of packs that are not there: finding them is what is measured. */
async function fill(kv: DenokvServer): Promise<void> {
  {
    await using home = await openKvHome(kv.store, {});
    const pathInfos = pathInfosOver(home.names);
    await Promise.all(Array.from({ length: PATHS }, (_, i) =>
      pathInfos.put({
        storePath: parseStorePathBase(pathOf(`path-${i}`)),
        node: { type: "file", digest: new Uint8Array(32).fill(i), size: i, executable: false },
        references: [],
        narSha256: new Uint8Array(32).fill(i),
        narSize: i + 120,
        signatures: [],
        unclaimedReferences: [],
        registeredAt: 1_700_000_000_000,
      })));
  }
  const database = await Deno.openKv(kv.url);
  const index = await openKvIndex(database);
  const name = (text: string) => text.padEnd(64, "0");
  for (let first = 0; first < VALUES; first += VALUES_PER_PACK) {
    const entries: PackEntry[] = Array.from({ length: VALUES_PER_PACK }, (_, i) => ({
      key: `chunk/${name((first + i).toString(16))}`,
      offset: i * 1000,
      length: 1000,
    }));
    await index.add(`pack/${name(first.toString(16))}`, false, entries);
  }
  database.close();
}

async function startOnce(kv: DenokvServer, figures: Series): Promise<void> {
  const started = performance.now();
  await using edge = await FirnServer.startEdge(kv.store);
  const listening = performance.now();
  await narInfo(edge, 0);
  const first = performance.now();
  await narInfo(edge, 1);
  const next = performance.now();
  figures.push("edge-start/listen", (listening - started) / 1000);
  figures.push("edge-start/open", (first - listening) / 1000);
  figures.push("edge-start/narinfo", (first - started) / 1000);
  figures.push("edge-start/next", (next - first) / 1000);
  figures.push("edge-start/memory", edge.memory().now / 2 ** 20);
}

async function narInfo({ url }: FirnServer, path: number): Promise<void> {
  const answer = await fetch(`${url}/${pathOf(`path-${path}`).slice(0, 32)}.narinfo`);
  const text = await answer.text();
  if (answer.status !== 200) {
    throw new Error(`Cannot measure: a narinfo was answered with ${answer.status} ${text}`);
  }
}

/** Seconds until a module of one line has answered. */
async function bareStart(module: string): Promise<number> {
  const started = performance.now();
  const child = spawnEdge({}, module);
  let log = "";
  let url: string | undefined;
  const drained = child.stdout.pipeTo(new WritableStream());
  const told = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      log += text;
      url ??= /Listening on (http:\S+)/.exec(log)?.[1];
      if (url) break;
    }
  })();
  await told;
  const answer = await fetch(url!);
  await answer.text();
  const took = (performance.now() - started) / 1000;
  child.kill("SIGKILL");
  await Promise.all([child.status, drained]);
  return took;
}

/** Seconds that a new process takes to open a database and read from it. */
async function kvStart(kv: DenokvServer): Promise<number> {
  const script = `const started = performance.now(); const kv = await Deno.openKv(${JSON.stringify(kv.url)});
    await kv.get(["x"]); console.log(performance.now() - started); Deno.exit();`;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--unstable-kv", script],
    env: { NO_COLOR: "1" },
  }).output();
  return Number(new TextDecoder().decode(stdout)) / 1000;
}
