// Looking around in paths: pages, sizes, symlinks, names that are not text, searching.
import assert from "node:assert/strict";
import { fromText } from "../../../src/bytes/bytes.ts";
import type { SearchHit } from "../../../web/engine/engine.ts";
import { faultOf } from "../../../web/engine/fault.ts";
import { shown } from "../../../web/engine/shown.ts";
import { nameBytes, nameText } from "../../../web/engine/path_text.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { narFile, narOf, pathOf } from "../../server/_site.ts";
import { open, type Tab, World } from "./_tab.ts";

const test = testNeeding(permissions);

async function faultIn(call: Promise<unknown>): Promise<string> {
  return await call.then(() => "none", (error) => faultOf(error).name);
}

async function searched(
  tab: Tab,
  path: string,
  text: string,
  options = {},
): Promise<{ files: string[]; more: boolean }> {
  const files: string[] = [];
  const found = (hits: readonly SearchHit[]) => void files.push(...hits.map(({ file }) => file));
  const { more, hits } = await tab.engine.search(path, text, options, "search", found);
  assert.equal(hits, files.length);
  return { files, more };
}

test("engine: names of any bytes have one text each, and are found by it", async () => {
  const names = [[0xff], [0xfe, 0x61], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98], [
    0x61,
    0xe2,
    0x82,
    0xac,
  ]];
  const texts = new Set<string>();
  for (const bytes of names) {
    const text = nameText(Uint8Array.from(bytes));
    assert.deepEqual([...nameBytes(text)], bytes, JSON.stringify(text));
    texts.add(text);
  }
  assert.equal(texts.size, names.length);
  assert.equal(shown("a\u202etxt.exe\n\udcff<b>"), "a\\u{202e}txt.exe\\n\\xff<b>");

  await using world = await World.open();
  const file = fromText("contents");
  const nar = await narOf([
    { type: "directory", name: fromText("") },
    { type: "file", name: Uint8Array.of(0x61, 0xff), executable: false, size: file.length },
    { type: "data", bytes: file },
    { type: "end" },
    { type: "end" },
  ]);
  const base = pathOf("bytes");
  await world.site.publish(base, await narFile(nar));
  const tab = world.tab();
  await open(tab, world, base);
  const { items } = await tab.engine.list(base, "");
  assert.equal(items[0].name, "a\udcff");
  assert.deepEqual(await tab.engine.read(base, items[0].name, 0, 100), file);
});

test("engine: pages of a folder, in several orders, and what is no folder", async () => {
  await using world = await World.open();
  const tree = Object.fromEntries(
    Array.from({ length: 2500 }, (_, i) => [`f${String(i).padStart(5, "0")}`, "x".repeat(i % 97)]),
  );
  const path = await world.publish("wide", {
    many: { ...tree, sub: { inner: "0".repeat(1000) } },
    file: "a file",
  });
  const tab = world.tab();
  await open(tab, world, path);
  const first = await tab.engine.list(path, "many");
  assert.equal(first.total, 2501);
  assert.equal(first.items.length, 1000);
  const last = await tab.engine.list(path, "many", { offset: 2499, limit: 10 });
  assert.deepEqual(last.items.map(({ name }) => name), ["f02499", "sub"]);
  const bySize = await tab.engine.list(path, "many", { order: "size", limit: 2 });
  assert.deepEqual(bySize.items.map(({ name, size }) => [name, size]), [["sub", 1000], ["f00096", 96]]);
  const folders = await tab.engine.list(path, "many", { order: "folders", limit: 2 });
  assert.deepEqual(folders.items.map(({ name }) => name), ["sub", "f00000"]);
  assert.deepEqual((await tab.engine.list(path, "many", { offset: 9999 })).items, []);
  assert.equal(await faultIn(tab.engine.list(path, "file")), "UnsupportedError");
  assert.equal(await faultIn(tab.engine.list(path, "none")), "MissingError");
  assert.equal(await faultIn(tab.engine.list(path, "../x")), "FormatError");
  assert.equal(await faultIn(tab.engine.list(pathOf("unknown"), "")), "MissingError");
});

test("engine: symlinks are followed inside what is kept, and nowhere else", async () => {
  await using world = await World.open();
  const lib = await world.publish("lib", { "libx.so": "the library", again: { link: "libx.so" } });
  const path = await world.publish("links", {
    absolute: { link: `${lib}/again` },
    circle: { link: "circle" },
    dir: { up: { link: "../file" }, across: { link: `../../${lib.slice("/nix/store/".length)}/libx.so` } },
    file: "here",
    out: { link: "/etc/passwd" },
    shortcut: { link: "dir/" },
  });
  const tab = world.tab();
  await open(tab, world, path);
  const absolute = () => tab.engine.stat(path, "absolute", true);
  assert.equal(await absolute(), undefined, "the other path is not here");
  await open(tab, world, lib);
  const found = (await absolute())!;
  assert.deepEqual([found.path, found.file, found.via], [lib, "libx.so", [
    `${path}/absolute`,
    `${lib}/again`,
  ]]);
  assert.equal((await tab.engine.stat(path, "dir/across", true))?.path, lib);
  assert.equal((await tab.engine.stat(path, "shortcut/up", true))?.file, "file");
  assert.equal((await tab.engine.stat(path, "absolute"))?.item.target, `${lib}/again`);
  for (const file of ["circle", "out", "none", "file/x"]) {
    assert.equal(await tab.engine.stat(path, file, true), undefined, file);
  }
});

test("engine: names are searched by part and by pattern, up to a bound", async () => {
  await using world = await World.open();
  const path = await world.publish("search", {
    bin: { Hello: "", "hello-2": "" },
    share: { doc: { "hello.txt": "", "a*b": "" }, man: { "hello.1": "" } },
  });
  const tab = world.tab();
  await open(tab, world, path);
  assert.deepEqual((await searched(tab, path, "hello")).files, [
    "bin/Hello",
    "bin/hello-2",
    "share/doc/hello.txt",
    "share/man/hello.1",
  ]);
  assert.deepEqual((await searched(tab, path, "Hello", { matchCase: true })).files, ["bin/Hello"]);
  assert.deepEqual((await searched(tab, path, "*.t?t")).files, ["share/doc/hello.txt"]);
  assert.deepEqual((await searched(tab, path, "share/*.1")).files, ["share/man/hello.1"]);
  assert.deepEqual((await searched(tab, path, "doc")).files, [
    "share/doc",
    "share/doc/a*b",
    "share/doc/hello.txt",
  ]);
  assert.deepEqual(await searched(tab, path, "hello", { limit: 2 }), {
    files: ["bin/Hello", "bin/hello-2"],
    more: true,
  });
  assert.deepEqual((await searched(tab, path, "*".repeat(50) + "zz")).files, []);
});
