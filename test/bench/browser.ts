/**
 * A store in IndexedDB, in a worker of Chromium: an archive of 32 MB files (500 MB, or 100 with `--quick`) and one of 20,000
 * files of 4 KiB, both uncompressed and in memory, are ingested, and rendered by a store that was opened anew.
 *
 *   browser/ingest/big         one thread does everything
 *   browser/ingest/big/shared  the page shares memory, and SHA-256 has a worker of its own
 *   browser/open/small         opening the store of those files
 */
import { bundle, launchChromiumIn, servePage, urlOf } from "../browser/_chromium.ts";
import type { BenchContext } from "./bench_context.ts";
import { newFolder, Series } from "./bench_context.ts";
import type { BenchRequest, BenchRow } from "./browser_measure.ts";

/** In the page. */
declare const bench: (request: BenchRequest) => Promise<BenchRow[]>;

export async function benchBrowser(context: BenchContext): Promise<void> {
  const { report, quick, rounds } = context;
  if (!report.wants("browser/")) return;
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

/** In a browser of its own, whose profile is on the disk that is measured. */
async function measure(context: BenchContext, request: BenchRequest): Promise<BenchRow[]> {
  await using server = servePage(await bundle(new URL("browser_page.ts", import.meta.url)), {
    isolated: true,
  });
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
