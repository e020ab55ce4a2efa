/**
 * Four processes on one remote KV, and one bucket, endpoints and servers, and eight nix that copy overlapping closures in and out at the same time:
 * no byte is wrong or missing, no narinfo comes before its NAR, and what is stored is not stored again.
 */
import assert from "node:assert/strict";
import { openDenoKv } from "../../src/adapters/deno_kv/deno_kv_store.ts";
import { pathInfosOver } from "../../src/store/path_infos_over.ts";
import { narFile, narInfo, narInfoName, pathOf, treeNar } from "../server/_site.ts";
import { type Need, testNeeding } from "../needs.ts";
import { type Ceph, ceph, startCeph } from "./_ceph.ts";
import { denokv, DenokvServer } from "./_denokv.ts";
import { startInstances, storedBytes, usedIn, Watcher } from "./_instances.ts";
import { makeBucket } from "./_s3.ts";
import { CacheFolder, forEach, put } from "./cache_folder.ts";
import { manyPaths, sampler } from "./closures.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { WRITER, writer } from "./tokens.ts";
import { assertWhole, narDigests } from "./whole.ts";

/** Where packs are: with the rest, or in a bucket. */
interface Home {
  readonly needs: Need[];
  /** The address of an empty place for packs. */
  packs(): Promise<string | undefined>;
}

const HOMES: Record<string, Home> = {
  "a KV": { needs: [denokv], packs: () => Promise.resolve(undefined) },
  "a KV and S3": {
    needs: [denokv, ceph],
    async packs() {
      const { endpoint, region, accessKey, secretKey } = await cluster!;
      Deno.env.set("AWS_ACCESS_KEY_ID", accessKey);
      Deno.env.set("AWS_SECRET_ACCESS_KEY", secretKey);
      await makeBucket(await cluster!, "instances");
      return `s3://instances/firn?endpoint=${endpoint}&region=${region}&path-style=true`;
    },
  },
};

/** Comes up while the first test runs. */
let cluster: Promise<Ceph> | undefined;
if (denokv() === undefined && ceph() === undefined) {
  Deno.test.beforeAll(() => {
    cluster = startCeph();
    cluster.catch(() => {}); // told by who waits for it
  });
  Deno.test.afterAll(async () => await (await cluster)?.[Symbol.asyncDispose]());
}

for (const [where, home] of Object.entries(HOMES)) {
  nixTest(`four instances on ${where}, eight nix at once`, "old", async (nix, folder, t) => {
    const keeper = new User(nix, `${folder}/builder`);
    const there = await sampler(`${folder}/builder`);
    const coming = await manyPaths(`${folder}/builder`, 60, 20_000);
    const digests = await narDigests(keeper, coming);
    await using kv = await DenokvServer.start(`${folder}/kv`);
    const packs = await home.packs();
    await using instances = await startInstances(kv.store, 4, packs);
    await (await writer(nix, `${folder}/first`)).push(`${instances[0].url}?compression=none`, there.root);

    await t.step("four push the same, four pull what was there, one looks", async () => {
      const watcher = new Watcher(instances, coming, digests);
      const pushes = instances.map(async ({ url }, i) => {
        const pusher = await writer(nix, `${folder}/pusher ${i}`);
        await pusher.push(`${url}?compression=zstd`, coming.root);
      });
      const pulls = instances.map(({ url }, i) =>
        pull(new User(nix, `${folder}/puller ${i}`), url, there, `${folder}/pulled ${i}`)
      );
      await Promise.all([...pushes, ...pulls]);
      await watcher.stop();
      assert.ok(watcher.seen.size > 0, "paths were looked at while they came");
    });

    await t.step("all of them have all of it", async () => {
      await Promise.all(instances.map(async (instance) => {
        assert.equal(await assertWhole(instance, coming, digests), coming.paths.length);
      }));
      await pull(new User(nix, `${folder}/last`), instances[3].url, coming, `${folder}/pulled last`);
    });

    await t.step("what is stored is not stored again, whoever is sent it", async () => {
      const cache = await CacheFolder.write(nix, coming, `${folder}/cache`, "zstd");
      const before = await storedBytes(kv, packs);
      await Promise.all(instances.map(async ({ url }) => {
        await forEach(cache.paths, 2, async (path) => {
          const { status, text } = await put(`${url}/${path.url}`, await cache.nar(path), WRITER);
          assert.ok(status < 300, text);
        });
      }));
      // What is written again is the record of the upload, of at most a few hundred bytes.
      const more = await storedBytes(kv, packs) - before;
      assert.ok(more < 4096, `${more} bytes more`);
      // Each of four may have written a path before it could see that another did, and most were seen.
      const { live } = await usedIn(kv.store, packs);
      assert.ok(before < 1.5 * live, `${before} bytes are stored of ${live}`);
    });
  }, ...home.needs);
}

testNeeding(denokv)({
  name: "what one instance wrote or deleted is seen by all at once",
  sanitizeResources: false, // the runtime keeps signal handlers of children for a moment longer
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      await using kv = await DenokvServer.start(`${folder}/kv`);
      await using instances = await startInstances(kv.store, 3);
      for (let i = 0; i < 12; i++) {
        const [writer, ...others] = [0, 1, 2].map((turn) => instances[(i + turn) % 3]);
        const base = pathOf(`seen-${i}`);
        const asks = () =>
          Promise.all(others.map(async ({ url }) => {
            const answer = await fetch(`${url}/${narInfoName(base)}`);
            await answer.body?.cancel();
            return answer.status;
          }));
        assert.deepEqual(await asks(), [404, 404]);
        const file = await narFile(await treeNar({ name: `${i}` }));
        const nar = await put(`${writer.url}/${file.url}`, file.bytes, WRITER);
        assert.ok(nar.status < 300, nar.text);
        const answer = await put(`${writer.url}/${narInfoName(base)}`, narInfo(base, file), WRITER);
        assert.ok(answer.status < 300, answer.text);
        assert.deepEqual(await asks(), [200, 200]);
        const database = await Deno.openKv(kv.url);
        await pathInfosOver(openDenoKv(database)).delete(base.slice(0, 32));
        database.close();
        assert.deepEqual(await asks(), [404, 404]);
      }
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
