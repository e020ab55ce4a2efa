/**
 * What compression costs and gives. In each round both ways take turns:
 *
 *   upload-zstd/…            every NAR, then every narinfo, by curl over one connection, to a store that compresses what it keeps,
 *   upload-pressed/…         and to one that presses it, too; beside one that stores all plain
 *   nix-copy-to-zstd/…       `nix copy --to http://…?compression=none` of the same
 *   nix-copy-to-pressed/…
 *   download-pressed/…       every NAR, compressed, by curl over one connection; in MB/s of NAR bytes, beside the NARs as they are
 *   download-framed/…        the NARs as they are, out of the same store, beside those of a store that has all plain
 *   nix-copy-from-pressed/…  `nix copy --from http://…` into an empty store, beside the same from NARs as they are
 *   slow/RATE/…              the same through a link of 100 Mbit/s and of 1 Gbit/s (slow_link.ts)
 *   slow/RATE/link           what such a link lets through, by curl, beside what it is set to
 *
 * Downloads are from servers over one store, which is compressed and pressed, started anew for each way: the peer of the compressed form
 * has to decompress what it sends.
 */
import type { FirnServer } from "../e2e/server.ts";
import { type BenchContext, newFolder, newUser, Series, startServer } from "./bench_context.ts";
import type { Corpus, CorpusName } from "./corpora.ts";
import { removeTree, seconds, settle } from "./measure.ts";
import { SlowLink } from "./slow_link.ts";
import { getFiles, getNars, narFiles, narUrls, pressedFiles, PRESSING, putCorpus } from "./transfers.ts";

const PLAIN = ["--nar-compression", "none"] as const;
/** How what is uploaded is kept. */
const KEEPINGS = {
  plain: ["--compress", "none", ...PLAIN],
  zstd: ["--compress", "zstd", ...PLAIN],
  pressed: ["--compress", "zstd", ...PRESSING],
} as const;
type Keeping = keyof typeof KEEPINGS;
const OTHERS = ["zstd", "pressed"] as const;

/** Of links, in bytes a second. */
const RATES = { "100-Mbit": 100e6 / 8, "1-Gbit": 1e9 / 8 } as const;
const RATE_NAMES = Object.keys(RATES) as (keyof typeof RATES)[];

export async function benchCompressedUploads(name: CorpusName, context: BenchContext): Promise<void> {
  const { report, rounds } = context;
  const kinds = (["upload", "nix-copy-to"] as const).filter((kind) => {
    return report.wants(...OTHERS.map((keeping) => `${kind}-${keeping}/${name}`));
  });
  if (kinds.length === 0) return;
  const corpus = await context.open(name);
  const times = new Series();
  for (let round = 0; round < rounds; round++) {
    for (const keeping of Object.keys(KEEPINGS) as Keeping[]) {
      for (const kind of kinds) {
        times.push(`${kind}-${keeping}`, await upload(kind, keeping, corpus, context));
      }
    }
  }
  const speed = (time: number) => corpus.narBytes / 1e6 / time;
  for (const kind of kinds) {
    const plain = times.of(`${kind}-plain`);
    for (const keeping of OTHERS) {
      const [row, own] = [`${kind}-${keeping}/${name}`, times.of(`${kind}-${keeping}`)];
      if (kind === "nix-copy-to") report.add(row, "s", own, { name: "stored plain", values: plain });
      else report.add(row, "MB/s", own.map(speed), { name: "stored plain", values: plain.map(speed) });
    }
  }
}

/** Seconds that an upload to an empty store takes. */
async function upload(
  kind: "upload" | "nix-copy-to",
  keeping: Keeping,
  corpus: Corpus,
  context: BenchContext,
): Promise<number> {
  const folder = newFolder(context, "store");
  await using server = await startServer("default", folder, ...KEEPINGS[keeping]);
  const time = await seconds(async () => {
    if (kind === "upload") return await putCorpus(corpus, server.url);
    const to = `${server.url}?compression=none`;
    await newUser(context).nixCommand("copy", "--from", corpus.store, "--to", to, corpus.root);
  });
  await server.kill();
  await removeTree(folder);
  await settle();
  return time;
}

export async function benchCompressedDownloads(name: CorpusName, context: BenchContext): Promise<void> {
  const { report, rounds } = context;
  const curls = report.wants(`download-pressed/${name}`);
  const framed = report.wants(`download-framed/${name}`);
  const copies = report.wants(`nix-copy-from-pressed/${name}`);
  const rates = name === "closure"
    ? RATE_NAMES.filter((rate) => report.wants(`slow/${rate}/${name}`, `slow/${rate}/link`))
    : [];
  if (!curls && !framed && !copies && rates.length === 0) return;
  const corpus = await context.open(name);
  const folder = newFolder(context, "store");
  await fill(corpus, folder, "pressed");
  const plain = newFolder(context, "store");
  if (framed) await fill(corpus, plain, "plain");
  const times = new Series();
  for (let round = 0; round < rounds; round++) {
    for (const [form, options] of [["plain", PLAIN], ["pressed", PRESSING]] as const) {
      await using server = await startServer("default", folder, ...options);
      if (curls || (framed && form === "plain")) {
        times.push(`curl ${form}`, await download(corpus, server, form));
      }
      if (copies) times.push(`copy ${form}`, await copyFrom(server.url, corpus, context));
      for (const rate of rates) {
        await using link = new SlowLink(server.url, RATES[rate]);
        times.push(`${rate} ${form}`, await copyFrom(link.url, corpus, context));
        if (form === "plain") times.push(`${rate} link`, await throughLink(corpus, link));
      }
      await server.stop();
    }
    if (framed) {
      await using server = await startServer("default", plain, ...PLAIN);
      times.push("curl stored plain", await download(corpus, server, "plain"));
      await server.stop();
    }
  }
  await removeTree(folder);
  if (framed) await removeTree(plain);
  const speed = (time: number) => corpus.narBytes / 1e6 / time;
  const beside = (name: string, figures: (time: number) => number = (time) => time) => {
    return { name: "NARs as they are", values: times.of(`${name} plain`).map(figures) };
  };
  if (curls) {
    report.add(
      `download-pressed/${name}`,
      "MB/s",
      times.of("curl pressed").map(speed),
      beside("curl", speed),
    );
  }
  if (framed) {
    const peer = { name: "stored plain", values: times.of("curl stored plain").map(speed) };
    report.add(`download-framed/${name}`, "MB/s", times.of("curl plain").map(speed), peer);
  }
  if (copies) report.add(`nix-copy-from-pressed/${name}`, "s", times.of("copy pressed"), beside("copy"));
  for (const rate of rates) {
    report.add(`slow/${rate}/${name}`, "s", times.of(`${rate} pressed`), beside(rate));
    const through = times.of(`${rate} link`).map(speed);
    const set = { name: "set to", values: through.map(() => RATES[rate] / 1e6) };
    report.add(`slow/${rate}/link`, "MB/s", through, set);
  }
}

/** Make a store with all of a corpus. */
async function fill(corpus: Corpus, folder: string, keeping: "plain" | "pressed"): Promise<void> {
  await using server = await startServer("default", folder, ...KEEPINGS[keeping]);
  await putCorpus(corpus, server.url);
  if (keeping === "pressed") await pressedFiles(corpus, server.url);
  await server.stop();
  await settle();
}

async function download(corpus: Corpus, server: FirnServer, form: "plain" | "pressed"): Promise<number> {
  const files = await (form === "pressed" ? pressedFiles : narFiles)(corpus, server.url);
  const urls = files.map(({ url }) => url);
  return await seconds(() => getFiles(corpus, urls, files.map(({ fileSize }) => fileSize)));
}

async function throughLink(corpus: Corpus, link: SlowLink): Promise<number> {
  const urls = await narUrls(corpus, link.url);
  return await seconds(() => getNars(corpus, urls));
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
