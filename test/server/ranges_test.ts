// Parts of a NAR: every answer is compared with the slice of the whole.
import assert from "node:assert/strict";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import type { BlobService } from "../../src/castore/blob_service.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { parseRange } from "../../src/server/ranges.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import { parseNarUrl } from "../../src/store/nar_url.ts";
import { xz } from "../needs.ts";
import { narFile, narInfoName, noise, pathOf, type Site, siteTest, treeNar } from "./_site.ts";

const PATH = pathOf("ranges");

/** A tree with every kind of node, and files around the borders at which chunks and windows are cut. */
const NAR: Bytes = await treeNar({
  "a.sh": "#!/bin/sh\n",
  b: { c: { d: { link: "e" }, e: "", f: noise(131_072, 2) }, g: noise(131_073, 3) },
  long: noise(1_700_000, 4),
  small: Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`${i}`, noise(i * 3, i + 1)])),
  z: { link: "/nix/store/nowhere" },
});

/** Publishes the tree and returns the URL its narinfo has. */
async function published(site: Site): Promise<string> {
  await site.publish(PATH, await narFile(NAR, "none"));
  return /^URL: (.*)$/m.exec(await (await site.get(narInfoName(PATH))).text())![1];
}

/** Offsets in the NAR where something ends and something else begins. */
async function borders(site: Site, url: string): Promise<number[]> {
  const layout = await narLayout(parseNarUrl(url)!.node, site.services.directories);
  assert.equal(layout.size, NAR.length);
  const borders = new Set([0, 8, 24, NAR.length]);
  let at = 0;
  for (const segment of layout.segments()) {
    borders.add(at);
    if (segment.type === "literal") {
      at += segment.bytes.length;
      continue;
    }
    const chunks = (await site.services.blobs.chunks(segment.file.digest))!;
    if (chunks.length > 1) {
      let inside = at;
      for (const { size } of chunks) borders.add(inside += size);
    }
    at += segment.end - segment.start;
  }
  assert.equal(at, NAR.length);
  return [...borders].sort((a, b) => a - b);
}

async function assertPart(
  site: Site,
  url: string,
  header: string,
  start: number,
  end: number,
): Promise<void> {
  const answer = await site.get(url, { range: header });
  assert.equal(answer.status, 206, header);
  assert.equal(answer.headers.get("content-range"), `bytes ${start}-${end - 1}/${NAR.length}`, header);
  assert.equal(answer.headers.get("content-length"), String(end - start), header);
  const bytes = await answer.bytes();
  if (Buffer.compare(bytes, NAR.subarray(start, end)) !== 0) assert.fail(`${header}: the bytes differ`);
}

siteTest("ranges from and to every border, and one byte beside it", async (site) => {
  const url = await published(site);
  const cuts = new Set<number>();
  const found = await borders(site, url);
  assert.ok(found.length > 50, `${found.length} borders`);
  for (const border of found) for (const near of [border - 1, border, border + 1]) cuts.add(near);
  const points = [...cuts].filter((at) => at >= 0 && at < NAR.length);
  for (const [i, at] of points.entries()) {
    await assertPart(site, url, `bytes=${at}-${at}`, at, at + 1);
    const next = points[Math.min(points.length - 1, i + 4)];
    await assertPart(site, url, `bytes=${at}-${next}`, at, next + 1);
    await assertPart(site, url, `bytes=0-${at}`, 0, at + 1);
    await assertPart(site, url, `bytes=${at}-`, at, NAR.length);
    await assertPart(site, url, `bytes=-${at + 1}`, NAR.length - at - 1, NAR.length);
  }
});

siteTest("pieces of any length put together are the whole", async (site) => {
  const url = await published(site);
  for (const length of [99_991, 131_072, 1_000_003]) {
    const parts: Bytes[] = [];
    for (let at = 0; at < NAR.length; at += length) {
      const answer = await site.get(url, { range: `bytes=${at}-${at + length - 1}` });
      assert.equal(answer.status, 206);
      parts.push(await answer.bytes());
    }
    assert.ok(Buffer.compare(concat(parts), NAR) === 0, `pieces of ${length} bytes`);
  }
});

siteTest("the end is clamped, and a start beyond it is 416", async (site) => {
  const url = await published(site);
  const size = NAR.length;
  await assertPart(site, url, `bytes=5-${size}`, 5, size);
  await assertPart(site, url, `bytes=5-${size + 1000}`, 5, size);
  await assertPart(site, url, "bytes=5-9999999999999999", 5, size);
  await assertPart(site, url, `bytes=-${size}`, 0, size);
  await assertPart(site, url, `bytes=-${size + 1}`, 0, size);
  await assertPart(site, url, `bytes=${size - 1}-${size - 1}`, size - 1, size);
  await assertPart(site, url, `bytes=${size - 1}-`, size - 1, size);
  for (
    const header of [`bytes=${size}-`, `bytes=${size}-${size + 5}`, "bytes=9999999999999999-", "bytes=-0"]
  ) {
    for (const method of ["GET", "HEAD"]) {
      const answer = await site.send(method, url, { headers: { range: header } });
      assert.equal(answer.status, 416, header);
      assert.equal(answer.headers.get("content-range"), `bytes */${size}`);
      assert.doesNotMatch(
        answer.headers.get("cache-control") ?? "",
        /max-age=[1-9]/,
        "a refusal is not for ever",
      );
      await answer.body?.cancel();
    }
  }
});

siteTest("several ranges, other units and what is no range get the whole", async (site) => {
  const url = await published(site);
  const headers = [
    ...["bytes=0-1,5-6", "bytes=0-0,-1", "items=0-1", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1-0"],
    ...[
      "bytes=--1",
      "bytes=0x0-1",
      "bytes= 0-1",
      "bytes=0 -1",
      "bytes:0-1",
      "bytes=1.5-2",
      "bytes=0-1;",
      "0-1",
    ],
  ];
  for (const header of headers) {
    const answer = await site.get(url, { range: header });
    assert.equal(answer.status, 200, header);
    assert.equal(answer.headers.get("content-range"), null, header);
    assert.equal(answer.headers.get("content-length"), String(NAR.length), header);
    assert.ok(Buffer.compare(await answer.bytes(), NAR) === 0, header);
  }
});

siteTest("HEAD of a range has the headers of the part", async (site) => {
  const url = await published(site);
  const get = await site.get(url, { range: "bytes=100-199" });
  const head = await site.send("HEAD", url, { headers: { range: "bytes=100-199" } });
  assert.equal(head.status, get.status);
  assert.deepEqual([...head.headers], [...get.headers]);
  await get.body!.cancel();
});

siteTest("an uncompressed upload is served by its name with ranges too", async (site) => {
  await published(site);
  const { url } = await narFile(NAR, "none");
  const whole = await site.get(url);
  assert.equal(whole.headers.get("accept-ranges"), "bytes");
  assert.ok(Buffer.compare(await whole.bytes(), NAR) === 0);
  await assertPart(site, url, "bytes=7-1000", 7, 1001);
});

siteTest("a file that was compressed promises no ranges and gives none", async (site) => {
  for (const compression of ["xz", "zstd", "gzip", "br"]) {
    const { url } = await site.putNar(await narFile(NAR, compression));
    const answer = await site.get(url, { range: "bytes=5-9" });
    assert.equal(answer.status, 200);
    assert.notEqual(answer.headers.get("accept-ranges"), "bytes");
    assert.equal(answer.headers.get("etag"), null);
    await answer.body!.cancel();
  }
}, { needs: [xz] });

siteTest(
  "what was fetched is asked for again by ETag: 304, or a range only of the same thing",
  async (site) => {
    const url = await published(site);
    const first = await site.get(url);
    const etag = first.headers.get("etag")!;
    assert.match(etag, /^"[^"]+"$/, "a strong validator");
    assert.equal(first.headers.get("cache-control"), "public, max-age=31536000, immutable");
    await first.body!.cancel();
    for (const tags of [etag, "*", `"other", ${etag}`, `"other",${etag}`, `W/${etag}`]) {
      for (const method of ["GET", "HEAD"]) {
        const answer = await site.send(method, url, { headers: { "if-none-match": tags } });
        assert.equal(answer.status, 304, tags);
        assert.equal(answer.headers.get("etag"), etag);
        assert.equal(answer.body, null);
      }
    }
    const other = await site.get(url, { "if-none-match": '"other"' });
    assert.equal(other.status, 200);
    await other.body!.cancel();
    const ranged = { range: "bytes=10-19" };
    for (
      const [validator, status] of [
        [etag, 206],
        ['"other"', 200],
        [`W/${etag}`, 200], // a weak validator is no ground for a range
        ["Sat, 29 Oct 2022 19:43:31 GMT", 200],
      ] as const
    ) {
      const answer = await site.get(url, { ...ranged, "if-range": validator });
      assert.equal(answer.status, status, validator);
      await answer.body!.cancel();
    }
  },
);

siteTest("equal contents have equal ETags, others have others", async (site) => {
  const tag = async (name: string, contents: string) => {
    const path = pathOf(name);
    await site.publish(path, await narFile(await treeNar({ contents }), "xz"));
    const url = /^URL: (.*)$/m.exec(await (await site.get(narInfoName(path))).text())![1];
    const answer = await site.send("HEAD", url);
    return answer.headers.get("etag");
  };
  assert.equal(await tag("one", "same"), await tag("two", "same"));
  assert.notEqual(await tag("one", "same"), await tag("three", "other"));
}, { needs: [xz] });

siteTest("a range reads what it needs, not what comes before it", async (site) => {
  const url = await published(site);
  const { node } = parseNarUrl(url)!;
  const layout = await narLayout(node, site.services.directories);
  const opened: string[] = [];
  const { blobs } = site.services;
  const spied: BlobService = {
    has: (digest) => blobs.has(digest),
    open: (digest, options) => {
      opened.push(toHex(digest));
      return blobs.open(digest, options);
    },
    put: (source) => blobs.put(source),
    chunks: (digest) => blobs.chunks(digest),
    outboard: (digest) => blobs.outboard(digest),
  };
  const last = NAR.length - 100;
  const parts = await Array.fromAsync(renderNar(layout, spied, { start: last, end: NAR.length }));
  assert.deepEqual(concat(parts), NAR.slice(last));
  assert.deepEqual(opened, [], "the last words need no blob");
});

Deno.test("parseRange: first and last, clamped, suffix, nothing", () => {
  assert.deepEqual(parseRange("bytes=0-0", 10), { start: 0, end: 1 });
  assert.deepEqual(parseRange("bytes=3-", 10), { start: 3, end: 10 });
  assert.deepEqual(parseRange("bytes=3-99", 10), { start: 3, end: 10 });
  assert.deepEqual(parseRange("bytes=-3", 10), { start: 7, end: 10 });
  assert.deepEqual(parseRange("bytes=-99", 10), { start: 0, end: 10 });
  assert.equal(parseRange("bytes=10-", 10), "unsatisfiable");
  assert.equal(parseRange("bytes=-0", 10), "unsatisfiable");
  assert.equal(parseRange("bytes=0-", 0), "unsatisfiable");
  assert.equal(parseRange("bytes=-1", 0), "unsatisfiable");
  assert.equal(parseRange(null, 10), undefined);
  assert.equal(parseRange("bytes=5-4", 10), undefined);
});
