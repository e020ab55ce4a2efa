/**
 * The script of a page in a browser, of the worker in which it measures, and of a worker that hashes for that. What they are
 * sent would not wait for modules that load slowly, so those are imported when it has come.
 */
import type { BenchRequest, BenchRow } from "./browser_measure.ts";

/** What the measuring worker tells. */
type Told = { row: BenchRow } | { error: string } | { end: true };

function bench(request: BenchRequest): Promise<BenchRow[]> {
  const worker = new Worker("/page.js#bench", { type: "module" });
  const rows: BenchRow[] = [];
  return new Promise<BenchRow[]>((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message));
    worker.onmessage = ({ data }: MessageEvent<Told>) => {
      if ("row" in data) rows.push(data.row);
      else if ("error" in data) reject(new Error(data.error));
      else resolve(rows);
    };
    worker.postMessage(request);
  }).finally(() => worker.terminate());
}

if (typeof document !== "undefined") {
  Object.assign(globalThis, { bench });
} else if (location.hash === "#lane") {
  addEventListener("message", async ({ data }) => {
    const [{ serveLane }, { portableHashes }] = await Promise.all([
      import("../../src/hash/serve_lane.ts"),
      import("../../src/hash/hashes.ts"),
    ]);
    await serveLane(data, portableHashes);
    close();
  });
} else {
  const tell = (told: Told) => postMessage(told);
  addEventListener("message", async ({ data }) => {
    try {
      const { measure } = await import("./browser_measure.ts");
      await measure(data, (row) => tell({ row }));
      tell({ end: true });
    } catch (error) {
      tell({ error: String((error as Error).stack ?? error) });
    }
  });
}
