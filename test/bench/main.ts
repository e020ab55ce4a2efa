/**
 * How fast the server is beside nix without one: `deno task bench [--quick] [--only TEXT]`. Rows as report.ts says, on
 * stdout; what they measure is said in uploads.ts, downloads.ts, compressed.ts, sizes.ts, remote.ts, edge.ts, requests.ts, grpc.ts,
 * s3.ts and browser.ts; on what, in corpora.ts. Needs Linux, nix, curl and zstd, wrk for the rows of requests, node, go and h2load
 * for those of gRPC, go and once the network for those of two versions, chromium for those of the browser, denokv for those of remote
 * stores and the edge, Ceph for those of remote stores and S3, and `FIRN_HARMONIA` for those beside harmonia.
 * Three rounds take about half an hour on two quiet cores.
 */
import { parseArgs } from "node:util";
import { builder } from "../e2e/nix.ts";
import type { BenchContext } from "./bench_context.ts";
import { benchBrowser } from "./browser.ts";
import { cacheFolder, type Corpus, CORPUS_NAMES, type CorpusName, openCorpus, warm } from "./corpora.ts";
import { benchCompressedDownloads, benchCompressedUploads } from "./compressed.ts";
import { benchDownloads } from "./downloads.ts";
import { benchEdge } from "./edge.ts";
import { benchGrpc } from "./grpc.ts";
import { emptyFolder, removeTree, settle } from "./measure.ts";
import { benchRemote } from "./remote.ts";
import { Report } from "./report.ts";
import { benchRequests } from "./requests.ts";
import { benchS3 } from "./s3.ts";
import { benchSizes } from "./sizes.ts";
import { benchUploads } from "./uploads.ts";

const HELP = `usage: deno task bench [--quick] [--only TEXT]

  --only TEXT   only rows with this in their names, such as upload/small or /default
  --quick       one round instead of three, and a quarter of big and of what goes by gRPC
`;

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(HELP);
  Deno.exit(0);
}
const { only, quick } = values;

const nix = builder();
if (!nix) throw new Error("Cannot run the benchmark: there is no nix on PATH");
const started = performance.now();
const note = (line: string) =>
  console.error(`${Math.round((performance.now() - started) / 1000)} s: ${line}`);

const work = `${cacheFolder()}/run`;
await emptyFolder(work); // of what an interrupted run left
const report = new Report(only);
const corpora = new Map<CorpusName, Promise<Corpus>>();
const context: BenchContext = {
  report,
  nix,
  open: (name) => corpora.getOrInsertComputed(name, make),
  work,
  rounds: quick ? 1 : 3,
  quick,
  requestSeconds: quick ? 2 : 4,
};

async function make(name: CorpusName): Promise<Corpus> {
  note(`opening ${name}, load ${load()}`);
  const corpus = await openCorpus(name, nix, quick);
  note(`${name} is ${corpus.about}, ${Math.round(corpus.narBytes / 1e6)} MB as NARs`);
  await warm(corpus);
  await settle();
  return corpus;
}

try {
  note(
    `nix ${nix.version}, deno ${Deno.version.deno}, ${navigator.hardwareConcurrency} cores, load ${load()}`,
  );
  for (const name of CORPUS_NAMES) {
    await benchUploads(name, context);
    await benchDownloads(name, context);
    await benchCompressedUploads(name, context);
    await benchCompressedDownloads(name, context);
  }
  await benchSizes(context);
  await benchRemote(context);
  await benchEdge(context);
  await benchRequests(context);
  await benchGrpc(context);
  await benchS3(context);
  await benchBrowser(context);
  if (only === undefined || only === "hash") await benchHashes();
} finally {
  await removeTree(work);
}
note(`the end, load ${load()}\n\n${report.table()}`);

/** In a process of its own, where nothing has warmed up or filled the memory. */
async function benchHashes(): Promise<void> {
  note(`hashing, load ${load()}`);
  const script = new URL("./hash_bench.ts", import.meta.url).href;
  const { success } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", script] }).spawn().status;
  if (!success) throw new Error("Cannot measure the hashes: see above");
}

function load(): string {
  return Deno.loadavg().map((average) => average.toFixed(1)).join(" ");
}
