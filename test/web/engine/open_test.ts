// Opening paths from a firn server: what is moved, what is proven, what is said of what is not true.
import assert from "node:assert/strict";
import { concat, fromText } from "../../../src/bytes/bytes.ts";
import { toNixBase32 } from "../../../src/bytes/nixbase32.ts";
import type { Fault, Progress } from "../../../web/engine/engine.ts";
import { faultOf } from "../../../web/engine/fault.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { narFile, narInfo, noise, pathOf, sha256, treeNar } from "../../server/_site.ts";
import { open, Tab, World } from "./_tab.ts";

const test = testNeeding(permissions);
const MIB = 1024 * 1024;

async function faultIn(call: Promise<unknown>): Promise<Fault> {
  try {
    await call;
  } catch (error) {
    return faultOf(error);
  }
  throw new Error("it did not fail");
}

test("engine: opening fetches Directories, reading a file its contents, and nothing twice", async () => {
  await using world = await World.open();
  const path = await world.publish("big", {
    bin: { "tool.sh": "#!/bin/sh\n" },
    share: { data: noise(6 * MIB), more: noise(5 * MIB, 7), text: "some words\n" },
  });
  const tab = world.tab();
  const opened = await open(tab, world, path);
  assert.equal(opened.state, "partial");
  assert.equal(opened.type, "directory");
  assert.ok(tab.received < 5000, `${tab.received} bytes for the Directories`);
  assert.equal(tab.count(/blob/), 0);

  const page = await tab.engine.list(path, "share");
  assert.deepEqual(page.items.map(({ name, type, size }) => [name, type, size]), [
    ["data", "file", 6 * MIB],
    ["more", "file", 5 * MIB],
    ["text", "file", 11],
  ]);
  assert.deepEqual(
    (await tab.engine.list(path, "")).items.map(({ name, size, below }) => [name, size, below]),
    [
      ["bin", 10, 1],
      ["share", 11 * MIB + 11, 3],
    ],
  );

  assert.deepEqual(await tab.engine.read(path, "share/text", 5, 100), fromText("words\n"));
  assert.ok(tab.received < 10_000, "only that file");
  const asked = tab.asked.length;
  assert.deepEqual(await tab.engine.read(path, "share/text", 0, 4), fromText("some"));
  assert.equal(tab.asked.length, asked, "it is here now");

  const before = tab.received;
  const { state } = await tab.engine.complete(path);
  assert.equal(state, "whole");
  assert.ok(tab.received - before < 11 * MIB + 20_000, `${tab.received - before} bytes for the rest`);
  const truth = await tab.engine.verify(path);
  assert.equal(truth.narHash.verdict, "true");
  assert.deepEqual(truth.damage, []);
  const quiet = tab.asked.length;
  assert.deepEqual(
    await tab.engine.read(path, "share/data", 1000, 2000),
    noise(6 * MIB).subarray(1000, 2000),
  );
  assert.equal(tab.asked.length, quiet);
});

test("engine: a part of a long file moves its chunks with their proof, also after the tab was closed", async () => {
  await using world = await World.open();
  const contents = noise(40 * MIB, 3);
  const path = await world.publish("long", { file: contents });
  const tab = world.tab();
  await open(tab, world, path);
  const part = await tab.engine.read(path, "file", 20 * MIB + 5, 20 * MIB + 1005);
  assert.deepEqual(part, contents.subarray(20 * MIB + 5, 20 * MIB + 1005));
  assert.ok(tab.received < 1.2 * MIB, `${tab.received} bytes for a part of 1000`);

  const asked = tab.received;
  const again = new Tab(() => new Response(null, { status: 503 }), tab.home);
  assert.deepEqual(
    await again.engine.read(path, "file", 20 * MIB + 5, 20 * MIB + 1005),
    part,
    "without a network",
  );
  const fault = await faultIn(again.engine.read(path, "file", 0, 10));
  assert.equal(fault.name, "RemoteError");

  await tab.engine.complete(path);
  assert.ok(tab.received - asked < 40 * MIB, "what was here was not fetched again");
  assert.deepEqual(await tab.engine.read(path, "file", 0, 10), contents.subarray(0, 10));
});

test("engine: going to the next version moves what is new", async () => {
  await using world = await World.open();
  const stable = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`file${i}`, noise(10_000, i + 1)]),
  );
  const long = noise(8 * MIB, 999);
  const changed = concat([long.subarray(0, 3 * MIB), fromText("inserted"), long.subarray(3 * MIB)]);
  const one = await world.publish("program-1", { lib: stable, "a.bin": long, same: { deep: { x: "x" } } });
  const two = await world.publish("program-2", {
    lib: { ...stable, file7: "new" },
    "a.bin": changed,
    same: { deep: { x: "x" } },
  });
  const tab = world.tab();
  await open(tab, world, one, { everything: true });
  const before = tab.received;
  const sent = tab.sent;
  let last: Progress | undefined;
  const opened = await open(tab, world, two, { everything: true }, (progress) => last = progress);
  assert.equal(opened.state, "whole");
  assert.ok(tab.received - before < 1.2 * MIB, `${tab.received - before} bytes for the next version`);
  assert.equal(last?.phase, "done");
  assert.equal(last?.moved, tab.received - before + tab.sent - sent);
  assert.ok(last!.shared > 9 * MIB, `${last?.shared} bytes shared`);
});

test("engine: what a server says that is not true of its bytes is told as what it is", async () => {
  await using world = await World.open();
  const path = await world.publish("honest", { a: noise(300_000), b: "b" });
  const hashPart = path.slice(11, 43);
  const narInfoText = await (await world.site.get(`${hashPart}.narinfo`)).text();
  const lying = (answer: (url: URL, response: Response) => Response | Promise<Response>) =>
    new Tab(async (request) => answer(new URL(request.url), await world.site.app.fetch(request)));
  const target = { type: "path", path, cache: world.address } as const;

  const wrongHash = lying((url, response) =>
    url.pathname.endsWith(".narinfo")
      ? new Response(
        narInfoText.replaceAll(/sha256:[0-9a-z]{52}/g, `sha256:${toNixBase32(sha256(fromText("other")))}`),
      )
      : response
  );
  const claim = await faultIn(wrongHash.engine.open(target, { everything: true }));
  assert.equal(claim.name, "ClaimError");
  assert.equal(claim.claim, "NarHash");
  assert.match(claim.actual!, /^sha256:/);
  assert.equal((await wrongHash.engine.stored())[0].state, "partial", "never shown as whole");

  const wrongSize = lying((url, response) =>
    url.pathname.endsWith(".narinfo")
      ? new Response(narInfoText.replace(/NarSize: \d+/, "NarSize: 5"))
      : response
  );
  assert.equal((await faultIn(wrongSize.engine.open(target))).claim, "NarSize");
  assert.deepEqual(await wrongSize.engine.stored(), []);

  const tampered = lying(async (url, response) => {
    if (url.pathname !== "/blob/read") return response;
    const bytes = new Uint8Array(await response.arrayBuffer());
    bytes[bytes.length - 1] ^= 1;
    return new Response(bytes);
  });
  await tampered.engine.open(target);
  const damage = await faultIn(tampered.engine.read(path, "a", 0, 10));
  assert.deepEqual([damage.name, damage.kind], ["DamageError", "blob"]);

  const otherChunks = lying(async (url, response) => {
    if (url.pathname !== "/blob/chunks") return response;
    const bytes = new Uint8Array(await response.arrayBuffer());
    bytes[5] ^= 1;
    return new Response(bytes);
  });
  await otherChunks.engine.open(target);
  assert.equal((await faultIn(otherChunks.engine.read(path, "a", 0, 10))).name, "MissingError");
});

test("engine: a stored byte that changed is found, with the file it is in", async () => {
  await using world = await World.open();
  const path = await world.publish("kept", { docs: { note: "kept well", other: "fine" } });
  const tab = world.tab();
  await open(tab, world, path, { everything: true });
  assert.equal((await tab.engine.truth(path)).narHash.verdict, "true");
  const damagedKey = await keyOf(tab, "kept well");
  await tab.home.bytes.put(damagedKey, fromText("kept ill."));
  const truth = await tab.engine.verify(path);
  assert.deepEqual(truth.damage.map(({ file, fault }) => [file, fault.name]), [["docs/note", "DamageError"]]);
  assert.equal(truth.narHash.verdict, "unverified");
});

async function keyOf(tab: Tab, contents: string): Promise<string> {
  for await (const key of tab.home.bytes.list("chunk/")) {
    if (new TextDecoder().decode(await tab.home.bytes.get(key)) === contents) return key;
  }
  throw new Error("no such contents");
}

test("engine: an open that is cancelled goes on where it was", async () => {
  await using world = await World.open();
  const tree = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`f${i}`, noise(500_000, i + 50)]));
  const path = await world.publish("many", tree);
  let requests = 0;
  const tab: Tab = new Tab((request) => {
    if (new URL(request.url).pathname === "/blob/read" && ++requests === 4) tab.engine.cancel("job 1");
    return world.site.app.fetch(request);
  });
  const target = { type: "path", path, cache: world.address } as const;
  const fault = await faultIn(tab.engine.open(target, { everything: true }, "job 1"));
  assert.equal(fault.name, "AbortError");
  assert.deepEqual((await tab.engine.unfinished()).map(({ path, cache }) => [path, cache]), [[
    path,
    world.address,
  ]]);
  const before = tab.received;
  await tab.engine.open(target, { everything: true });
  assert.ok(tab.received - before < 13_000_000, `${tab.received - before} bytes the second time`);
  assert.deepEqual(await tab.engine.unfinished(), []);
  assert.equal((await tab.engine.stored())[0].state, "whole");
});

for (const compression of ["none", "xz", "zstd", "gzip", "bzip2", "br"]) {
  test(`engine: a path from another cache, ${compression}, and one that was tampered with`, async () => {
    const nar = await treeNar({
      "a.txt": "aaaa\n".repeat(1000),
      bin: noise(200_000),
      link: { link: "a.txt" },
    });
    const file = await narFile(nar, compression);
    const base = pathOf("elsewhere");
    const text = narInfo(base, file);
    const cache = (bytes: Uint8Array<ArrayBuffer>) =>
      new Tab((request) => {
        const { pathname } = new URL(request.url);
        if (pathname === `/${base.slice(0, 32)}.narinfo`) return new Response(text);
        return pathname === `/${file.url}` ? new Response(bytes) : new Response(null, { status: 404 });
      });
    const tab = cache(file.bytes);
    const target = { type: "path", path: base, cache: "https://cache.test" } as const;
    const { paths } = await tab.engine.open(target);
    assert.equal(paths[0].state, "whole");
    assert.equal(paths[0].cache, "https://cache.test");
    const saved = await tab.engine.save({ type: "nar", path: base });
    assert.deepEqual(new Uint8Array(await saved.blob!.arrayBuffer()), nar);
    assert.equal(saved.name, `${base}.nar`);

    const bytes = file.bytes.slice();
    bytes[bytes.length >> 1] ^= 0x10;
    const tampered = cache(bytes);
    const fault = await faultIn(tampered.engine.open(target));
    assert.ok(["FormatError", "ClaimError"].includes(fault.name), `${fault.name}: ${fault.message}`);
    assert.deepEqual(await tampered.engine.stored(), []);
  });
}

test("engine: a NAR that breaks off goes on from the bytes that came", async () => {
  const nar = await treeNar({ data: noise(9 * MIB, 77) });
  const file = await narFile(nar);
  const base = pathOf("breaking");
  let breaks = true;
  const ranges: (string | null)[] = [];
  const tab = new Tab((request) => {
    const { pathname } = new URL(request.url);
    if (pathname.endsWith(".narinfo")) return new Response(narInfo(base, file));
    if (pathname !== `/${file.url}`) return new Response(null, { status: 404 });
    const range = request.headers.get("range");
    ranges.push(range);
    const start = Number(/\d+/.exec(range ?? "0")![0]);
    let at = start;
    const end = breaks ? 6 * MIB : nar.length;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at < end) controller.enqueue(nar.slice(at, at = Math.min(end, at + 65_536)));
        else if (breaks) controller.error(new TypeError("the network went away"));
        else controller.close();
      },
    });
    const headers = { "content-range": `bytes ${start}-${nar.length - 1}/${nar.length}` };
    return range ? new Response(body, { status: 206, headers }) : new Response(body);
  });
  const target = { type: "path", path: base, cache: "https://cache.test" } as const;
  assert.equal((await faultIn(tab.engine.open(target))).name, "RemoteError");
  breaks = false;
  assert.equal((await tab.engine.open(target)).paths[0].state, "whole");
  assert.equal(ranges[0], null);
  assert.match(ranges[1]!, /^bytes=[456]\d{6}-$/);
  assert.deepEqual(
    await Array.fromAsync(tab.home.names.list("tab/arriving/")),
    [],
    "nothing is left of the pieces",
  );
});

test("engine: a path is named in all the ways people have it", async () => {
  await using world = await World.open();
  const path = await world.publish("named", { bin: { file: "x" } });
  const base = path.slice("/nix/store/".length);
  const names = [
    path,
    `${path}/bin/file`,
    `  ${base}\n`,
    base.slice(0, 32),
    `${world.address}/${base.slice(0, 32)}.narinfo`,
    `${world.address}/nix/store/${base}/bin/file?x#y`,
  ];
  for (const name of names) {
    const tab = world.tab();
    const { paths } = await tab.engine.open({ type: "path", path: name });
    assert.deepEqual(paths.map(({ path, cache }) => [path, cache]), [[path, world.address]], name);
    assert.equal((await tab.engine.stat(base, "bin/file"))?.item.size, 1);
  }
  for (const name of ["", "hello", "/nix/store/short-x", "https://cache.example/x", "/etc/passwd"]) {
    assert.equal(
      (await faultIn(world.tab().engine.open({ type: "path", path: name }))).name,
      "FormatError",
      name,
    );
  }
});

test("engine: entries of a folder come some at a time, and not at all once that is cancelled", async () => {
  await using world = await World.open();
  const { engine } = world.tab();
  const entry = (path: string) => ({ path, file: new File(["x"], path) });
  engine.addEntries("a", [entry("one"), entry("two")]);
  engine.addEntries("a", [entry("deep/three")]);
  const folder = { type: "folder", name: "folder", entries: [entry("four")] } as const;
  const { paths } = await engine.open(folder, {}, "a");
  const { items } = await engine.list(paths[0].path, "");
  assert.deepEqual(items.map(({ name }) => name), ["deep", "four", "one", "two"]);
  const { paths: again } = await engine.open(folder, {}, "a");
  assert.equal((await engine.list(again[0].path, "")).total, 1, "they are of one call");

  engine.addEntries("b", [entry("one")]);
  engine.cancel("b");
  assert.throws(() => engine.addEntries("b", [entry("two")]), { name: "AbortError" });
  engine.addEntries("c", [entry("one")]);
  engine.cancel("c");
  await assert.rejects(engine.open(folder, {}, "c"), { name: "AbortError" });
});
