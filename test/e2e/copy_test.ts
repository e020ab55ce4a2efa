/**
 * `nix copy` to and from firn in every compression nix offers, by both versions of nix: everything arrives, nothing
 * travels twice, and what comes back is what was sent.
 */
import assert from "node:assert/strict";
import { tool } from "../needs.ts";
import { hashPart } from "./cache_folder.ts";
import { debianClosure, sampler } from "./closures.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer } from "./server.ts";
import { Tap } from "./tap.ts";

/** What nix calls the compression, and the suffix it gives the uploaded file. */
const COMPRESSIONS = {
  xz: ".nar.xz",
  zstd: ".nar.zst",
  gzip: ".nar",
  br: ".nar.br",
  bzip2: ".nar.bz2",
  none: ".nar",
};

for (const name of ["old", "new"] as const) {
  for (const [compression, suffix] of Object.entries(COMPRESSIONS)) {
    nixTest(`nix copy in ${compression}: once there, not twice, and back`, name, async (nix, folder) => {
      const closure = await sampler(`${folder}/builder`);
      await using server = await FirnServer.start(`${folder}/store`);
      await using tap = new Tap(server.url);
      const cache = `${tap.url}?compression=${compression}`;

      const pusher = new User(nix, `${folder}/pusher`);
      await pusher.push(cache, closure.root);
      const narInfos = closure.paths.map((path) => `/${hashPart(path)}.narinfo`);
      const nars = tap.sent("PUT", /^\/nar\//).map((request) => request.path);
      const sent = tap.sent("PUT", /\.narinfo$/).map((request) => request.path);
      assert.deepEqual(sent.toSorted(), narInfos.toSorted());
      assert.equal(nars.length, closure.paths.length);
      for (const nar of nars) assert.ok(nar.endsWith(suffix), nar);

      for (const nar of nars) {
        const { status } = await fetch(server.url + nar, { method: "HEAD" });
        assert.equal(status, 200, `HEAD ${nar}, which was uploaded`);
      }
      const { status } = await fetch(`${server.url}/nar/${"0".repeat(52)}${suffix}`, { method: "HEAD" });
      assert.equal(status, 404, "HEAD of a file that was never uploaded");

      const before = tap.requests.length;
      await new User(nix, `${folder}/second pusher`).push(cache, closure.root);
      const again = tap.requests.slice(before);
      assert.ok(again.length > 0, "a user with an empty HOME asks the cache");
      assert.deepEqual(again.filter((request) => request.method === "PUT"), []);

      await pull(new User(nix, `${folder}/puller`), tap.url, closure, `${folder}/pulled`);

      // The pusher's nix remembers the narinfos it sent, which name the compressed files it sent. Of them firn cannot
      // write bzip2: nix has to be told to forget.
      const forget = compression === "bzip2" ? ["--refresh"] : [];
      const fetched = tap.sent("GET", /^\/nar\//).length;
      await pull(pusher, tap.url, closure, `${folder}/pulled by pusher`, ["--no-check-sigs", ...forget]);
      const names = tap.sent("GET", /^\/nar\//).slice(fetched).map((request) => request.path);
      if (forget.length === 0) assert.deepEqual(names.toSorted(), nars.toSorted());
    });
  }

  nixTest(
    "nix copy of Debian packages: there and back in bounded memory",
    name,
    async (nix, folder) => {
      const closure = await debianClosure(`${folder}/builder`, "git");
      assert.ok(closure.paths.length >= 30, `${closure.paths.length} paths`);
      await using server = await FirnServer.start(`${folder}/store`);
      await new User(nix, `${folder}/pusher`).push(`${server.url}?compression=zstd`, closure.root);
      await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
      const { peak } = server.memory();
      assert.ok(peak < 480 * 2 ** 20, `resident memory reached ${Math.round(peak / 2 ** 20)} MiB`);
    },
    tool("git", "git"),
    tool("dpkg-query", "dpkg"),
  );
}
