// Range headers and URLs, damaged: no request to read may be answered with anything but the whole, a right part, or a refusal.
import assert from "node:assert/strict";
import { testNeeding, xz } from "../needs.ts";
import { fileNar, narFile, narInfoName, noise, pathOf, Site, treeNar } from "../server/_site.ts";
import { parseRange } from "../../src/server/ranges.ts";

const HEADERS = 3000;
const URLS = 6000;
const STATUSES = [200, 206, 400, 404, 416];

function randomBelow(seed: number): (limit: number) => number {
  return (limit) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 4294967296 * limit);
  };
}

const RANGE_PIECES = [
  ..."0 1 9 12 4096 70000 99999 9007199254740991 9007199254740992 18446744073709551616 99999999999999999999"
    .split(" "),
  ..."- -- , ; = * / + . e3 0x bytes bytes= items= Bytes= none 00 -0 -1 \t".split(" "),
  " ",
  ", ",
];

function randomRange(below: (limit: number) => number): string {
  if (below(3) === 0) return `bytes=${below(80_000)}-${below(80_000)}`;
  let text = below(4) ? "bytes=" : "";
  for (let i = below(6); i >= 0; i--) text += RANGE_PIECES[below(RANGE_PIECES.length)];
  return text;
}

Deno.test("any Range header: the right bytes, the whole, or 416", async () => {
  const below = randomBelow(11);
  const nar = await treeNar({ a: noise(60_000), b: { c: "d", e: noise(500, 2) } });
  await using site = await Site.open("memory:");
  const { url } = await site.putNar(await narFile(nar));
  const seen = new Set<number>();
  for (let round = 0; round < HEADERS; round++) {
    const range = randomRange(below);
    const answer = await site.get(url, { range });
    seen.add(answer.status);
    const bytes = await answer.bytes();
    const header = answer.headers.get("content-range");
    if (answer.status === 200) assert.ok(Buffer.compare(bytes, nar) === 0, range);
    else if (answer.status === 206) {
      const [, start, end, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header!)!;
      assert.equal(Number(size), nar.length, range);
      assert.ok(
        Buffer.compare(bytes, nar.subarray(Number(start), Number(end) + 1)) === 0,
        `${range}: ${header}`,
      );
      assert.equal(answer.headers.get("content-length"), String(bytes.length), range);
      assert.ok(bytes.length > 0, range);
    } else {
      assert.equal(answer.status, 416, range);
      assert.equal(header, `bytes */${nar.length}`, range);
    }
  }
  assert.deepEqual([...seen].sort(), [200, 206, 416]);
});

Deno.test("parseRange of anything is a part that is there, or none", () => {
  const below = randomBelow(12);
  for (let round = 0; round < 50_000; round++) {
    const text = randomRange(below);
    const size = [0, 1, 10, 80_000, Number.MAX_SAFE_INTEGER][below(5)];
    const range = parseRange(text, size);
    if (range === undefined || range === "unsatisfiable") continue;
    const { start, end } = range;
    assert.ok(Number.isSafeInteger(start) && Number.isSafeInteger(end), text);
    assert.ok(0 <= start && start < end && end <= size, `${text} of ${size}: ${start} to ${end}`);
  }
});

const URL_PIECES = [
  ..."/ // . .. %00 %2f %2e %25 %ff %C3%A9 %zz ? # & = ; : @ + - _ ~ ! * é \\ ' | narsize= ?narsize=1 narsize=-1"
    .split(" "),
  ...[
    "nar/",
    "log/",
    "snix-castore/",
    "tvix-castore/",
    "snix%2Dcastore/",
    ".narinfo",
    ".ls",
    ".nar",
    ".nar.xz",
    ".drv",
  ],
  ...[
    "?narsize=99999999999999999999",
    "?narsize=1&narsize=2",
    "realisations/",
    "debuginfo/",
    "A".repeat(300),
    "e".repeat(32),
  ],
];

testNeeding(xz)("any URL to read: found, refused or not found, and nothing fails", async () => {
  const below = randomBelow(13);
  await using site = await Site.open("memory:");
  const [tree, file] = [pathOf("tree"), pathOf("file")];
  await site.publish(tree, await narFile(await treeNar({ a: noise(5000), b: { c: { link: "d" } } }), "xz"));
  await site.publish(file, await narFile(await fileNar("a file")));
  await (await site.put(`log/${file}.drv`, "log")).body?.cancel();
  await (await site.put("realisations/sha256:00!out.doi", "{}")).body?.cancel();
  const seeds = [`log/${file}.drv`, "realisations/sha256:00!out.doi", "nix-cache-info"];
  for (const path of [tree, file]) {
    const narInfo = await (await site.get(narInfoName(path))).text();
    seeds.push(narInfoName(path), `${path.slice(0, 32)}.ls`, /^URL: (.*)$/m.exec(narInfo)![1]);
  }
  seeds.push((await narFile(await fileNar("a file"))).url);
  const seen = new Map<number, number>();
  for (let round = 0; round < URLS; round++) {
    let url = seeds[below(seeds.length)];
    for (let change = below(4); change > 0; change--) {
      const at = below(url.length + 1);
      const other = seeds[below(seeds.length)];
      if (below(4) === 0 && at < url.length) {
        url = `${url.slice(0, at)}%${url.charCodeAt(at).toString(16).padStart(2, "0")}${url.slice(at + 1)}`;
        continue;
      }
      const middle = [
        "",
        URL_PIECES[below(URL_PIECES.length)],
        String.fromCharCode(33 + below(94)),
        url.slice(at, at + below(20)).repeat(2),
        other.slice(below(other.length)),
      ][below(5)];
      url = url.slice(0, at) + middle + url.slice(Math.min(url.length, at + below(below(2) ? 3 : 40)));
    }
    const method = below(2) ? "GET" : "HEAD";
    const headers: HeadersInit = below(3) ? {} : { range: randomRange(below) };
    let request: Request;
    try {
      request = new Request(`http://firn.test/${url}`, { method, headers });
    } catch {
      continue; // no URL at all
    }
    const logged = site.log.length;
    const answer = await site.app.fetch(request);
    assert.ok(
      STATUSES.includes(answer.status),
      `${method} /${url}: ${answer.status}\n${site.log.slice(logged).join("\n")}`,
    );
    seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
    // A body may break off where a node's size is not that of its blob; it must not hang or take the process along.
    await answer.bytes().catch((error) => assert.match(String(error), /Cannot|break|error/i));
  }
  for (const status of [200, 400, 404]) {
    assert.ok(
      (seen.get(status) ?? 0) > URLS / 100,
      `${JSON.stringify([...seen])}: the damage is too hard or too soft`,
    );
  }
});
