// What a tab lacks comes as the server has it compressed: fewer bytes move, and what is kept is still what its digest says.
import assert from "node:assert/strict";
import { type Bytes, concat, equals, fromText } from "../../../src/bytes/bytes.ts";
import { iterate } from "../../../src/bytes/streams.ts";
import type { Progress } from "../../../web/engine/engine.ts";
import { faultOf } from "../../../web/engine/fault.ts";
import { lazyFrames } from "../../../web/engine/lazy_codecs.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { noise, Site } from "../../server/_site.ts";
import { open, Tab, World } from "./_tab.ts";

const test = testNeeding(permissions);

const WORDS = Array.from({ length: 90_000 }, (_, i) => `line ${i} of a text, all much alike\n`).join("");
const TREE = {
  "words.txt": WORDS,
  "noise.bin": noise(700_000, 4),
  "mixed.bin": concat([fromText(WORDS.slice(0, 900_000)), noise(300_000, 5)]),
  small: Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`file${i}`, WORDS.slice(i, i + 2000)])),
  middle: Object.fromEntries(
    Array.from({ length: 20 }, (_, i) => [`file${i}`, WORDS.slice(i * 40, i * 40 + 30_000)]),
  ),
};
/** Bytes of all its files. */
const PLAIN = WORDS.length + 700_000 + 1_200_000 + 50 * 2000 + 20 * 30_000;

/** A server whose store is compressed. */
async function compressedWorld(): Promise<World & AsyncDisposable> {
  const folder = await Deno.makeTempDir();
  const world = new World(await Site.open(folder, { frames: { level: 1, workers: 0 } }));
  const close = world[Symbol.asyncDispose].bind(world);
  world[Symbol.asyncDispose] = async () => {
    await close();
    await Deno.remove(folder, { recursive: true });
  };
  return world;
}

test("engine: opening moves chunks as the server has them compressed", async () => {
  await using world = await compressedWorld();
  const path = await world.publish("words", TREE);
  const plain = world.tab();
  await open(plain, world, path, { everything: true });
  const tab = world.tab(undefined, { openFrames: lazyFrames() });
  let last: Progress | undefined;
  const opened = await open(tab, world, path, { everything: true }, (progress) => last = progress);
  assert.equal(opened.state, "whole");
  // Some chunks of two files are the same.
  assert.ok(plain.received > PLAIN - 900_000, `${plain.received} bytes without frames`);
  assert.ok(
    tab.received < plain.received * 0.5,
    `${tab.received} bytes, and ${plain.received} without frames`,
  );
  // What the server says of itself is counted for nobody.
  assert.ok(Math.abs(tab.received + tab.sent - last!.moved) < 500, `the page shows ${last!.moved} bytes`);
  assert.ok(last!.done >= PLAIN - 900_000, `${last!.done} bytes of contents`);
  const truth = await tab.engine.verify(path);
  assert.equal(truth.narHash.verdict, "true");
  assert.deepEqual(truth.damage, []);
  const read = await tab.engine.read(path, "words.txt", 1_000_000, 1_000_100);
  assert.ok(equals(read as Bytes, fromText(WORDS.slice(1_000_000, 1_000_100))));
});

test("engine: a server that knows no frames, or has none, is asked for them and answers plain", async () => {
  await using world = await World.open();
  const path = await world.publish("words", TREE);
  const old = new Tab(
    (request) => world.site.app.fetch(new Request(request.url.replace("?zstd", ""), request)),
    undefined,
    {
      origin: world.address,
      openFrames: () => Promise.reject(new Error("nothing came as a frame")),
    },
  );
  assert.equal((await open(old, world, path, { everything: true })).state, "whole");
  const tab = world.tab(undefined, {
    openFrames: () => Promise.reject(new Error("nothing came as a frame")),
  });
  assert.equal((await open(tab, world, path, { everything: true })).state, "whole");
});

/** A server between that changes the body of every answer that has frames. */
function lying(world: World, change: (body: Bytes) => Bytes): Tab {
  return new Tab(
    async (request) => {
      const { pathname, search } = new URL(request.url);
      const answer = await world.site.app.fetch(request);
      if (pathname !== "/blob/read" || search !== "?zstd") return answer;
      return new Response(change(concat(await Array.fromAsync(iterate(answer.body!)))), {
        headers: answer.headers,
      });
    },
    undefined,
    { origin: world.address, openFrames: lazyFrames() },
  );
}

test("engine: frames that are damaged, cut off, or others are noticed, and nothing of them is kept", async () => {
  await using world = await compressedWorld();
  const path = await world.publish("words", { "words.txt": WORDS.slice(0, 100_000) });
  const lies: [string, (body: Bytes) => Bytes][] = [
    ["damage", (body) => (body[body.length >> 1] ^= 1, body)],
    [
      "a content size of 2 GiB",
      (body) => (body.set([0xa0, 0xff, 0xff, 0xff, 0x7f], body.indexOf(0xfd) + 1), body),
    ],
    ["another frame", () => Uint8Array.of(11, 3, 0x28, 0xb5, 0x2f, 0xfd, 0x20, 1, 9, 0, 0, 97)],
    ["none", () => Uint8Array.of(2, 3, 0)],
  ];
  for (const [what, change] of lies) {
    const tab = lying(world, change);
    await assert.rejects(open(tab, world, path, { everything: true }), (error) => {
      assert.equal(faultOf(error).name, "DamageError", `${what}: ${error}`);
      return true;
    });
    for await (const key of tab.home.bytes.list("chunk/")) assert.fail(`${what}: ${key} was kept`);
  }
  const cut = lying(world, (body) => body.subarray(0, body.length - 100));
  await assert.rejects(open(cut, world, path, { everything: true }), /ends within/);
  const honest = lying(world, (body) => body);
  assert.equal((await open(honest, world, path, { everything: true })).state, "whole");
});
