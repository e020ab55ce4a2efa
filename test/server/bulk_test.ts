// Contents by the thousand over plain HTTP: what is asked, what is answered, and what is refused.
import assert from "node:assert/strict";
import * as zlib from "node:zlib";
import { toBase64Url } from "../../src/bytes/base64.ts";
import { type Bytes, concat, EMPTY, equals, fromText } from "../../src/bytes/bytes.ts";
import { readDelimited, writeDelimited } from "../../src/bytes/delimited.ts";
import { fromNixBase32 } from "../../src/bytes/nixbase32.ts";
import { iterate } from "../../src/bytes/streams.ts";
import { formatDigest } from "../../src/castore/digest.ts";
import { chunkKey } from "../../src/castore/layout.ts";
import { directoryOf, encodeDirectory } from "../../src/castore/directory.ts";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { createApp } from "../../src/server/app.ts";
import { servicesOver } from "../../src/store/services.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { assertRefused, narFile, noise, pathOf, Site, siteTest, treeNar } from "./_site.ts";
import { permissions, testNeeding } from "../needs.ts";

const ABSENT = blake3(fromText("nobody has this"));

async function post(site: Site, path: string, ...digests: Bytes[]): Promise<Bytes> {
  const answer = await site.send("POST", path, { body: concat(digests) });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  assert.equal(answer.status, 200, new TextDecoder().decode(bytes));
  return bytes;
}

async function answers(site: Site, path: string, ...digests: Bytes[]): Promise<Bytes[]> {
  return await Array.fromAsync(
    readDelimited(iterate([await post(site, path, ...digests)]), 2 ** 23, "answer"),
  );
}

async function sequence(...blobs: Bytes[]): Promise<Bytes> {
  async function* each() {
    for (const blob of blobs) yield await blob;
  }
  return concat(await Array.fromAsync(writeDelimited(each())));
}

siteTest("bulk: blobs go in by the dozen, and those that are missing are told", async (site) => {
  const blobs = [EMPTY, fromText("one"), noise(100_000)];
  const digests = blobs.map((blob) => blake3(blob));
  assert.deepEqual(await post(site, "blob/missing", ...digests, ABSENT), concat([...digests, ABSENT]));
  const answer = await site.send("POST", "blob/write", { body: await sequence(...blobs) });
  assert.deepEqual(await answer.json(), { blobs: 3 });
  assert.deepEqual(await post(site, "blob/missing", digests[0], ABSENT, digests[2]), ABSENT);
  assert.deepEqual(await post(site, "blob/missing"), EMPTY);
});

siteTest("bulk: blobs come out in the order they were asked for, absent ones as nothing", async (site) => {
  const [small, large] = [fromText("small"), noise(3_000_000, 2)];
  const longest = noise(5_000_000, 3);
  const digests = [];
  for (const blob of [large, small, EMPTY, longest]) {
    digests.push((await site.services.blobs.put(blob)).digest);
  }
  const got = await answers(
    site,
    "blob/read",
    digests[0],
    ABSENT,
    digests[1],
    digests[2],
    digests[3],
    digests[1],
  );
  const one = Uint8Array.of(1);
  assert.deepEqual(got.map(({ length }) => length), [3_000_001, 0, 6, 1, 1, 6]);
  assert.deepEqual(got[0], concat([one, large]));
  assert.deepEqual(got[2], concat([one, small]));
  assert.deepEqual(got[3], one, "a blob that is there and empty");
  assert.deepEqual(got[4], Uint8Array.of(2), "a blob that is too long for one answer");
});

siteTest("bulk: blobs come in an encoding that the client takes", async (site) => {
  const text = fromText("some words that stand here again and again\n".repeat(10_000));
  const { digest } = await site.services.blobs.put(text);
  for (
    const [accepted, encoding] of [
      ["gzip, deflate, br, zstd", "zstd"],
      ["gzip", "gzip"],
      ["zstd;q=0, gzip;q=0.5", "gzip"],
      ["br, identity", null],
      ["", null],
    ] as const
  ) {
    const answer = await site.send("POST", "blob/read", {
      body: digest,
      headers: accepted ? { "accept-encoding": accepted } : {},
    });
    assert.equal(answer.headers.get("content-encoding"), encoding, accepted);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    if (encoding) {
      assert.equal(answer.headers.get("vary"), "Accept-Encoding");
      assert.ok(bytes.length < 10_000, `${bytes.length} bytes`);
      const plain = zlib[encoding === "zstd" ? "zstdDecompressSync" : "gunzipSync"](bytes);
      assert.ok(equals(new Uint8Array(plain).subarray(-text.length), text));
    } else assert.equal(bytes.length, text.length + 4);
  }
});

siteTest("bulk: chunks of a blob, and the blob joined from them elsewhere", async (site) => {
  const blob = noise(2_000_000, 5);
  await using other = await Site.open("memory:");
  const { digest } = await other.services.blobs.put(blob);
  const [listed, absent] = await answers(other, "blob/chunks", digest, ABSENT);
  assert.equal(absent.length, 0);
  assert.equal(listed[0], 1);
  const view = new DataView(listed.buffer, listed.byteOffset + 1);
  const chunks: { digest: Bytes; size: number }[] = [];
  for (let at = 0; at < view.byteLength; at += 36) {
    chunks.push({ digest: listed.slice(at + 1, at + 33), size: view.getUint32(at + 32, true) });
  }
  assert.deepEqual(chunks, await other.services.blobs.chunks(digest));
  assert.ok(chunks.length > 3);

  const path = `blob/${toBase64Url(digest)}?joined`;
  const list = concat(chunks.map((chunk) => chunk.digest));
  await assertRefused(
    await site.put(path, list),
    400,
    /^Cannot join the blob: its chunk blake3-\S+ is not here/,
  );
  let at = 0;
  const parts = chunks.map(({ size }) => blob.subarray(at, at += size));
  await (await site.send("POST", "blob/write", { body: await sequence(...parts) })).body?.cancel();
  const swapped = concat(chunks.map((chunk) => chunk.digest).reverse());
  await assertRefused(
    await site.put(path, swapped),
    400,
    /^Cannot accept blob digest blake3-\S+: the bytes give/,
  );
  assert.ok(!await site.services.blobs.has(digest), "a false claim makes no blob");
  assert.deepEqual(await (await site.put(path, list)).json(), {
    digest: "blake3-" + btoa(String.fromCharCode(...digest)),
    size: blob.length,
  });
  assert.deepEqual(await (await site.services.blobs.open(digest))!.bytes(), blob);
});

siteTest("bulk: Directories by the dozen", async (site) => {
  const file = await site.services.blobs.put(fromText("x"));
  const leaf = directoryOf([{ name: fromText("x"), node: { type: "file", executable: false, ...file } }]);
  const digest = await site.services.directories.putClosure([leaf]);
  const got = await answers(site, "directory/read", ABSENT, digest);
  assert.deepEqual(got, [EMPTY, concat([Uint8Array.of(1), encodeDirectory(leaf)])]);
});

siteTest("bulk: bad requests are refused with their reason", async (site) => {
  for (const path of ["blob/missing", "blob/read", "blob/chunks", "directory/read"]) {
    const refused = await site.send("POST", path, { body: new Uint8Array(33) });
    await assertRefused(refused, 400, /^Cannot read the digests: want 32 bytes for each, and got 33$/m);
    const most = path === "blob/missing" ? 65_536 : 4096;
    const tooMany = await site.send("POST", path, { body: new Uint8Array(32 * (most + 1)) });
    await assertRefused(tooMany, 413, /^Cannot take the list of digests: it has over \d+ bytes$/m);
  }
  const cut = (await sequence(fromText("whole"), noise(1000))).subarray(0, 500);
  await assertRefused(
    await site.send("POST", "blob/write", { body: cut }),
    400,
    /^Cannot read the sequence: it ends within a blob$/m,
  );
  assert.ok(await site.services.blobs.has(blake3(fromText("whole"))), "what came whole is true by itself");
  const long = Uint8Array.of(0x81, 0x80, 0x80, 0x02); // 4 MiB and one byte
  await assertRefused(
    await site.send("POST", "blob/write", { body: long }),
    413,
    /^Cannot take the blob: it has over/,
  );
});

siteTest("bulk: pages of other origins may ask, and only those that may write may send", async (site) => {
  const headers = { origin: "https://page.example", "content-type": "application/octet-stream" };
  for (const path of ["blob/missing", "blob/read", "blob/chunks", "directory/read"]) {
    const answer = await site.send("POST", path, { body: ABSENT, headers });
    assert.equal(answer.status, 200, path);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    await answer.body?.cancel();
  }
  await assertRefused(
    await site.send("POST", "blob/write", { body: EMPTY, headers }),
    403,
    /^Cannot take this from a page/,
  );
  const asked = {
    ...headers,
    "access-control-request-method": "POST",
    "access-control-request-headers": "authorization",
  };
  const preflight = await site.send("OPTIONS", "blob/write", { headers: asked });
  assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /POST/);
  assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /Authorization/);
});

testNeeding(permissions)(
  "bulk: damage ends the answer in a broken connection, not in one that looks whole",
  async () => {
    const home = { names: openMemory(), bytes: openMemory() };
    const services = servicesOver(home);
    const log: string[] = [];
    const app = createApp({
      ...services,
      codec: openCodecs(),
      hashes: nativeHashes,
      log: (line) => log.push(line),
    });
    const { digest } = await services.blobs.put(fromText("kept well"));
    await home.bytes.put(chunkKey(digest), fromText("kept ill.")); // as a failing disk does
    const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, app.fetch);
    try {
      const url = `http://127.0.0.1:${server.addr.port}/blob/read`;
      await assert.rejects(async () =>
        await (await fetch(url, { method: "POST", body: digest })).arrayBuffer()
      );
      assert.match(log.join("\n"), /failed in the middle of blobs: Cannot read blob blake3-/);
    } finally {
      await server.shutdown();
    }
  },
);

siteTest("bulk: hash parts of no path here are told", async (site) => {
  const base = pathOf("some");
  await site.publish(base, await narFile(await treeNar({ a: "1" }), "none"));
  const [here, absent] = [base.slice(0, 32), pathOf("absent").slice(0, 32)].map(fromNixBase32);
  assert.deepEqual(await post(site, "path-info/missing", here, absent), absent);
  assert.deepEqual(await post(site, "path-info/missing"), EMPTY);
  await assertRefused(
    await site.send("POST", "path-info/missing", { body: here.subarray(1) }),
    400,
    /hash parts: want 20 bytes for each, and got 19/,
  );
});

siteTest("bulk: a part of a blob is joined without saying what it will be", async (site) => {
  const parts = [noise(200_000, 5), noise(300_000, 6)];
  for (const part of parts) await site.services.blobs.put(part);
  const body = concat(parts.map((part) => blake3(part)));
  const answer = await site.send("PUT", "blob?joined", { body });
  const { digest, size } = await answer.json();
  assert.deepEqual([digest, size], [formatDigest(blake3(concat(parts))), 500_000]);
});

siteTest("bulk: a closure is joined of pieces that end anywhere", async (site) => {
  const child = directoryOf(
    Array.from({ length: 3000 }, (_, i) => ({
      name: fromText(`link${i}`),
      node: { type: "symlink", target: fromText("target".repeat(300)) },
    })),
  );
  const digest = blake3(encodeDirectory(child));
  const root = directoryOf([{ name: fromText("sub"), node: { type: "directory", digest, size: 3000n } }]);
  const body = await sequence(encodeDirectory(child), encodeDirectory(root));
  assert.ok(body.length > 5 * 2 ** 20, "longer than a Directory in one body may be");
  await assertRefused(await site.send("PUT", "directory", { body }), 413, /Directory.*over 4194304 bytes/);
  const pieces = [];
  for (let at = 0; at < body.length; at += 999_999) pieces.push(body.subarray(at, at + 999_999));
  const digests = pieces.map((piece) => blake3(piece));
  await assertRefused(
    await site.send("PUT", "directory?joined", { body: concat(digests) }),
    400,
    /Cannot join the closure: its chunk .* is not here/,
  );
  assert.equal(await site.services.directories.get(digest), undefined);
  await site.send("POST", "blob/write", { body: await sequence(...pieces) });
  const answer = await site.send("PUT", "directory?joined", { body: concat(digests) });
  assert.deepEqual(await answer.json(), { digest: formatDigest(blake3(encodeDirectory(root))) });
  assert.equal((await site.services.directories.get(digest))?.items.length, 3000);
  await assertRefused(
    await site.send("PUT", "directory?joined", { body: concat(digests.toReversed()) }),
    400,
    /Cannot/,
  );
});
