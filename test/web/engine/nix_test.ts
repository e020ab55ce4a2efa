// The engine beside real Nix: what Nix uploaded is opened and exported so that Nix takes it; what a tab sent is copied out by Nix.
import assert from "node:assert/strict";
import { openBrowserCodecs } from "../../../src/adapters/codecs/browser_codecs.ts";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { portableHashes } from "../../../src/hash/hashes.ts";
import { openKeeping } from "../../../web/engine/keeping_over.ts";
import { TabEngine } from "../../../web/engine/tab_engine.ts";
import { sampler } from "../../e2e/closures.ts";
import { nixTest, User } from "../../e2e/nix.ts";
import { pull } from "../../e2e/pull.ts";
import { FirnServer } from "../../e2e/server.ts";
import { tool } from "../../needs.ts";
import { noise, sha256 } from "../../server/_site.ts";

async function compile(specifier: string): Promise<WebAssembly.Module> {
  return await WebAssembly.compile(await Deno.readFile(new URL(import.meta.resolve(specifier))));
}

/** A tab as the browser has it, but for where it keeps things. */
function openTab(): TabEngine {
  const home = { names: openMemory(), bytes: openMemory() };
  return new TabEngine({
    home,
    fetch,
    codec: openBrowserCodecs({
      liblzma: () => compile("node-liblzma/wasm/liblzma.wasm"),
      brotli: () => compile("brotli-dec-wasm/web/bg.wasm"),
    }),
    hashes: portableHashes,
    keeping: openKeeping(home),
  });
}

async function unzip(blob: Blob, folder: string): Promise<void> {
  await Deno.mkdir(folder);
  await Deno.writeFile(`${folder}/x.zip`, blob.stream());
  const { success, stderr } = await new Deno.Command("unzip", { args: ["-q", "x.zip"], cwd: folder })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

for (const name of ["old", "new"] as const) {
  nixTest("a closure of nix: opened in a tab, exported, and taken by nix", name, async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    await using server = await FirnServer.start(`${folder}/store`);
    const pusher = new User(nix, `${folder}/pusher`);
    await pusher.push(server.url, closure.root);
    const tab = openTab();
    const target = { type: "path", path: closure.root, cache: server.url } as const;
    const { paths } = await tab.open(target, { everything: true, closure: true });
    assert.deepEqual(paths.map(({ path }) => path).sort(), closure.paths.toSorted());
    for (const { path } of paths) {
      const truth = await tab.verify(path);
      assert.equal(truth.narHash.verdict, "true");
      assert.deepEqual([truth.references.verdict, truth.references.absent], ["true", []]);
      const { blob } = await tab.save({ type: "nar", path });
      const dumped = await new Deno.Command(`${nix.folder}nix-store`, { args: ["--dump", path] }).output();
      assert.deepEqual(sha256(new Uint8Array(await blob!.arrayBuffer())), sha256(dumped.stdout));
    }
    const { blob } = await tab.save({ type: "cache" });
    await unzip(blob!, `${folder}/cache`);
    await pull(new User(nix, `${folder}/puller`), `file://${folder}/cache`, closure, `${folder}/pulled`);
  }, tool("unzip", "unzip"));

  nixTest(
    "caches that nix writes are opened in a tab, from their folder and over HTTP",
    name,
    async (nix, folder) => {
      const closure = await sampler(`${folder}/builder`);
      for (const compression of ["xz", "zstd", "bzip2", "none"]) {
        const cache = `${folder}/${compression}`;
        await new User(nix, `${folder}/pusher ${compression}`).push(
          `file://${cache}?compression=${compression}`,
          closure.root,
        );
        const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
          try {
            return new Response(await Deno.readFile(cache + new URL(request.url).pathname));
          } catch {
            return new Response(null, { status: 404 });
          }
        });
        try {
          const target = {
            type: "path",
            path: closure.root,
            cache: `http://127.0.0.1:${server.addr.port}`,
          } as const;
          const { paths } = await openTab().open(target, { closure: true });
          assert.deepEqual(paths.map(({ path }) => path).sort(), closure.paths.toSorted(), compression);
          assert.ok(paths.every(({ state }) => state === "whole"));
        } finally {
          await server.shutdown();
        }
        const entries: { path: string; file: File }[] = [];
        for (const below of ["", "nar/"]) {
          for await (const { name, isFile } of Deno.readDir(`${cache}/${below}`)) {
            if (isFile) {
              entries.push({
                path: below + name,
                file: new File([await Deno.readFile(`${cache}/${below}${name}`)], name),
              });
            }
          }
        }
        const imported = await openTab().open({ type: "folder", name: "cache", entries });
        assert.deepEqual(imported.refused, []);
        assert.equal(imported.paths.length, closure.paths.length);
      }
    },
  );

  nixTest("a folder that was dropped in a tab and sent is copied out by nix", name, async (nix, folder) => {
    await using server = await FirnServer.start(`${folder}/store`);
    const tab = openTab();
    const script = "#!/bin/sh\necho from the tab\n";
    const entries = [
      { path: "bin/run", file: new File([script], "run") },
      { path: "share/data", file: new File([noise(700_000)], "data") },
      { path: "share/empty" },
    ];
    const { paths: [{ path }] } = await tab.open({ type: "folder", name: "dropped", entries });
    await tab.push(path, { server: server.url });
    const user = new User(nix, `${folder}/user`);
    await user.nixCommand("copy", "--no-check-sigs", "--from", server.url, "--to", `${folder}/copied`, path);
    assert.equal(await Deno.readTextFile(`${folder}/copied${path}/bin/run`), script);
    assert.ok((await Deno.stat(`${folder}/copied${path}/bin/run`)).mode! & 0o111);
    assert.deepEqual(await Deno.readFile(`${folder}/copied${path}/share/data`), noise(700_000));
    await user.nixCommand("store", "verify", "--no-trust", "--store", `${folder}/copied`, path);
  });
}
