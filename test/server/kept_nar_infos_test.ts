// Narinfos that a server keeps because it is alone with its store: the same answers, and never one from before a change.
import assert from "node:assert/strict";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { fromText, toText } from "../../src/bytes/bytes.ts";
import { createApp, createServer } from "../../src/server/app.ts";
import { KeptNarInfos } from "../../src/server/kept_nar_infos.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import type { PathInfoService } from "../../src/store/path_info_service.ts";
import { servicesOver } from "../../src/store/services.ts";
import { assertTaken, fileNar, narFile, narInfo, narInfoName, pathOf } from "./_site.ts";

const PATH = pathOf("kept");
const HASH = PATH.slice(0, 32);
const SIGNATURES = [1, 2].map((byte) => `cache-${byte}:${new Uint8Array(64).fill(byte).toBase64()}`);

/** A server with a path in its store, and how often that was looked up. */
async function openServer(alone: boolean | undefined) {
  const services = servicesOver({ names: openMemory(), bytes: openMemory() });
  let lookups = 0;
  const pathInfos: PathInfoService = {
    get: (hashPart) => (lookups++, services.pathInfos.get(hashPart)),
    put: (info) => services.pathInfos.put(info),
    list: () => services.pathInfos.list(),
    delete: (hashPart) => services.pathInfos.delete(hashPart),
  };
  const options = { ...services, pathInfos, codec: openCodecs(), hashes: nativeHashes, alone };
  const server = createServer(options);
  const send = async (method: string, path: string, body?: BodyInit, headers?: HeadersInit) =>
    await server.fetch(new Request(`http://firn.test/${path}`, { method, body, headers }));
  const file = await narFile(await fileNar("contents"));
  await assertTaken(await send("PUT", file.url, file.bytes));
  const putNarInfo = async (signatures: readonly string[]) =>
    await assertTaken(await send("PUT", narInfoName(PATH), narInfo(PATH, file, { Sig: signatures })));
  await putNarInfo([SIGNATURES[0]]);
  lookups = 0;
  return { services, options, send, putNarInfo, looked: () => lookups };
}

function signaturesIn(text: string): string[] {
  return [...text.matchAll(/^Sig: (.*)$/gm)].map(([, signature]) => signature);
}

Deno.test("kept narinfos: asked for again, the answer is the same to the byte, and nothing is looked up", async () => {
  const { send, options, looked } = await openServer(true);
  const plain = createApp({ ...options, alone: false });
  for (const headers of [undefined, { origin: "https://elsewhere.example" }]) {
    const want = await plain.fetch(new Request(`http://firn.test/${narInfoName(PATH)}`, { headers }));
    const text = await want.text();
    for (let i = 0; i < 3; i++) {
      const got = await send("GET", narInfoName(PATH), undefined, headers);
      assert.equal(await got.text(), text);
      assert.equal(got.status, want.status);
      assert.deepEqual(Object.fromEntries(got.headers), Object.fromEntries(want.headers));
    }
  }
  assert.equal(looked(), 2 + 1, "one look-up, besides those of the server that keeps none");
});

Deno.test("kept narinfos: HEAD, queries and other folders are answered as without", async () => {
  const { send } = await openServer(true);
  await (await send("GET", narInfoName(PATH))).body?.cancel();
  const head = await send("HEAD", narInfoName(PATH));
  assert.deepEqual([head.status, await head.text()], [200, ""]);
  const query = await send("GET", narInfoName(PATH) + "?x=/");
  assert.equal((await query.text()).startsWith(`StorePath: /nix/store/${PATH}\n`), true);
  for (
    const path of [
      `nar/${narInfoName(PATH)}`,
      `x${narInfoName(PATH)}`,
      `${pathOf("none").slice(0, 32)}.narinfo`,
    ]
  ) {
    const answer = await send("GET", path);
    assert.equal(answer.status, 404, path);
    await answer.body?.cancel();
  }
});

Deno.test("kept narinfos: a signature that is added is served at once", async () => {
  const { send, putNarInfo } = await openServer(true);
  const served = async () => signaturesIn(await (await send("GET", narInfoName(PATH))).text());
  assert.deepEqual(await served(), [SIGNATURES[0]]);
  assert.deepEqual(await served(), [SIGNATURES[0]]);
  await putNarInfo([SIGNATURES[1]]);
  assert.deepEqual(await served(), SIGNATURES);
  assert.deepEqual(await served(), SIGNATURES);
});

Deno.test("kept narinfos: a server that is not alone keeps none, and that is the default", async () => {
  for (const alone of [undefined, false]) {
    const { send, services } = await openServer(alone);
    assert.equal((await send("GET", narInfoName(PATH))).status, 200);
    await services.pathInfos.delete(HASH);
    assert.equal((await send("GET", narInfoName(PATH))).status, 404);
  }
});

Deno.test("kept narinfos: what was read before a change is not kept after it", async () => {
  const kept = new KeptNarInfos();
  const info = { storePath: { hashPart: HASH } } as unknown as PathInfo;
  const changes: ((pathInfos: PathInfoService) => Promise<unknown>)[] = [
    (pathInfos) => pathInfos.put(info),
    (pathInfos) => pathInfos.delete(HASH),
  ];
  for (const change of changes) {
    for (const fails of [false, true]) {
      const done = fails ? () => Promise.reject(new Error("no luck")) : () => Promise.resolve(info);
      const pathInfos = kept.watch({ put: done, delete: done } as unknown as PathInfoService);
      await kept.render(HASH, () => Promise.resolve({ text: fromText("old"), isFinal: true }));
      assert.equal(toText(kept.get(HASH)!), "old");
      const reading = Promise.withResolvers<void>();
      const rendered = kept.render(
        HASH,
        () => reading.promise.then(() => ({ text: fromText("old"), isFinal: true })),
      );
      await change(pathInfos).catch(() => {});
      assert.equal(kept.get(HASH), undefined);
      reading.resolve();
      assert.equal(toText((await rendered)!), "old");
      assert.equal(kept.get(HASH), undefined);
    }
  }
});

Deno.test("kept narinfos: of many, those used last are kept", async () => {
  const kept = new KeptNarInfos();
  const text = fromText("x".repeat(64 * 1024));
  for (let i = 0; i < 1000; i++) {
    await kept.render(`path ${i}`, () => Promise.resolve({ text, isFinal: true }));
    assert.equal(kept.get("path 0"), text);
  }
  const count = Array.from({ length: 1000 }, (_, i) => kept.get(`path ${i}`)).filter(Boolean).length;
  assert.ok(count > 100 && count * text.length <= 32 * 1024 * 1024, `${count} are kept`);
});

Deno.test("kept narinfos: one that is not final is not kept, and none after all are cleared", async () => {
  const kept = new KeptNarInfos();
  const render = (isFinal: boolean) =>
    kept.render(HASH, () => Promise.resolve({ text: fromText("text"), isFinal }));
  assert.equal(toText((await render(false))!), "text");
  assert.equal(kept.get(HASH), undefined);
  await render(true);
  assert.equal(toText(kept.get(HASH)!), "text");
  kept.clear();
  assert.equal(kept.get(HASH), undefined);
});
