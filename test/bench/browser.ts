/**
 * A store in IndexedDB, in a worker of Chromium: an archive of 32 MB files (500 MB, or 100 with `--quick`) and one of 20,000
 * files of 4 KiB, both uncompressed and in memory, are ingested, and rendered by a store that was opened anew.
 *
 *   browser/ingest/big         one thread does everything
 *   browser/ingest/big/shared  the page shares memory, and SHA-256 has a worker of its own
 *   browser/open/small         opening the store of those files
 *
 * And decompressing, there too, what a tab is given: the page's own script, as zstd -1 makes it, beside node:zlib here.
 *
 *   browser/frames/4096        frames of 4 KiB each
 *   browser/zstd               a stream of one frame
 */
import { Buffer } from "node:buffer";
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { bundle, launchChromiumIn, servePage, urlOf } from "../browser/_chromium.ts";
import type { BenchContext } from "./bench_context.ts";
import { newFolder, Series } from "./bench_context.ts";
import { FRAME_SIZES, framesAt, STREAM_AT } from "./browser_frames.ts";
import type { BenchRequest, BenchRow } from "./browser_measure.ts";

/** In the page. */
declare const bench: (request: BenchRequest) => Promise<BenchRow[]>;

export async function benchBrowser(context: BenchContext): Promise<void> {
  if (context.report.wants("browser/")) await benchStores(context);
  if (context.report.wants(...FRAME_ROWS.map((name) => `browser/${name}`))) await benchFrames(context);
}

async function benchStores(context: BenchContext): Promise<void> {
  const { report, quick, rounds } = context;
  const series = new Series();
  const units = new Map<string, BenchRow["unit"]>();
  for (let round = 0; round < rounds; round++) {
    for (const pool of [false, true]) {
      for (const { name, unit, value } of await measure(context, { bigBytes: quick ? 100e6 : 500e6, pool })) {
        const row = `browser/${name}${pool ? "/shared" : ""}`;
        series.push(row, value);
        units.set(row, unit);
      }
    }
  }
  for (const [row, unit] of units) report.add(row, unit, series.of(row));
}

const FRAME_ROWS = [...FRAME_SIZES.map((size) => `frames/${size}`), "zstd"];

async function benchFrames(context: BenchContext): Promise<void> {
  const { report, rounds } = context;
  const series = new Series();
  const here = new Series();
  for (let round = 0; round < rounds; round++) {
    for (const { name, value } of await measure(context, "frames")) series.push(name, value);
    const text = await pageScript();
    for (const size of FRAME_SIZES) {
      here.push(`frames/${size}`, speedOf(framesOf(text, size), (frame) => zstdDecompressSync(frame)));
    }
    here.push("zstd", speedOf([frameOf(text)], (frame) => zstdDecompressSync(frame)));
  }
  for (const name of FRAME_ROWS) {
    report.add(`browser/${name}`, "MB/s", series.of(name), { name: "node:zlib", values: here.of(name) });
  }
}

let script: Promise<string> | undefined;
const pageScript = async () =>
  Buffer.from(await (script ??= bundle(new URL("browser_page.ts", import.meta.url))));

function frameOf(content: Uint8Array): Uint8Array<ArrayBuffer> {
  const options = {
    params: { [constants.ZSTD_c_compressionLevel]: 1 },
    pledgedSrcSize: content.length, // else the header does not tell it
    chunkSize: content.length + 1024, // else an empty frame may follow
  };
  return new Uint8Array(zstdCompressSync(content, options));
}

/** Frames of so many bytes of it each. */
function framesOf(text: Uint8Array, size: number): Uint8Array<ArrayBuffer>[] {
  const frames = [];
  for (let at = 0; at + size <= text.length; at += size) frames.push(frameOf(text.subarray(at, at + size)));
  return frames;
}

/** Megabytes a second. */
function speedOf(frames: readonly Uint8Array[], decode: (frame: Uint8Array) => Uint8Array): number {
  let bytes = 0;
  const start = performance.now();
  for (let i = 0; performance.now() - start < 500; i++) bytes += decode(frames[i % frames.length]).length;
  return bytes / 1e3 / (performance.now() - start);
}

async function served(path: string): Promise<Response> {
  const text = await pageScript();
  const size = FRAME_SIZES.find((size) => framesAt(size) === path);
  if (size !== undefined) return new Response(Buffer.concat(framesOf(text, size)));
  return path === STREAM_AT ? new Response(frameOf(text)) : new Response(null, { status: 404 });
}

/** In a browser of its own, whose profile is on the disk that is measured. */
async function measure(context: BenchContext, request: BenchRequest): Promise<BenchRow[]> {
  const page = (await pageScript()).toString();
  await using server = servePage(page, { isolated: true, handle: (_, path) => served(path) });
  const profile = newFolder(context, "chromium");
  const browser = await launchChromiumIn(profile);
  try {
    const page = await browser.newPage();
    await page.goto(urlOf(server));
    await page.waitForFunction("globalThis.bench !== undefined");
    return await page.evaluate((request) => bench(request), request);
  } finally {
    await browser.close();
    await Deno.remove(profile, { recursive: true });
  }
}
