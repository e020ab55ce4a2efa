/**
 * Names in a server of Deno KV and packs in S3, on a real Ceph: real Nix in and out through firns that know nothing of each other,
 * little asked of S3, and one of its OSDs killed in the middle.
 */
import assert from "node:assert/strict";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import type { S3RequestReport } from "../../src/adapters/s3/open_s3.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { openHome } from "../../src/cli/home.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import { servicesOver } from "../../src/store/services.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { testNeeding } from "../needs.ts";
import { noise, treeNar } from "../server/_site.ts";
import { type Ceph, ceph, startCeph } from "./_ceph.ts";
import { denokv, DenokvServer } from "./_denokv.ts";
import { makeBucket } from "./_s3.ts";
import { manyPaths, sampler } from "./closures.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer, pause } from "./server.ts";

let cluster: Ceph;

if (denokv() === undefined && ceph() === undefined) {
  Deno.test.beforeAll(async () => {
    cluster = await startCeph();
    // As a server, which is a child, finds them.
    Deno.env.set("AWS_ACCESS_KEY_ID", cluster.accessKey);
    Deno.env.set("AWS_SECRET_ACCESS_KEY", cluster.secretKey);
  });
  Deno.test.afterAll(async () => await cluster?.[Symbol.asyncDispose]());
}

/** Options of `serve` for packs in a bucket of their own, which is made. */
async function packsIn(bucket: string): Promise<["--packs", string]> {
  await makeBucket(cluster, bucket);
  const { endpoint, region } = cluster;
  return ["--packs", `s3://${bucket}/packs?endpoint=${endpoint}&region=${region}&path-style=true`];
}

nixTest(
  "deno kv and S3: nix copy to two firns, from a third, while an OSD dies",
  "new",
  async (nix, folder) => {
    const closures = [await sampler(`${folder}/builder`), await manyPaths(`${folder}/builder`, 20, 20_000)];
    const packs = await packsIn("copies");
    await using kv = await DenokvServer.start(`${folder}/kv`);
    await using one = await FirnServer.start(kv.store, ...packs);
    await using other = await FirnServer.start(kv.store, ...packs);
    await Promise.all([
      ...closures.flatMap((closure, i) =>
        [one, other].map(({ url }, k) =>
          new User(nix, `${folder}/pusher ${i} ${k}`).push(`${url}?compression=none`, closure.root)
        )
      ),
      pause(300).then(() => cluster.killOsd(1)),
    ]);
    await using third = await FirnServer.start(kv.store, ...packs);
    for (const [i, closure] of closures.entries()) {
      await pull(new User(nix, `${folder}/puller ${i}`), third.url, closure, `${folder}/pulled ${i}`);
    }
  },
  denokv,
  ceph,
);

const test = testNeeding(denokv, ceph);

test("deno kv and S3: thousands of small files are few requests, in and out", async () => {
  const folder = await Deno.makeTempDir();
  const [, packs] = await packsIn("small");
  {
    await using kv = await DenokvServer.start(`${folder}/kv`);
    const asked: S3RequestReport[] = [];
    const open = () => openHome(kv.store, () => {}, { packs, onRequest: (request) => asked.push(request) });
    const files = Object.fromEntries(
      Array.from({ length: 3000 }, (_, i) => [`file-${String(i).padStart(4, "0")}`, noise(4096, i + 1)]),
    );
    const nar = await treeNar(files);
    await using writing = await open();
    asked.length = 0;
    const services = servicesOver(writing);
    const { node } = await ingestNar([nar], { ...services, hashes: nativeHashes });
    const puts = asked.filter(({ operation }) => operation === "PutObject").length;
    assert.ok(puts >= 3 && puts < 30, `${puts} objects for 3000 files of 4 KiB`);
    assert.ok(asked.length < 60, `${asked.length} requests for them`);
    await using reading = await open();
    asked.length = 0;
    const { blobs, directories } = servicesOver(reading);
    const read = await Array.fromAsync(renderNar(await narLayout(node, directories), blobs));
    sameBytes(concat(read), nar);
    assert.ok(asked.length < 60, `${asked.length} requests to read them`);
  }
  await Deno.remove(folder, { recursive: true });
});

test("deno kv and S3: a bucket that is not there is told in a line", async () => {
  const folder = await Deno.makeTempDir();
  {
    const [, packs] = await packsIn("there");
    await using kv = await DenokvServer.start(`${folder}/kv`);
    await assert.rejects(
      openHome(kv.store, () => {}, { packs: packs.replace("there", "nowhere") }),
      /nowhere/,
    );
  }
  await Deno.remove(folder, { recursive: true });
});
