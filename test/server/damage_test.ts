// Stored bytes that somebody changed: the reader is never given other bytes than those that were stored, and never fewer
// bytes as if they were all.
import assert from "node:assert/strict";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { chunksOf } from "../castore/_chunks.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { permissions, testNeeding } from "../needs.ts";
import { filesBelow, flip } from "./_stored_bytes.ts";
import { Listening } from "./_wire.ts";
import { fileNar, narFile, narInfoName, noise, pathOf, Site, treeNar } from "./_site.ts";

const test = testNeeding(permissions);

const PATH = pathOf("damaged");

/** Stores a NAR in a folder, changes what is there, and serves it again. */
async function damaged(
  nar: Bytes,
  harm: (folder: string) => Promise<void>,
  check: (served: { site: Site; base: string; url: string }) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "firn-damage-" });
  try {
    {
      await using site = await Site.open(folder);
      await site.publish(PATH, await narFile(nar, "zstd"));
    }
    await harm(folder);
    await using site = await Site.open(folder);
    await using listening = new Listening(site);
    const narInfo = await (await fetch(`${listening.url}/${narInfoName(PATH)}`)).text();
    const url = `${listening.url}/${/^URL: (.*)$/m.exec(narInfo)![1]}`;
    await check({ site, base: listening.url, url });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** What a client gets of a body before it breaks; `broke` is false for one that seems whole. */
async function readUntilBroken(answer: Response): Promise<{ got: Bytes; broke: boolean }> {
  const parts: Uint8Array[] = [];
  let broke = false;
  try {
    for await (const part of answer.body!) parts.push(part);
  } catch {
    broke = true;
  }
  return { got: new Uint8Array(Buffer.concat(parts)), broke };
}

/** A download that must break, after nothing but right bytes, and be told of in the log. */
async function assertBreaks(
  { site, url }: { site: Site; url: string },
  nar: Bytes,
  why: RegExp,
  headers?: HeadersInit,
  start = 0,
): Promise<void> {
  site.log.length = 0;
  const answer = await fetch(url, { headers });
  const { got, broke } = await readUntilBroken(answer);
  assert.ok(answer.status >= 500 || broke, `${answer.status} and ${got.length} bytes that seem to be all`);
  if (answer.status < 300) {
    assert.ok(got.length < nar.length - start);
    assert.ok(Buffer.compare(got, nar.subarray(start, start + got.length)) === 0, "what came is right");
  }
  assert.match(site.log.join("\n"), why);
}

const LONG = noise(3_000_000, 5);

test("a damaged chunk of a long file breaks the download", async () => {
  const nar = await fileNar(LONG);
  const at = 2_000_000;
  await damaged(nar, (folder) => flip(folder, LONG.slice(at, at + 64)), async (served) => {
    await assertBreaks(
      served,
      nar,
      /^failed in the middle of the NAR of \/nix\/store\/\S+-damaged: Cannot read blob blake3-\S+: .*damaged/m,
    );
    // The second time too: nothing wrong is remembered as right.
    await assertBreaks(served, nar, /Cannot read blob/);
    await assertBreaks(served, nar, /Cannot read blob/, { range: "bytes=1000-2500000" }, 1000);
    // What is not damaged is served.
    for (const range of ["bytes=0-999999", "bytes=2900000-", "bytes=-100"]) {
      const answer = await fetch(served.url, { headers: { range } });
      assert.equal(answer.status, 206);
      const [, start, end] = /bytes (\d+)-(\d+)/.exec(answer.headers.get("content-range")!)!;
      assert.deepEqual(await answer.bytes(), nar.slice(Number(start), Number(end) + 1));
    }
  });
});

test("a damaged file breaks the download of the tree it is in, also of the compressed file", async () => {
  const nar = await treeNar({ a: noise(100_000, 6), b: noise(60_000, 7), c: "after" });
  const file = await narFile(nar, "zstd");
  await damaged(nar, (folder) => flip(folder, noise(60_000, 7).slice(0, 64), 40), async (served) => {
    await assertBreaks(
      served,
      nar,
      /^failed in the middle of the NAR of \/nix\/store\/\S+-damaged: Cannot read blob blake3-\S+: .*damaged/m,
    );
    served.site.log.length = 0;
    const answer = await fetch(`${served.base}/${file.url}`);
    const { broke } = await readUntilBroken(answer);
    assert.ok(broke || answer.status >= 500, "a compressed NAR that ends early seems whole");
    assert.match(served.site.log.join("\n"), /failed in the middle of the NAR/);
  });
});

test("a damaged list of chunks breaks the download", async () => {
  const nar = await fileNar(LONG);
  const [firstChunk] = chunksOf(LONG);
  await damaged(nar, (folder) => flip(folder, blake3(firstChunk)), async (served) => {
    await assertBreaks(served, nar, /Cannot read chunk list|Cannot read .*damaged/);
  });
});

test("a pack that is gone, and one that is cut short, break the download", async () => {
  const nar = await treeNar({ a: noise(100_000, 8), long: LONG });
  const packs = async (folder: string) =>
    (await filesBelow(`${folder}/bytes`)).filter((path) => !/lock$/.test(path));
  await damaged(nar, async (folder) => {
    for (const path of await packs(folder)) {
      if ((await Deno.stat(path)).size > 50_000) await Deno.remove(path);
    }
  }, async (served) => await assertBreaks(served, nar, /Cannot (read|find|render)/));
  await damaged(nar, async (folder) => {
    for (const path of await packs(folder)) {
      const { size } = await Deno.stat(path);
      if (size > 50_000) await Deno.truncate(path, 120_000);
    }
  }, async (served) => await assertBreaks(served, nar, /Cannot (read|find|render)/));
});

test("a damaged Directory: nothing below it is served, and it is said why", async () => {
  const names = Array.from({ length: 3000 }, (_, i) => `file-number-${String(i).padStart(5, "0")}`);
  const nar = await treeNar(Object.fromEntries(names.map((name) => [name, ""])));
  const harm = (folder: string) => flip(folder, new TextEncoder().encode("file-number-01234"), 14);
  await damaged(nar, harm, async ({ site, base, url }) => {
    assert.equal(
      (await (await fetch(`${base}/nix-cache-info`)).text()).split("\n")[0],
      "StoreDir: /nix/store",
    );
    for (const target of [url, `${base}/${PATH.slice(0, 32)}.ls`]) {
      for (const method of ["GET", "HEAD"]) {
        site.log.length = 0;
        const answer = await fetch(target, { method });
        assert.equal(answer.status, 500);
        const text = await answer.text();
        if (method === "GET") {
          assert.match(text, /^Cannot read directory blake3-\S+: its stored bytes are damaged\n$/);
        }
        assert.match(site.log.join("\n"), / 500 .*Cannot read directory blake3-/);
      }
    }
  });
});
