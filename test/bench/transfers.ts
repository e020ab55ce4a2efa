/** Clients that cost little themselves, for the raw rows: curl, with one connection, from files and to nowhere. */
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
  return await Promise.all(corpus.paths.map(async ({ narInfo }) => {
    const response = await fetch(`${server}/${narInfo.url}`);
    const text = await response.text();
    if (!response.ok) throw new Error(`Cannot get ${narInfo.url}: ${response.status} ${text}`);
    return `${server}/${field(text, "URL")}`;
  }));
}

/** Download the NARs. @throws {Error} if their lengths are not those of the corpus */
export async function getNars(corpus: Corpus, urls: readonly string[]): Promise<void> {
  const lengths = (await curl(urls.map((url) => ({ url })))).trim().split("\n").map(Number);
  const whole = corpus.paths.every(({ narSize }, index) => lengths[index] === narSize);
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
