/**
 * Uploads of a corpus. In each round the peer and all stores take a turn, each with an empty store:
 *
 *   upload/…          every NAR, then every narinfo, by curl over one connection
 *   upload-again/…    the same once more to the same server, which has all of it by then
 *   nix-copy-to/…     `nix copy --to http://…?compression=none`; with the store `nothing`, into a server that reads what
 *                     comes and forgets it: what nix itself needs for uploads over HTTP
 *   peak-…/…          the server's peak resident memory over each of these
 *
 * The peer of all is `nix copy --to file://…?compression=none`.
 */
import {
  type BenchContext,
  forgetPeak,
  newFolder,
  newUser,
  peakOf,
  Series,
  startServer,
  STORES,
  wantsAny,
} from "./bench_context.ts";
import type { Corpus, CorpusName } from "./corpora.ts";
import { removeTree, seconds, settle } from "./measure.ts";
import { PeerServer } from "./peer_server.ts";
import { putCorpus } from "./transfers.ts";

const RAW = ["upload", "upload-again"];
const KINDS = [...RAW, "nix-copy-to"];

export async function benchUploads(name: CorpusName, context: BenchContext): Promise<void> {
  const { report, rounds } = context;
  const stores = STORES.filter((store) => wantsAny(context, KINDS, name, store));
  const floor = report.wants(`nix-copy-to/${name}/nothing`);
  if (stores.length === 0 && !floor) return;
  const corpus = await context.open(name);
  const times = new Series();
  const peaks = new Series();
  for (let round = 0; round < rounds; round++) {
    times.push("peer", await copyToFile(corpus, context));
    if (floor) {
      await using server = await PeerServer.start("forgetful");
      times.push("nothing", await copyTo(`${server.url}?compression=none`, corpus, context));
      await settle();
    }
    for (const store of stores) {
      if (wantsAny(context, RAW, name, store)) {
        const folder = newFolder(context, "store");
        await using server = await startServer(store, folder);
        for (const kind of RAW) {
          await forgetPeak(server);
          times.push(`${kind}/${store}`, await seconds(() => putCorpus(corpus, server.url)));
          peaks.push(`${kind}/${store}`, peakOf(server));
        }
        await server.kill();
        await clean(store === "default" ? folder : undefined);
      }
      if (wantsAny(context, ["nix-copy-to"], name, store)) {
        const folder = newFolder(context, "store");
        await using server = await startServer(store, folder);
        times.push(`nix-copy-to/${store}`, await copyTo(`${server.url}?compression=none`, corpus, context));
        peaks.push(`nix-copy-to/${store}`, peakOf(server));
        await server.kill();
        await clean(store === "default" ? folder : undefined);
      }
    }
  }

  const speed = (time: number) => corpus.narBytes / 1e6 / time;
  const peer = { name: "nix copy --to file://", values: times.of("peer") };
  const peerSpeed = { ...peer, values: peer.values.map(speed) };
  if (floor) report.add(`nix-copy-to/${name}/nothing`, "s", times.of("nothing"), peer);
  for (const store of stores) {
    for (const kind of KINDS) {
      const own = times.of(`${kind}/${store}`);
      if (own.length === 0) continue;
      const row = `${kind}/${name}/${store}`;
      if (kind === "nix-copy-to") report.add(row, "s", own, peer);
      else report.add(row, "MB/s", own.map(speed), peerSpeed);
      report.add(`peak-${row}`, "MiB", peaks.of(`${kind}/${store}`));
    }
  }
}

async function copyToFile(corpus: Corpus, context: BenchContext): Promise<number> {
  const folder = newFolder(context, "file-cache");
  const time = await copyTo(`file://${folder}?compression=none`, corpus, context);
  await clean(folder);
  return time;
}

async function copyTo(cache: string, corpus: Corpus, context: BenchContext): Promise<number> {
  const user = newUser(context);
  return await seconds(() => user.nixCommand("copy", "--from", corpus.store, "--to", cache, corpus.root));
}

async function clean(folder: string | undefined): Promise<void> {
  if (folder !== undefined) await removeTree(folder);
  await settle();
}
