/** NAR → castore: the nodes other implementations make, however the archive comes, and what is refused. */
import assert from "node:assert/strict";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import type { SizeRule } from "../../src/castore/directory.ts";
import type { Node } from "../../src/castore/node.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { A, BLOBS, COMPLICATED, COMPLICATED_SNIX } from "../contract/_castore_samples.ts";
import { vector, VECTORS } from "../nar/_nars.ts";
import { permissions, testNeeding } from "../needs.ts";
import { deepNar, ingest, narOf, openStore, randomTree, render, reusing } from "./_trees.ts";

const test = testNeeding(permissions);

const HELLO = BLOBS[1].digest;
const ONE = BLOBS[3].digest;
const file = (digest: Bytes, size: number, executable = false): Node => ({
  type: "file",
  digest,
  size,
  executable,
});

/** Archives and the nodes of both rules of sizes. */
const ROOTS: Record<string, Record<SizeRule, Node>> = {
  symlink: both({ type: "symlink", target: fromText("/nix/store/somewhereelse") }),
  helloworld: both(file(HELLO, 12)),
  complicated: {
    documented: { type: "directory", digest: COMPLICATED.digest, size: 4n },
    snix: { type: "directory", digest: COMPLICATED_SNIX.digest, size: 8n },
  },
  emptydirectory: both({ type: "directory", digest: A.digest, size: 0n }),
  onebyteregular: both(file(ONE, 1)),
  onebyteexecutable: both(file(ONE, 1, true)),
};

function both(node: Node): Record<SizeRule, Node> {
  return { documented: node, snix: node };
}

for (const [name, nodes] of Object.entries(ROOTS)) {
  test(`ingest: ${name}.nar gives the node of other implementations, and the archive again`, async () => {
    const nar = vector(`${name}.nar`);
    for (const sizes of ["documented", "snix"] as const) {
      const store = openStore();
      const got = await ingestNar([nar], { ...store.options, sizes });
      assert.deepEqual(got.node, nodes[sizes]);
      assert.equal(got.narSize, nar.length);
      assert.equal(toHex(got.narSha256), VECTORS[name as keyof typeof VECTORS]);
      assert.equal(got.overflowed, false);
      sameBytes(await render(store, got.node), nar);
    }
    const store = openStore();
    assert.deepEqual((await ingest(store, nar)).node, nodes.documented, "documented is the default");
  });
}

test("ingest: every archive in pieces of every length, in memory that is used again", async () => {
  for (const name of Object.keys(VECTORS)) {
    const nar = vector(`${name}.nar`);
    const want = await ingest(openStore(), nar);
    const lengths = nar.length > 1000 ? [1, 7, 8, 61, 1000] : Array.from(nar.keys(), (i) => i + 1);
    for (const length of lengths) {
      const store = openStore();
      const got = await ingestNar(reusing(nar, () => length), store.options);
      assert.deepEqual(got, want, `${name} in pieces of ${length}`);
      sameBytes(await render(store, got.node), nar);
    }
  }
});

test("ingest: an archive cut in two anywhere", async () => {
  const nar = vector("complicated.nar");
  for (let at = 0; at <= nar.length; at++) {
    const store = openStore();
    const { node } = await ingestNar([nar.subarray(0, at), nar.subarray(at)], store.options);
    assert.deepEqual(node, ROOTS.complicated.documented, `cut at ${at}`);
  }
});

test("ingest: any source will do", async () => {
  const nar = vector("complicated.nar");
  const stream = new Response(nar).body!;
  for (const source of [[nar], stream, reusing(nar, () => 10)]) {
    assert.deepEqual((await ingestNar(source, openStore().options)).node, ROOTS.complicated.documented);
  }
});

Deno.test("ingest: random trees of all kinds of nodes are rendered to the same bytes", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const nar = await narOf(randomTree(seed));
    const store = openStore();
    const { node, narSize, narSha256 } = await ingestNar(
      reusing(nar, (i) => 1 + i * 37 % 5000),
      store.options,
    );
    assert.equal(narSize, nar.length);
    sameBytes(narSha256, sha256(nar));
    sameBytes(await render(store, node), nar, `tree ${seed}`);
  }
});

Deno.test("ingest: files of lengths around every bound", async () => {
  const lengths = [0, 1, 7, 8, 131072, 131073, 524288, 1048575, 1048576, 1048577, 3 * 1048576 + 5];
  const tree = Object.fromEntries(lengths.map((length) => [`f${length}`, pattern(length)]));
  const nar = await narOf(tree);
  for (
    const pieces of [
      () => nar.length,
      () => 65536,
      () => 524288,
      (i: number) => [1, 1_200_000, 3, 99_999][i % 4],
    ]
  ) {
    const store = openStore();
    const { node } = await ingestNar(reusing(nar, pieces), store.options);
    sameBytes(await render(store, node), nar);
  }
});

Deno.test("ingest: references are found, across pieces too", async () => {
  const [one, two] = ["00bgd045z0d4icpbc2yyz4gx48ak44la", "y7j0h1s346m08pya3s42nhmx0j0mqidh"];
  const nar = await narOf({ f: fromText(`x /nix/store/${one}-a y`), l: `../${two}-b/c` });
  for (const length of [1, 40, nar.length]) {
    const { found, overflowed } = await ingestNar(reusing(nar, () => length), openStore().options);
    assert.deepEqual([...found].sort(), [one, two]);
    assert.equal(overflowed, false);
  }
});

test("ingest: progress is told once a piece, in bytes of the archive", async () => {
  const nar = vector("complicated.nar");
  const told: number[] = [];
  const source = reusing(nar, () => 100);
  await ingestNar(source, { ...openStore().options, onProgress: (bytes) => told.push(bytes) });
  assert.deepEqual(told, [100, 200, 300, 400, 500, 600, 700, 800, 840]);
});

test("ingest: what is not strictly one archive is a FormatError", async () => {
  const nar = vector("complicated.nar");
  const damaged = nar.slice();
  damaged[100] ^= 1;
  for (const wrong of [new Uint8Array(0), nar.subarray(0, -1), concat([nar, new Uint8Array(1)]), damaged]) {
    await assert.rejects(ingest(openStore(), wrong), FormatError);
  }
  await assert.rejects(ingestNar([nar, fromHex("00")], openStore().options), FormatError);
});

test("ingest: limits on length, depth and entries", async () => {
  const nar = vector("complicated.nar");
  const options = openStore().options;
  assert.equal((await ingestNar([nar], { ...options, maxNarSize: 840 })).narSize, 840);
  await assert.rejects(ingestNar(reusing(nar, () => 10), { ...options, maxNarSize: 839 }), LimitError);
  await assert.rejects(ingestNar([nar], { ...options, maxDepth: 1 }), LimitError);
  await assert.rejects(ingestNar([nar], { ...options, maxEntries: 3 }), LimitError);
  await ingestNar([nar], { ...options, maxDepth: 2, maxEntries: 4 });
});

Deno.test("ingest: 4096 folders inside each other are taken and rendered, 10,000 are a LimitError", async () => {
  const nar = await deepNar(4096, pattern(10));
  const store = openStore();
  const { node } = await ingest(store, nar);
  sameBytes(await render(store, node), nar);
  await assert.rejects(ingest(openStore(), await deepNar(10_000, "t")), LimitError);
});
