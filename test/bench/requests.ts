/**
 * Requests a second for the narinfos of the closure, one after the other over each of 8 connections kept alive (wrk),
 * beside a server on the same runtime that answers every request with one constant of about the same length:
 *
 *   narinfo/memory, narinfo/default
 */
import { type BenchContext, newFolder, peakOf, Series, startServer, STORES } from "./bench_context.ts";
import type { Corpus } from "./corpora.ts";
import { removeTree, run } from "./measure.ts";
import { PeerServer } from "./peer_server.ts";
import { putCorpus } from "./transfers.ts";

const CONNECTIONS = "8";

export async function benchRequests(context: BenchContext): Promise<void> {
  const { report, rounds } = context;
  const stores = STORES.filter((store) => report.wants(`narinfo/${store}`, `peak-narinfo/${store}`));
  if (stores.length === 0) return;
  if (!await hasWrk()) {
    console.error("left out narinfo/…: they need wrk, which `apt install wrk` installs");
    return;
  }
  const corpus = await context.open("closure");
  const script = newFolder(context, "requests.lua");
  await Deno.writeTextFile(script, scriptFor(corpus));
  const rates = new Series();
  const peaks = new Series();
  for (const store of stores) {
    const folder = newFolder(context, "store");
    await using server = await startServer(store, folder);
    await putCorpus(corpus, server.url);
    await using peer = await PeerServer.start("constant", await medianLength(corpus, server.url));
    for (let round = 0; round < rounds; round++) {
      rates.push(`peer/${store}`, await rate(peer.url, script, context));
      rates.push(store, await rate(server.url, script, context));
    }
    peaks.push(store, peakOf(server));
    await server.kill();
    if (store === "default") await removeTree(folder);
  }
  for (const store of stores) {
    const peer = { name: "Deno.serve of a constant", values: rates.of(`peer/${store}`) };
    report.add(`narinfo/${store}`, "requests/s", rates.of(store), peer);
    report.add(`peak-narinfo/${store}`, "MiB", peaks.of(store));
  }
}

async function hasWrk(): Promise<boolean> {
  try {
    await new Deno.Command("wrk", { args: ["--version"] }).output();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function scriptFor(corpus: Corpus): string {
  const paths = corpus.paths.map(({ narInfo }) => `"/${narInfo.url}"`).join(", ");
  return `local paths = { ${paths} }
local at = 0
request = function()
  at = at % #paths + 1
  return wrk.format("GET", paths[at])
end
`;
}

async function medianLength(corpus: Corpus, server: string): Promise<string> {
  const lengths = await Promise.all(corpus.paths.map(async ({ narInfo }) => {
    const response = await fetch(`${server}/${narInfo.url}`);
    return (await response.bytes()).length;
  }));
  return String(lengths.toSorted((a, b) => a - b)[lengths.length >> 1]);
}

async function rate(url: string, script: string, { requestSeconds }: BenchContext): Promise<number> {
  const options = ["--threads", "1", "--connections", CONNECTIONS, "--duration", `${requestSeconds}s`];
  const printed = await run("wrk", [...options, "--script", script, url]);
  const found = /^Requests\/sec:\s+([\d.]+)/m.exec(printed);
  if (!found || /Non-2xx|Socket errors/.test(printed)) throw new Error(`Cannot measure requests: ${printed}`);
  return Number(found[1]);
}
