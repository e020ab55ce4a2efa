/** A store in Deno KV as the command line opens it: how much it asks of the database, and what it refuses. */
import assert from "node:assert/strict";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import type { KvOperation } from "../../src/adapters/deno_kv/watched_kv.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { openHome, openStopped } from "../../src/cli/home.ts";
import { parseKvAddress } from "../../src/cli/kv_address.ts";
import { readOptions } from "../../src/cli/serve_options.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { StoreBusyError } from "../../src/errors.ts";
import { createApp } from "../../src/server/app.ts";
import { servicesOver } from "../../src/store/services.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { permissions, testNeeding } from "../needs.ts";
import { assertTaken, fileNar, narFile, narInfo, narInfoName, pathOf } from "../server/_site.ts";

const test = testNeeding(permissions);
const quiet = () => {};

Deno.test("kv addresses: the platform's own, a file, a server", () => {
  assert.deepEqual(parseKvAddress("kv:"), { path: undefined, remote: false });
  assert.deepEqual(parseKvAddress("kv:/srv/firn.kv"), { path: "/srv/firn.kv", remote: false });
  assert.deepEqual(parseKvAddress("kv:names.kv"), { path: "names.kv", remote: false });
  assert.deepEqual(parseKvAddress("kv+http://127.0.0.1:4512"), {
    path: "http://127.0.0.1:4512",
    remote: true,
  });
  assert.deepEqual(parseKvAddress("kv+https://kv.example/a/b"), {
    path: "https://kv.example/a/b",
    remote: true,
  });
  for (
    const wrong of [
      ...["kv+http:", "kv+http://", "kv+ftp://host", "kv:http://host", "kv+https://", "kv+"],
      "kv+https://user:secret@host",
    ]
  ) {
    assert.throws(() => parseKvAddress(wrong), UsageError, wrong);
  }
});

Deno.test("kv options: packs are elsewhere for a store in Deno KV only, and a time-out is in seconds", () => {
  const read = (args: string[], env: Record<string, string> = {}) => readOptions(args, (name) => env[name])!;
  assert.equal(read(["--store", "kv:", "--packs", "packs"]).packs, "packs");
  assert.equal(read([], { FIRN_STORE: "kv+https://host", FIRN_PACKS: "/srv/packs" }).packs, "/srv/packs");
  assert.throws(() => read(["--packs", "packs"]), /Cannot use --packs with the store \.\/firn-store/);
  assert.equal(read([]).kvTimeoutMs, 30_000);
  assert.equal(read(["--kv-timeout", "5"]).kvTimeoutMs, 5000);
  for (const wrong of ["0", "-1", "1.5", "x", ""]) {
    assert.throws(() => read([`--kv-timeout=${wrong}`]), UsageError, wrong);
  }
});

test("a store in Deno KV asks little of it: for an upload, for a narinfo, for a NAR", async () => {
  const asked: KvOperation[] = [];
  await using home = await openHome("kv::memory:", quiet, {
    onOperation: (operation) => asked.push(operation),
  });
  assert.equal(home.alone, false);
  const app = createApp({ ...servicesOver(home), codec: openCodecs(), hashes: nativeHashes });
  const count = () => asked.splice(0).length;
  const send = async (method: string, path: string, body?: Uint8Array<ArrayBuffer> | string) => {
    const answer = await app.fetch(new Request(`http://firn.test/${path}`, { method, body }));
    return { status: answer.status, bytes: new Uint8Array(await answer.arrayBuffer()) };
  };
  const path = pathOf("program");
  const file = await narFile(await fileNar(pattern(5000)));
  count();
  assert.equal((await send("GET", narInfoName(path))).status, 404);
  assert.equal(count(), 1);
  await assertTaken(
    await app.fetch(new Request(`http://firn.test/${file.url}`, { method: "PUT", body: file.bytes })),
  );
  // The state of collections twice, whether the chunk is there; the pack with its entry, the two records.
  assert.equal(count(), 5);
  assert.equal((await send("PUT", narInfoName(path), narInfo(path, file))).status, 200);
  // The state of collections twice, NAR and file and references at once, the path; the path.
  assert.equal(count(), 5);
  const text = new TextDecoder().decode((await send("GET", narInfoName(path))).bytes);
  assert.equal(count(), 1);
  const url = /^URL: (.*)$/m.exec(text)![1];
  sameBytes((await send("GET", url)).bytes, file.nar);
  assert.ok(count() <= 3, "where it lies, its pack, and whether anything was ever deleted");
  sameBytes((await send("GET", url)).bytes, file.nar);
  assert.equal(count(), 0);
  assert.ok(asked.every(({ ms, ok }) => ms >= 0 && ok));
});

test("a store in Deno KV is not one to collect garbage in, nor one with its packs moved", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const address = `kv:${folder}/store.kv`;
    await (await openHome(address, quiet, { packs: `${folder}/packs` }))[Symbol.asyncDispose]();
    await assert.rejects(openHome(address, quiet), /say where with --packs/);
    await assert.rejects(openStopped(address, quiet), /servers may have it open/);
    await assert.rejects(openHome(folder, quiet, { packs: `${folder}/packs` }), UsageError);
    await assert.rejects(openHome(address, quiet, { packs: "ftp://host" }), /Cannot keep packs in ftp/);
    {
      await using again = await openHome(address, quiet, { packs: `${folder}/packs` });
      await again.bytes.put("chunk/a", pattern(100_000));
      await assert.rejects(openHome(address, quiet, { packs: `${folder}/packs` }), StoreBusyError);
    }
    await using later = await openHome(address, quiet, { packs: `${folder}/packs` });
    sameBytes(await later.bytes.get("chunk/a"), pattern(100_000));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
