/** The tree of folders: rows of what was opened, on demand. */
import assert from "node:assert/strict";
import type { Item, ListOptions, Page } from "../../web/engine/engine.ts";
import { FolderTree } from "../../web/page/folder_tree.ts";

type Files = { [name: string]: Files | number };

/** Folders of a test, listed as the engine lists them; `asked` counts. */
function lister(root: Files | ((folder: string) => number)) {
  const asked: string[] = [];
  const list = (folder: string, { offset = 0, limit = 1000 }: ListOptions): Promise<Page> => {
    asked.push(`${folder}@${offset}`);
    if (typeof root === "function") {
      const total = root(folder);
      const items = Array.from({ length: Math.min(limit, total - offset) }, (_, i): Item => {
        const name = `f${String(offset + i).padStart(7, "0")}`;
        return { name, type: (offset + i) % 1000 === 0 ? "directory" : "file", size: i };
      });
      return Promise.resolve({ total, offset, items });
    }
    let at: Files = root;
    for (const name of folder.split("/").filter(Boolean)) at = at[name] as Files;
    const items = Object.entries(at).map(([name, value]): Item =>
      typeof value === "number" ? { name, type: "file", size: value } : { name, type: "directory" }
    );
    return Promise.resolve({ total: items.length, offset, items: items.slice(offset, offset + limit) });
  };
  return { list, asked };
}

function treeOf(root: Files | ((folder: string) => number)) {
  const { list, asked } = lister(root);
  const failed: unknown[] = [];
  const tree = new FolderTree(list, "name", () => {}, (error) => failed.push(error));
  return { tree, asked, failed };
}

const rows = (tree: FolderTree) =>
  Array.from({ length: tree.count }, (_, i) => `${"  ".repeat(tree.row(i).depth)}${tree.row(i).item?.name}`);

const SMALL = { bin: { sh: 1, tools: { a: 1, b: 2 } }, lib: { "libc.so": 9 }, readme: 3 };

Deno.test("folders open and close in place, in any order", async () => {
  const { tree } = treeOf(SMALL);
  await tree.start();
  assert.deepEqual(rows(tree), ["bin", "lib", "readme"]);
  await tree.open(1);
  await tree.open(0);
  assert.deepEqual(rows(tree), ["bin", "  sh", "  tools", "lib", "  libc.so", "readme"]);
  await tree.open(2);
  assert.deepEqual(rows(tree), ["bin", "  sh", "  tools", "    a", "    b", "lib", "  libc.so", "readme"]);
  assert.equal(tree.row(4).file, "bin/tools/b");
  assert.equal(tree.parent(4), 2);
  assert.equal(tree.parent(2), 0);
  assert.equal(tree.parent(6), 5);
  assert.equal(tree.parent(7), -1);
  tree.close(0);
  assert.deepEqual(rows(tree), ["bin", "lib", "  libc.so", "readme"]);
  await tree.open(3);
  assert.equal(tree.count, 4, "a file does not open");
});

Deno.test("a folder that was closed shows its things when it is opened again", async () => {
  const { tree } = treeOf(SMALL);
  await tree.start();
  for (let i = 0; i < 2; i++) {
    await tree.open(0);
    tree.need(0, tree.count);
    assert.deepEqual(rows(tree), ["bin", "  sh", "  tools", "lib", "readme"]);
    tree.close(0);
  }
});

Deno.test("a file is found under folders that were closed", async () => {
  const { tree } = treeOf(SMALL);
  await tree.start();
  await tree.open(1);
  const row = await tree.reveal("bin/tools/b");
  assert.equal(row, 4);
  assert.equal(tree.row(row!).file, "bin/tools/b");
  const later = await tree.reveal("lib/libc.so");
  assert.equal(tree.row(later!).file, "lib/libc.so");
  assert.equal(await tree.reveal("lib/none"), undefined);
  assert.equal(await tree.reveal("readme/none"), undefined);
});

Deno.test("a million things cost a page of them at a time, and few pages are kept", async () => {
  const { tree, asked } = treeOf((folder) => folder === "" ? 1_000_000 : 3);
  await tree.start();
  assert.equal(tree.count, 1_000_000);
  assert.equal(asked.length, 1);
  tree.need(999_980, 1_000_000);
  await Promise.resolve();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(tree.row(999_999).item?.name, "f0999999");
  assert.equal(asked.length, 2);
  assert.equal(tree.row(500_000).item, undefined, "not asked for");
  for (let i = 0; i < 300; i++) tree.need(i * 1000, i * 1000 + 1);
  await new Promise((resolve) => setTimeout(resolve, 0));
  const known = Array.from({ length: 4000 }, (_, i) => tree.row(i * 250).item).filter(Boolean).length;
  assert.ok(known <= 200, `${known} pages`);
  // An opened folder in the middle of them moves what is after it.
  tree.need(299_000, 299_001);
  await new Promise((resolve) => setTimeout(resolve, 0));
  await tree.open(299_000);
  assert.equal(tree.count, 1_000_003);
  assert.equal(tree.row(299_002).file, "f0299000/f0000001");
  assert.equal(tree.row(299_004).index, 299_001);
});

Deno.test("a page that could not be read is told, and asked for again", async () => {
  const failed: unknown[] = [];
  let broken = true;
  const { list } = lister(SMALL);
  const tree = new FolderTree(
    (folder, options) =>
      folder === "bin" && broken ? Promise.reject(new Error("no network")) : list(folder, options),
    "name",
    () => {},
    (error) => failed.push(error),
  );
  await tree.start();
  await tree.open(0);
  assert.match(String(failed[0]), /no network/);
  broken = false;
  tree.close(0);
  await tree.open(0);
  assert.deepEqual(rows(tree), ["bin", "  sh", "  tools", "lib", "readme"]);
});
