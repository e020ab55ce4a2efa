// An archive of 2 GiB in the tab: it goes in and is verified, and the browser's processes stay within a bound that is far below it.
import assert from "node:assert/strict";
import type { RemoteEngine } from "../../../web/engine/connect.ts";
import { noise } from "../../server/_site.ts";
import { testNeeding, tool } from "../../needs.ts";
import { fromText } from "../../../src/bytes/bytes.ts";
import type { NarToken } from "../../../src/nar/parser.ts";
import { writeNar } from "../../../src/nar/writer.ts";
import { iterate } from "../../../src/bytes/streams.ts";
import { TabWorld } from "./_tab_page.ts";

declare const engine: RemoteEngine;

const MIB = 1024 * 1024;
const FILES = 32;
const FILE = 64 * MIB;
/** What the processes of the browser may take more than before, all together. */
const BOUND = 600 * MIB;

/** Files of which no two chunks are equal, made of one stretch of noise. */
function* tokens(): Generator<NarToken> {
  const bytes = noise(4 * MIB);
  const words = new Uint32Array(bytes.buffer);
  yield { type: "directory", name: fromText("") };
  for (let i = 0; i < FILES; i++) {
    yield {
      type: "file",
      name: fromText(`file${String(i).padStart(3, "0")}`),
      executable: false,
      size: FILE,
    };
    for (let at = 0; at < FILE; at += bytes.length) {
      for (let word = 0; word < words.length; word += 64) words[word] = i * FILE + at + word; // somewhere in every chunk
      yield { type: "data", bytes: bytes.slice() };
    }
    yield { type: "end" };
  }
  yield { type: "end" };
}

/** Resident memory of all processes that were started by one with this in its command line. */
async function memoryOf(profile: string): Promise<number> {
  let sum = 0;
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      if (!(await Deno.readTextFile(`/proc/${name}/cmdline`)).includes(profile)) continue;
      const smaps = await Deno.readTextFile(`/proc/${name}/smaps_rollup`);
      sum += Number(/^Pss_Anon:\s+(\d+)/m.exec(smaps)?.[1] ?? 0) * 1024 +
        Number(/^Pss_Shmem:\s+(\d+)/m.exec(smaps)?.[1] ?? 0) * 1024;
    } catch {
      // It ended meanwhile.
    }
  }
  return sum;
}

testNeeding(tool("chromium", "chromium"))({
  name: "an archive of 2 GiB in the tab, in bounded memory",
  sanitizeOps: false, // the browser is a process with pipes of its own
  sanitizeResources: false,
  async fn() {
    await using world = await TabWorld.open();
    const page = await world.page();
    const path = await Deno.makeTempFile({ suffix: ".nar" });
    let watching = true;
    try {
      using file = await Deno.open(path, { write: true });
      for await (const piece of iterate(writeNar(tokens()))) {
        for (let at = 0; at < piece.length;) at += await file.write(piece.subarray(at));
      }
      await page.evaluate(() =>
        document.body.append(Object.assign(document.createElement("input"), { type: "file" }))
      );
      await page.setInputFiles("input", path);
      const before = await memoryOf(world.profile);
      let most = 0;
      const watch = (async () => {
        while (watching) {
          most = Math.max(most, await memoryOf(world.profile) - before);
          await new Promise((resolve) => setTimeout(resolve, 500));
        }
      })();
      const { size, refused, verdict, seconds } = await page.evaluate(async () => {
        const files = [...document.querySelector("input")!.files!];
        const started = performance.now();
        const { paths, refused } = await engine.open({ type: "files", files });
        const seconds = (performance.now() - started) / 1000;
        const truth = paths[0] && await engine.verify(paths[0].path);
        return { size: paths[0]?.narSize, refused, verdict: truth?.narHash.verdict, seconds };
      });
      watching = false;
      await watch;
      assert.deepEqual(refused, []);
      assert.ok(size! > FILES * FILE);
      assert.equal(verdict, "true");
      console.log(`2 GiB in ${seconds.toFixed(1)} s, ${Math.round(most / MIB)} MiB of memory more`);
      assert.ok(most < BOUND, `${Math.round(most / MIB)} MiB more`);
    } finally {
      watching = false;
      await Deno.remove(path);
    }
  },
});
