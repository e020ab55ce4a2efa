/**
 * How many bytes a corpus takes, beside its archives compressed one by one as a whole, which is what other caches keep and send:
 *
 *   wire/…/PEER      on the wire: the files that the narinfos name, once all are pressed
 *   rest/…/PEER      at rest: what the default store has on the disk for packs and names when all are pressed
 *   rest-bare/…      the same of a server that presses nothing, rest-plain/… of one that compresses nothing either
 *
 * The corpora are all that have many files, and two versions of one program, twice, which are in one store together. PEER is `zstd -1`,
 * `zstd -3`, which is what Nix takes unless told, or `xz`.
 */
import { forEach } from "../e2e/cache_folder.ts";
import { type BenchContext, newFolder, startServer } from "./bench_context.ts";
import { cacheFolder, type Corpus, type CorpusName } from "./corpora.ts";
import { removeTree, run } from "./measure.ts";
import { pressedFiles, PRESSING, putCorpus } from "./transfers.ts";

const CORPORA = ["closure", "tree", "small", "versions", "updates"] as const satisfies CorpusName[];

/** What compresses a whole archive. */
const PEERS = {
  "zstd-1": ["zstd", "-1", "-q", "-c"],
  "zstd-3": ["zstd", "-3", "-q", "-c"],
  "xz": ["xz", "-6", "-c"],
} as const;
type PeerName = keyof typeof PEERS;
const PEER_NAMES = Object.keys(PEERS) as PeerName[];

/** A store at rest that is measured, and the options of `serve` that make it. */
const RESTS = [
  ["rest", PRESSING],
  ["rest-bare", ["--nar-compression", "none"]],
  ["rest-plain", ["--nar-compression", "none", "--compress", "none"]],
] as const;

export async function benchSizes(context: BenchContext): Promise<void> {
  for (const name of CORPORA) await benchSizesOf(name, context);
}

async function benchSizesOf(name: typeof CORPORA[number], context: BenchContext): Promise<void> {
  const { report } = context;
  const peersOf = (kind: string) => PEER_NAMES.filter((peer) => kind === "rest" || peer === "zstd-3");
  const rowsOf = (kind: string) => peersOf(kind).map((peer) => `${kind}/${name}/${peer}`);
  const wanted = RESTS.filter(([kind]) =>
    report.wants(...rowsOf(kind), ...kind === "rest" ? PEER_NAMES.map((peer) => `wire/${name}/${peer}`) : [])
  );
  if (wanted.length === 0) return;
  if (name === "versions" && !await isThere("go")) {
    console.error("left out …/versions/…: they need go, which gets both releases");
    return;
  }
  if (name === "updates" && !await isThere("apt-get")) {
    console.error("left out …/updates/…: they need apt, which gets both versions");
    return;
  }
  const corpus = await context.open(name);
  const whole = await wholeSizes(corpus);
  for (const [kind, options] of wanted) {
    const { rest, wire } = await measure(corpus, context, options, kind === "rest");
    for (const peer of peersOf(kind)) {
      const beside = { name: peer.replace("-", " -"), values: [whole[peer] / 1e6] };
      if (wire !== undefined) report.add(`wire/${name}/${peer}`, "MB", [wire / 1e6], beside);
      report.add(`${kind}/${name}/${peer}`, "MB", [rest / 1e6], beside);
    }
  }
}

/** Upload it to a new store, and tell what that takes when its server has stopped. */
async function measure(
  corpus: Corpus,
  context: BenchContext,
  options: readonly string[],
  pressed: boolean,
): Promise<{ rest: number; wire?: number }> {
  const folder = newFolder(context, "store");
  let wire: number | undefined;
  {
    await using server = await startServer("default", folder, ...options);
    await putCorpus(corpus, server.url);
    if (pressed) {
      wire = (await pressedFiles(corpus, server.url)).reduce((sum, { fileSize }) => sum + fileSize, 0);
    }
    await server.stop();
  }
  const files = (await run("find", [folder, "-type", "f", "-printf", "%P %s\n"])).trim().split("\n");
  const sizes = files.map((line) => line.split(" ") as [string, string])
    .filter(([file]) => file.startsWith("bytes/") || file.startsWith("names."));
  await removeTree(folder);
  return { rest: sizes.reduce((sum, [, size]) => sum + Number(size), 0), ...wire !== undefined && { wire } };
}

/** The sums of the compressed lengths of all archives; worked out once and kept with the corpus. */
async function wholeSizes({ name, paths }: Corpus): Promise<Record<PeerName, number>> {
  const kept = `${cacheFolder()}/whole-${name}.json`;
  const of = paths.map(({ nar }) => nar.url).join(" ");
  try {
    const { sums, ...found } = JSON.parse(await Deno.readTextFile(kept));
    if (found.of === of) return sums;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const sums: Record<PeerName, number> = { "zstd-1": 0, "zstd-3": 0, "xz": 0 };
  for (const peer of PEER_NAMES) {
    await forEach(paths, navigator.hardwareConcurrency, async ({ nar }) => {
      const [command, ...options] = PEERS[peer];
      const script = `"$@" < "$0" | wc -c`;
      const length = await run("sh", ["-c", script, nar.file, command, ...options]);
      sums[peer] += Number(length);
    });
  }
  await Deno.writeTextFile(kept, JSON.stringify({ of, sums }));
  return sums;
}

async function isThere(command: string): Promise<boolean> {
  return (await new Deno.Command("sh", { args: ["-c", `command -v ${command}`], stdout: "null" }).output())
    .success;
}
