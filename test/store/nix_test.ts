/** Real Nix on the other side: what it dumps is taken in and rendered the same, and listed as it lists it. */
import assert from "node:assert/strict";
import { formatListing, parseListing } from "../../src/nar/listing.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { vector } from "../nar/_nars.ts";
import { testNeeding, tool } from "../needs.ts";
import { ingest, narOf, openStore, randomTree, render, type Tree } from "./_trees.ts";

const test = testNeeding(tool("nix", "nix-bin"), tool("nix-store", "nix-bin"));

async function run(command: string, ...args: string[]): Promise<Uint8Array<ArrayBuffer>> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return stdout;
}

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function write(tree: Tree, path: string): Promise<void> {
  if (tree instanceof Uint8Array) {
    const executable = /\/![^/]*$/.test(path);
    return await Deno.writeFile(path.replace(/!([^/]*)$/, "$1"), tree, { mode: executable ? 0o755 : 0o644 });
  }
  if (typeof tree === "string") return await Deno.symlink(tree, path);
  await Deno.mkdir(path);
  for (const [name, child] of Object.entries(tree)) await write(child, `${path}/${name}`);
}

test({
  name: "what nix-store dumps is taken in and rendered the same",
  fn: () =>
    withFolder(async (folder) => {
      for (let seed = 100; seed < 110; seed++) {
        const tree = randomTree(seed, 200_000);
        await write(tree, `${folder}/${seed}`);
        const nar = await run("nix-store", "--dump", `${folder}/${seed}`);
        sameBytes(await narOf(tree), nar);
        const store = openStore();
        const { node } = await ingest(store, nar);
        sameBytes(await render(store, node), nar);
      }
    }),
});

test({
  name: "a rendered archive is listed as nix lists it",
  fn: () =>
    withFolder(async (folder) => {
      const trees = Array.from({ length: 6 }, (_, i) => narOf(randomTree(200 + i)));
      for (
        const nar of [...await Promise.all(trees), vector("complicated.nar"), vector("onebyteexecutable.nar")]
      ) {
        await Deno.writeFile(`${folder}/nar`, nar);
        const flags = ["--extra-experimental-features", "nix-command", "--json", "--recursive"];
        const text = new TextDecoder().decode(await run("nix", "nar", "ls", ...flags, `${folder}/nar`, "/"));
        const store = openStore();
        const { node } = await ingest(store, nar);
        const ours = [...(await narLayout(node, store.directories)).listing()].join("");
        assert.equal(ours, formatListing(parseListing(`{"version":1,"root":${text}}`)));
      }
    }),
});
