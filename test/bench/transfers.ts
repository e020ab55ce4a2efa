/**
 * Clients that cost little themselves, for the raw rows: curl, with one connection, from files and to nowhere. And waiting until a
 * server serves compressed what it was given.
 */
import { pause } from "../e2e/server.ts";
import { field } from "../e2e/cache_folder.ts";
import type { Corpus } from "./corpora.ts";
import { run } from "./measure.ts";

interface Transfer {
  readonly url: string;
  /** What is uploaded; a download without it. */
  readonly file?: string;
}

/** Upload the NARs, then the narinfos. */
export async function putCorpus(corpus: Corpus, server: string): Promise<void> {
  const files = [...corpus.paths.map(({ nar }) => nar), ...corpus.paths.map(({ narInfo }) => narInfo)];
  await curl(files.map(({ url, file }) => ({ url: `${server}/${url}`, file })));
}

/** Where the server has the NARs, as its narinfos say. */
export async function narUrls(corpus: Corpus, server: string): Promise<string[]> {
  return (await narFiles(corpus, server)).map(({ url }) => url);
}

/** Options of `serve` with which NARs are served compressed. */
export const PRESSING = ["--nar-compression", "zstd"] as const;
/** NARs so short may be served as they are. */
const SHORT_NAR = 64 * 1024;
/** Seconds in which a corpus is pressed, on any machine. */
const PRESSING_PATIENCE = 600;

/** The files that the server's narinfos name. */
export interface NarFile {
  readonly url: string;
  readonly compression: string;
  readonly fileSize: number;
}

export async function narFiles(corpus: Corpus, server: string): Promise<NarFile[]> {
  return await Promise.all(corpus.paths.map(async ({ narInfo }) => {
    const response = await fetch(`${server}/${narInfo.url}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`Cannot get ${narInfo.url}: ${response.status} ${text}`);
    return {
      url: `${server}/${field(text, "URL")}`,
      compression: field(text, "Compression"),
      fileSize: Number(field(text, "FileSize")),
    };
  }));
}

/** The files of a server started with {@link PRESSING}, once all are pressed that will be. */
export async function pressedFiles(corpus: Corpus, server: string): Promise<NarFile[]> {
  for (let seconds = 0; seconds < PRESSING_PATIENCE; seconds++) {
    const files = await narFiles(corpus, server);
    const done = files.every(({ compression }, i) => {
      return compression === "zstd" || corpus.paths[i].narSize < SHORT_NAR;
    });
    if (done) return files;
    await pause(1000);
  }
  throw new Error(`Cannot measure ${corpus.name} compressed: after ${PRESSING_PATIENCE} s it is not pressed`);
}

/** Download the NARs. @throws {Error} if their lengths are not those of the corpus */
export async function getNars(corpus: Corpus, urls: readonly string[]): Promise<void> {
  await getFiles(corpus, urls, corpus.paths.map(({ narSize }) => narSize));
}

/** Download the files of NARs. @throws {Error} if their lengths are others */
export async function getFiles(
  corpus: Corpus,
  urls: readonly string[],
  wanted: readonly number[],
): Promise<void> {
  const lengths = (await curl(urls.map((url) => ({ url })))).trim().split("\n").map(Number);
  const whole = wanted.every((length, index) => lengths[index] === length);
  if (!whole) throw new Error(`Cannot measure the download of ${corpus.name}: NARs came with other lengths`);
}

/** One after the other over one connection. Returns the lengths downloaded, a line each. */
async function curl(transfers: Transfer[]): Promise<string> {
  const config = await Deno.makeTempFile({ prefix: "firn-bench-" });
  const blocks = transfers.map(({ url, file }) => {
    const upload = file === undefined ? [] : [`upload-file = "${file}"`, `header = "Expect:"`];
    const download = [`url = "${url}"`, `output = "/dev/null"`, `write-out = "%{size_download}\\n"`];
    return [...download, ...upload, "fail", "silent", "show-error"].join("\n");
  });
  try {
    await Deno.writeTextFile(config, blocks.join("\nnext\n"));
    return await run("curl", ["--fail-early", "--config", config]);
  } finally {
    await Deno.remove(config);
  }
}
