/**
 * Downloads of a corpus that was uploaded before. In each round the peers and all stores take a turn:
 *
 *   download-cold/…    every NAR, by curl over one connection: the first since the server started (with the store in
 *                      memory: the first since the upload; that server cannot be started again)
 *   download-warm/…    the same once more
 *   harmonia/…         the same by the default store, beside harmonia (harmonia.ts says when)
 *   nix-copy-from/…    `nix copy --from http://…` into an empty store
 *   peak-…/…           the server's peak resident memory over each of these
 *
 * The peer of the first two is `nix-store --dump` to /dev/null of a folder with all the paths, of the last `nix copy
 * --from file://…`, from a cache without compression. The operating system has all files in memory throughout.
 */
import type { FirnServer } from "../e2e/server.ts";
import {
  type BenchContext,
  forgetPeak,
  newFolder,
  newUser,
  peakOf,
  Series,
  startServer,
  type StoreName,
  STORES,
  wantsAny,
} from "./bench_context.ts";
import type { Corpus, CorpusName } from "./corpora.ts";
import { removeTree, run, seconds, settle } from "./measure.ts";
import { Harmonia } from "./harmonia.ts";
import { getNars, narUrls, putCorpus } from "./transfers.ts";

const RAW = ["download-cold", "download-warm"];
const KINDS = [...RAW, "nix-copy-from"];
/** Turns of both in one round: their first ones are slower than all others. */
const HARMONIA_TURNS = 3;

export async function benchDownloads(name: CorpusName, context: BenchContext): Promise<void> {
  const { report, rounds } = context;
  const harmoniaRow = `harmonia/${name}/default`;
  const beside = report.wants(harmoniaRow) && Deno.env.has("FIRN_HARMONIA");
  const stores = STORES.filter((store) =>
    wantsAny(context, KINDS, name, store) || (beside && store === "default")
  );
  if (stores.length === 0) return;
  const corpus = await context.open(name);
  const times = new Series();
  const peaks = new Series();
  const copies = stores.some((store) => wantsAny(context, ["nix-copy-from"], name, store));
  const sources = new Map<StoreName, Source>();
  await using harmonia = beside ? await Harmonia.start(corpus) : undefined;
  const harmoniaUrls = harmonia && await narUrls(corpus, harmonia.url);
  try {
    for (const store of stores) sources.set(store, await Source.filled(store, corpus, context));
    await settle();
    for (let round = 0; round < rounds; round++) {
      times.push("dump", await seconds(() => dump(corpus)));
      if (copies) times.push("file", await copyFrom(corpus.cache, corpus, context));
      for (const [store, source] of sources) {
        await source.restart();
        const { server } = source;
        if (wantsAny(context, RAW, name, store)) {
          const urls = await narUrls(corpus, server.url);
          for (const kind of RAW) {
            await forgetPeak(server);
            times.push(`${kind}/${store}`, await seconds(() => getNars(corpus, urls)));
            peaks.push(`${kind}/${store}`, peakOf(server));
          }
        }
        if (harmoniaUrls && store === "default") {
          const urls = await narUrls(corpus, server.url);
          for (let turn = 0; turn < HARMONIA_TURNS; turn++) {
            times.push(harmoniaRow, await seconds(() => getNars(corpus, urls)));
            times.push("harmonia", await seconds(() => getNars(corpus, harmoniaUrls)));
          }
        }
        if (wantsAny(context, ["nix-copy-from"], name, store)) {
          await forgetPeak(server);
          times.push(`nix-copy-from/${store}`, await copyFrom(server.url, corpus, context));
          peaks.push(`nix-copy-from/${store}`, peakOf(server));
        }
      }
    }
  } finally {
    for (const source of sources.values()) await source.remove();
  }

  const speed = (time: number) => corpus.narBytes / 1e6 / time;
  const dumps = { name: "nix-store --dump", values: times.of("dump").map(speed) };
  if (harmonia) {
    const peer = { name: "harmonia", values: times.of("harmonia").map(speed) };
    report.add(harmoniaRow, "MB/s", times.of(harmoniaRow).map(speed), peer);
  }
  const files = { name: "nix copy --from file://", values: times.of("file") };
  for (const store of stores) {
    for (const kind of KINDS) {
      const own = times.of(`${kind}/${store}`);
      if (own.length === 0) continue;
      const row = `${kind}/${name}/${store}`;
      if (kind === "nix-copy-from") report.add(row, "s", own, files);
      else report.add(row, "MB/s", own.map(speed), dumps);
      report.add(`peak-${row}`, "MiB", peaks.of(`${kind}/${store}`));
    }
  }
}

/** A server that has the corpus. */
class Source {
  private constructor(readonly store: StoreName, readonly folder: string, public server: FirnServer) {}

  static async filled(store: StoreName, corpus: Corpus, context: BenchContext): Promise<Source> {
    const folder = newFolder(context, "store");
    const source = new Source(store, folder, await startServer(store, folder));
    await putCorpus(corpus, source.server.url);
    return source;
  }

  /** Start it anew, if what it has outlives it. */
  async restart(): Promise<void> {
    if (this.store === "memory") return;
    await this.server.stop();
    this.server = await startServer(this.store, this.folder);
  }

  async remove(): Promise<void> {
    await this.server.kill();
    if (this.store === "default") await removeTree(this.folder);
  }
}

async function dump({ store }: Corpus): Promise<void> {
  await run("nix-store", ["--dump", `${store}/nix/store`], true);
}

async function copyFrom(cache: string, corpus: Corpus, context: BenchContext): Promise<number> {
  const user = newUser(context);
  const folder = newFolder(context, "pulled");
  const time = await seconds(() =>
    user.nixCommand("copy", "--no-check-sigs", "--from", cache, "--to", folder, corpus.root)
  );
  await removeTree(folder);
  await settle();
  return time;
}
