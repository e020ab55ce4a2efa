// Closures, why one path needs another, and how two differ.
import assert from "node:assert/strict";
import { permissions, testNeeding } from "../../needs.ts";
import { noise } from "../../server/_site.ts";
import { open, Tab, World } from "./_tab.ts";

const test = testNeeding(permissions);
const base = (path: string) => path.slice("/nix/store/".length);

test("engine: a closure with its sizes, and why", async () => {
  await using world = await World.open();
  const libc = await world.publish("libc", { "libc.so": noise(50_000) });
  const ssl = await world.publish("ssl", { lib: `${libc}/libc.so` }, { References: base(libc) });
  const app = await world.publish("app", {
    bin: { app: "x".repeat(70_000) + `${ssl}/lib`, other: "nothing" },
    current: { link: `${ssl}/lib` },
  }, { References: `${base(ssl)}` });
  const tab = world.tab();
  await open(tab, world, app);
  const graph = await tab.engine.closure(app);
  assert.deepEqual(graph.nodes.map(({ path, state, depth }) => [path, state, depth]), [
    [app, "partial", 0],
    [ssl, "known", 1],
    [libc, "known", 2],
  ]);
  assert.deepEqual(graph.edges, [[0, 1], [1, 2]]);
  const [a, b, c] = graph.nodes;
  assert.equal(a.closureSize, a.narSize + b.narSize + c.narSize);
  assert.equal(c.closureSize, c.narSize);

  const unread = (await tab.engine.whyDepends(app, libc))!;
  assert.deepEqual(unread.chain.map(({ path, unread }) => [path, unread]), [[app, true], [ssl, true], [
    libc,
    false,
  ]]);
  await open(tab, world, app, { everything: true, closure: true });
  const why = (await tab.engine.whyDepends(app, libc))!;
  const at = 70_000 + "/nix/store/".length;
  assert.deepEqual(why.chain.map(({ seen }) => seen), [
    [
      { file: "bin/app", inTarget: false, offset: at },
      { file: "current", inTarget: true, offset: 11 },
    ],
    [{ file: "lib", inTarget: false, offset: 11 }],
    [],
  ]);
  assert.equal(await tab.engine.whyDepends(libc, app), undefined);

  const offline = new Tab(() => Response.error(), tab.home);
  assert.equal((await offline.engine.closure(app)).nodes.length, 3, "what is here needs nobody");
});

test("engine: the difference of two paths", async () => {
  await using world = await World.open();
  const long = noise(2_000_000);
  const edited = long.slice();
  edited[1_000_000] ^= 1;
  const one = await world.publish("v1", {
    "a.txt": "old",
    bin: { "tool.sh": "#!/bin/sh\n", gone: "gone" },
    data: long,
    docs: { one: "1", two: "22" },
    link: { link: "a" },
    moved: "this only moved",
    what: "file",
  });
  const two = await world.publish("v2", {
    "a.txt": "new!",
    bin: { tool: "#!/bin/sh\n" },
    data: edited,
    manual: { one: "1", two: "22" },
    link: { link: "b" },
    other: { place: "this only moved" },
    what: { now: "a folder" },
  });
  const tab = world.tab();
  await open(tab, world, one);
  await open(tab, world, two);
  const moved = tab.received;
  const difference = await tab.engine.difference(one, two);
  assert.ok(tab.received - moved < 10_000, "no contents");
  assert.deepEqual(difference.changed.map(({ file, change }) => [file, change]), [
    ["a.txt", "contents"],
    ["data", "contents"],
    ["link", "target"],
    ["what", "type"],
  ]);
  assert.deepEqual(difference.moved.map(({ from, to }) => [from, to]), [
    ["bin/tool.sh", "bin/tool"],
    ["docs", "manual"],
    ["moved", "other/place"],
  ]);
  assert.deepEqual(difference.added.map(({ file }) => file), ["other"]);
  assert.deepEqual(difference.removed.map(({ file }) => file), ["bin/gone"]);
  assert.equal(difference.sums.removed.count, 1);
  assert.equal(difference.sums.added.count, 0, "what is in other only moved");
  const data = difference.changed[1];
  assert.ok(data.shared! > 1_400_000 && data.shared! < 2_000_000, `${data.shared}`);
  assert.ok(difference.bytes.inSharedChunks! > difference.bytes.inSharedFiles);
  const same = await tab.engine.difference(one, one);
  assert.deepEqual([same.added, same.removed, same.changed, same.moved], [[], [], [], []]);
  assert.equal(same.bytes.inSharedFiles, same.bytes.after);
});
