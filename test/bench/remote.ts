/**
 * Stores that are not on this machine's disk, beside the default one. In each round all take a turn, each empty at first:
 *
 *   remote-upload/…      every NAR, then every narinfo, by curl over one connection
 *   remote-download/…    every NAR by curl over one connection, after the server was started anew
 *   peak-…/…             the server's peak resident memory over each of these
 *
 * | store | names and index | packs |
 * |---|---|---|
 * | kv | a server of Deno KV on loopback | there, too |
 * | kv-s3 | the same | a Ceph with an S3 gateway on loopback, three copies in memory |
 * | default | a folder | a folder |
 *
 * The peer of the first is the default store. Needs denokv (test/e2e/install_denokv.sh) and Ceph.
 */
import { startCeph } from "../e2e/_ceph.ts";
import { DenokvServer } from "../e2e/_denokv.ts";
import { makeBucket } from "../e2e/_s3.ts";
import { FirnServer } from "../e2e/server.ts";
import { type BenchContext, forgetPeak, newFolder, peakOf, Series } from "./bench_context.ts";
import type { Corpus, CorpusName } from "./corpora.ts";
import { removeTree, seconds, settle } from "./measure.ts";
import { getNars, narUrls, putCorpus } from "./transfers.ts";

const CORPORA: readonly CorpusName[] = ["small", "closure"];
const KINDS = ["remote-upload", "remote-download"];

/** What the store of a turn needs, gone when its scope is left. */
interface Place extends AsyncDisposable {
  /** Options of `serve`, the address of the store first. */
  readonly options: readonly [string, ...string[]];
}

const PLACES: Record<string, (folder: string) => Promise<Place>> = {
  kv: async (folder) => {
    await Deno.mkdir(folder, { recursive: true });
    const kv = await DenokvServer.start(`${folder}/kv`);
    return { options: [kv.store], [Symbol.asyncDispose]: () => kv.kill() };
  },
  "kv-s3": async (folder) => {
    await using open = new AsyncDisposableStack();
    await Deno.mkdir(folder, { recursive: true });
    const kv = open.use(await DenokvServer.start(`${folder}/kv`));
    const ceph = open.use(await startCeph());
    await makeBucket(ceph, "packs");
    Deno.env.set("AWS_ACCESS_KEY_ID", ceph.accessKey);
    Deno.env.set("AWS_SECRET_ACCESS_KEY", ceph.secretKey);
    const packs = `s3://packs/?endpoint=${ceph.endpoint}&region=${ceph.region}&path-style=true`;
    const all = open.move();
    return { options: [kv.store, "--packs", packs], [Symbol.asyncDispose]: () => all.disposeAsync() };
  },
  default: (folder) => Promise.resolve({ options: [folder], [Symbol.asyncDispose]: async () => {} }),
};

export async function benchRemote(context: BenchContext): Promise<void> {
  const { report, rounds } = context;
  for (const name of CORPORA) {
    const rows = (place: string) => KINDS.map((kind) => `${kind}/${name}/${place}`);
    const wanted = Object.keys(PLACES).filter((place) =>
      report.wants(...rows(place), ...rows(place).map((row) => `peak-${row}`))
    );
    if (wanted.length === 0) continue;
    const corpus = await context.open(name);
    const times = new Series();
    const peaks = new Series();
    for (let round = 0; round < rounds; round++) {
      for (const place of wanted) await takeTurn(place, corpus, context, times, peaks);
    }
    const speeds = (row: string) => times.of(row).map((time) => corpus.narBytes / 1e6 / time);
    for (const place of wanted) {
      for (const row of rows(place)) {
        const own = `${row.split("/")[0]}/${name}/default`;
        const beside = place !== "default" && times.of(own).length > 0;
        report.add(
          row,
          "MB/s",
          speeds(row),
          beside ? { name: "default store", values: speeds(own) } : undefined,
        );
        report.add(`peak-${row}`, "MiB", peaks.of(row));
      }
    }
  }
}

async function takeTurn(
  place: string,
  corpus: Corpus,
  context: BenchContext,
  times: Series,
  peaks: Series,
): Promise<void> {
  const folder = newFolder(context, "remote");
  {
    await using where = await PLACES[place](folder);
    const measure = async (kind: string, task: (url: string) => Promise<() => Promise<unknown>>) => {
      await using server = await FirnServer.start(...where.options);
      const work = await task(server.url);
      await forgetPeak(server);
      times.push(`${kind}/${corpus.name}/${place}`, await seconds(work));
      peaks.push(`${kind}/${corpus.name}/${place}`, peakOf(server));
      await server.stop();
    };
    await measure("remote-upload", (url) => Promise.resolve(() => putCorpus(corpus, url)));
    await measure("remote-download", async (url) => {
      const urls = await narUrls(corpus, url);
      return () => getNars(corpus, urls);
    });
  }
  await removeTree(folder);
  await settle();
}
