// NARs that are served as they were pressed: what narinfos say of them, the file and its ranges, and what must not happen.
import assert from "node:assert/strict";
import { type Bytes, fromText } from "../../src/bytes/bytes.ts";
import { encodeEntry } from "../../src/castore/messages.ts";
import { toBase64Url } from "../../src/bytes/base64.ts";
import type { BlobService } from "../../src/castore/blob_service.ts";
import { pressedKey } from "../../src/castore/layout.ts";
import type { Node } from "../../src/castore/node.ts";
import type { ServerOptions } from "../../src/server/app.ts";
import { encodePathInfo } from "../../src/store/messages.ts";
import { readPressed } from "../../src/store/press_nar.ts";
import { pressedName, type PressedNar } from "../../src/store/pressed_nar.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { permissions, testNeeding, zstd } from "../needs.ts";
import { flip } from "./_stored_bytes.ts";
import {
  assertRefused,
  assertTaken,
  fileNar,
  narFile,
  narInfo,
  narInfoName,
  nix32,
  noise,
  pathOf,
  sha256,
  Site,
  treeNar,
} from "./_site.ts";

const test = testNeeding(permissions);
const FRAMES = { level: 1, workers: 0 };
const PATH = pathOf("pressed");
const TEXT = "let x = y in z; ".repeat(700);

/** A tree with runs, larger files, and one that is long. */
function tree(): Promise<Bytes> {
  const files = Array.from({ length: 90 }, (_, i) => [`f${i}`, TEXT.slice(0, 50 + 37 * i) + i]);
  const more = { large: TEXT.slice(0, 9000), long: noise(600_000, 3), link: { link: "f1" } };
  return treeNar({ ...Object.fromEntries(files), ...more });
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "firn-pressed-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const open = (folder: string, options: Partial<ServerOptions> = {}) =>
  Site.open(folder, { frames: FRAMES, narCompression: "zstd", alone: true, ...options });

/** Fields of the narinfo that a path has. */
async function fieldsOf(site: Site, path = PATH): Promise<Record<string, string>> {
  const text = await (await site.get(narInfoName(path))).text();
  return Object.fromEntries(text.trimEnd().split("\n").map((line) => line.split(/: ?(.*)/s).slice(0, 2)));
}

async function unzstd(bytes: Bytes): Promise<Bytes> {
  const child = new Deno.Command("zstd", { args: ["-dc"], stdin: "piped", stdout: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  const [{ stdout, success }] = await Promise.all([
    child.output(),
    writer.write(bytes).then(() => writer.close()),
  ]);
  assert.ok(success);
  return new Uint8Array(stdout);
}

/** Blobs whose frames are given out when they may be. */
function gated(blobs: BlobService, gate: Promise<void>): BlobService {
  return {
    has: (digest) => blobs.has(digest),
    open: (digest, options) => blobs.open(digest, options),
    put: (source) => blobs.put(source),
    chunks: (digest) => blobs.chunks(digest),
    outboard: (digest) => blobs.outboard(digest),
    getAll: (digests) => blobs.getAll!(digests),
    getStored: async (digests) => {
      await gate;
      return await blobs.getStored!(digests);
    },
  };
}

testNeeding(zstd)(
  "pressed: what is published is offered in zstd, and the file is what the narinfo says",
  async () => {
    await inFolder(async (folder) => {
      const nar = await tree();
      let before: { fields: Record<string, string>; file: Bytes; etag: string };
      {
        await using site = await open(folder);
        await site.publish(PATH, await narFile(nar));
        const fields = await fieldsOf(site);
        assert.equal(fields.Compression, "zstd");
        assert.match(fields.URL, /^nar\/snix-castore\/[\w-]+\.nar\.zst\?narsize=\d+$/);
        assert.equal(fields.NarHash, `sha256:${nix32(sha256(nar))}`);
        assert.equal(fields.NarSize, String(nar.length));
        const answer = await site.get(fields.URL);
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get("content-length"), fields.FileSize);
        assert.equal(answer.headers.get("content-encoding"), null);
        const file = await answer.bytes();
        assert.equal(fields.FileHash, `sha256:${nix32(sha256(file))}`);
        assert.ok(file.length < nar.length);
        sameBytes(await unzstd(file), nar);
        const plain = await site.get(fields.URL.replace(".nar.zst", ""));
        assert.equal(plain.headers.get("content-length"), String(nar.length));
        sameBytes(await plain.bytes(), nar);
        before = { fields, file, etag: answer.headers.get("etag")! };
      }
      await using site = await open(folder); // started again
      assert.deepEqual(await fieldsOf(site), before.fields);
      const again = await site.get(before.fields.URL);
      assert.equal(again.headers.get("etag"), before.etag);
      sameBytes(await again.bytes(), before.file);
    });
  },
);

test("pressed: conditions, HEAD and ranges of the file", async () => {
  await inFolder(async (folder) => {
    await using site = await open(folder);
    await site.publish(PATH, await narFile(await tree()));
    const { URL: url } = await fieldsOf(site);
    const whole = await site.get(url);
    const etag = whole.headers.get("etag")!;
    const file = await whole.bytes();
    const info = (await site.services.pathInfos.get(PATH.slice(0, 32)))!;
    const pressed = (await readPressed(site.home.bytes, info.node))!;
    assert.ok(pressed.count > 5);
    const size = file.length;
    for (let row = 0; row < pressed.count; row++) {
      for (const start of [-1, 0, 1].map((by) => pressed.offset(row) + by).filter((at) => at >= 0)) {
        const last = Math.min(start + 5000, size - 1);
        const answer = await site.get(url, { range: `bytes=${start}-${last}` });
        assert.equal(answer.status, 206);
        assert.equal(answer.headers.get("content-range"), `bytes ${start}-${last}/${size}`);
        assert.equal(answer.headers.get("content-length"), String(last + 1 - start));
        sameBytes(await answer.bytes(), file.slice(start, last + 1));
      }
    }
    sameBytes(await (await site.get(url, { range: "bytes=-7" })).bytes(), file.slice(-7));
    const resumed = await site.get(url, { range: "bytes=1000-", "if-range": etag });
    assert.equal(resumed.status, 206);
    sameBytes(await resumed.bytes(), file.slice(1000));
    const other = await site.get(url, { range: "bytes=1000-", "if-range": '"other"' });
    assert.equal(other.status, 200);
    sameBytes(await other.bytes(), file);
    assert.equal((await site.get(url, { "if-none-match": etag })).status, 304);
    await assertRefused(await site.get(url, { range: `bytes=${size}-` }), 416, /the file has \d+ bytes/);
    const head = await site.send("HEAD", url);
    assert.deepEqual([head.status, head.headers.get("content-length"), await head.text()], [
      200,
      String(size),
      "",
    ]);
    await assertRefused(await site.get(url.replace(/=\d+$/, "=5")), 400, /narsize is 5/);
    await assertRefused(await site.get(url.replace("castore/C", "castore/D")), 400, /./);
  });
});

test("pressed: instances that share a store serve the same file", async () => {
  await inFolder(async (folder) => {
    await using one = await open(folder, { alone: false });
    await using other = await Site.over(one.home, { narCompression: "zstd" });
    await one.publish(PATH, await narFile(await tree()));
    const [fields, others] = await Promise.all([fieldsOf(one), fieldsOf(other)]);
    assert.equal(fields.Compression, "zstd");
    assert.deepEqual(others, fields, other.log.join("\n"));
    const files = await Promise.all([one, other].map(async (site) => await site.get(fields.URL)));
    assert.equal(files[0].headers.get("etag"), files[1].headers.get("etag"));
    sameBytes(await files[1].bytes(), await files[0].bytes());
  });
});

test("pressed: a server that offers plain NARs serves the file too, pressed when it is asked for", async () => {
  await inFolder(async (folder) => {
    const nar = await tree();
    await using site = await open(folder, { narCompression: "none" });
    await site.publish(PATH, await narFile(nar));
    const fields = await fieldsOf(site);
    assert.equal(fields.Compression, "none");
    assert.deepEqual(
      await Array.fromAsync(site.home.bytes.list("pressed/")),
      [],
      "nothing is pressed unasked",
    );
    const url = fields.URL.replace("?", ".nar.zst?");
    const head = await site.send("HEAD", url);
    const file = await (await site.get(url)).bytes();
    assert.equal(head.headers.get("content-length"), String(file.length));
    assert.ok(file.length < nar.length);
    assert.equal((await fieldsOf(site)).Compression, "none");
  });
});

testNeeding(zstd)("pressed: a store written before is pressed when its narinfos are asked for", async () => {
  await inFolder(async (folder) => {
    const nar = await tree();
    {
      await using site = await Site.open(folder); // without frames
      await site.publish(PATH, await narFile(nar));
      await site.publish(pathOf("other"), await narFile(await fileNar(noise(1900, 4))));
    }
    await using site = await open(folder);
    // Its chunks are plain, and stay so: only runs are frames. They are shorter here by more than raw frames are longer.
    const fields = await fieldsOf(site);
    assert.equal(fields.Compression, "zstd");
    const file = await (await site.get(fields.URL)).bytes();
    assert.ok(file.length > 600_000 && file.length < nar.length);
    sameBytes(await unzstd(file), nar);
    // What frames do not make shorter is offered as it is.
    const other = await fieldsOf(site, pathOf("other"));
    assert.equal(other.Compression, "none");
    sameBytes(
      await unzstd(await (await site.get(other.URL.replace("?", ".nar.zst?"))).bytes()),
      await (await site.get(other.URL)).bytes(),
    );
    const more = pathOf("more");
    await site.publish(more, await narFile(await treeNar({ b: TEXT + "!", c: TEXT.slice(0, 9000) })));
    assert.equal((await fieldsOf(site, more)).Compression, "zstd");
  });
});

test("pressed: frames that are there without records are pressed when narinfos are asked for", async () => {
  await inFolder(async (folder) => {
    {
      await using site = await open(folder, { narCompression: "none" });
      await site.publish(PATH, await narFile(await tree()));
    }
    await using site = await open(folder);
    const fields = await fieldsOf(site);
    assert.equal(fields.Compression, "zstd");
    assert.equal(fields.FileHash, `sha256:${nix32(sha256(await (await site.get(fields.URL)).bytes()))}`);
  });
});

test("pressed: a store that keeps no frames offers plain NARs", async () => {
  await using site = await Site.open("memory:", { narCompression: "zstd" });
  await site.publish(PATH, await narFile(await tree()));
  const { Compression, URL } = await fieldsOf(site);
  assert.equal(Compression, "none");
  await assertRefused(await site.get(URL.replace("?", ".nar.zst?")), 404, /keeps no frames/);
});

test("pressed: a narinfo waits for what was just published; who only asks for its head does not", async () => {
  await inFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    await using plain = await Site.open(folder, { frames: FRAMES });
    await using site = await Site.over(plain.home, {
      blobs: gated(plain.services.blobs, gate.promise),
      narCompression: "zstd",
      alone: true,
    });
    await site.publish(PATH, await narFile(await tree()));
    const head = await site.send("HEAD", narInfoName(PATH));
    assert.equal(head.status, 200);
    assert.equal(site.app.pressing, 1);
    let answered = false;
    const waiting = fieldsOf(site).finally(() => answered = true);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(answered, false);
    gate.resolve();
    assert.equal((await waiting).Compression, "zstd");
    assert.equal(site.app.pressing, 0);
    const { Compression, FileSize, URL } = await fieldsOf(site);
    assert.equal(Compression, "zstd", "what was answered before is not kept");
    assert.equal((await site.get(URL)).headers.get("content-length"), FileSize);
  });
});

test("pressed: ended in the middle, a server leaves nothing half done, and the next one does it", async () => {
  await inFolder(async (folder) => {
    const gate = Promise.withResolvers<void>();
    await using plain = await Site.open(folder, { frames: FRAMES });
    {
      await using site = await Site.over(plain.home, {
        blobs: gated(plain.services.blobs, gate.promise),
        narCompression: "zstd",
      });
      await site.publish(PATH, await narFile(await tree()));
      await new Promise((resolve) => setTimeout(resolve, 50));
      let ended = false;
      const ending = site.app[Symbol.asyncDispose]().then(() => ended = true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      assert.equal(ended, false, "it waits for what is under way");
      gate.resolve();
      await ending;
      assert.deepEqual(site.log.filter((line) => /cannot press/.test(line)), []);
    }
    assert.deepEqual(await Array.fromAsync(plain.home.bytes.list("pressed/")), []);
    await using site = await Site.over(plain.home, { narCompression: "zstd" });
    assert.equal((await fieldsOf(site)).Compression, "zstd");
  });
});

test("pressed: what cannot be pressed stays plain, and is told once", async () => {
  await inFolder(async (folder) => {
    await using plain = await Site.open(folder, { frames: FRAMES });
    const failing = { ...gated(plain.services.blobs, Promise.resolve()) };
    failing.getStored = () => Promise.reject(new Error("no frames today"));
    await using site = await Site.over(plain.home, { blobs: failing, narCompression: "zstd", alone: true });
    await site.publish(PATH, await narFile(await tree()));
    for (let i = 0; i < 3; i++) assert.equal((await fieldsOf(site)).Compression, "none");
    const told = site.log.filter((line) => /cannot press/.test(line));
    assert.equal(told.length, 1, told.join("\n"));
    assert.match(told[0], /^cannot press the NAR of \/nix\/store\/\S+-pressed, .*: no frames today$/);
  });
});

test("pressed: the narinfo that was served is taken back, and others of that file are not", async () => {
  await inFolder(async (folder) => {
    const nar = await tree();
    await using site = await open(folder, { narCompression: "none" });
    await site.publish(PATH, await narFile(nar));
    const url = (await fieldsOf(site)).URL.replace("?", ".nar.zst?");
    const file = await (await site.get(url)).bytes();
    for await (const key of site.home.bytes.list("pressed/")) await site.home.bytes.delete(key);
    const copy = pathOf("copy");
    const put = (changes: Record<string, string | null>) =>
      site.put(
        narInfoName(copy),
        narInfo(copy, { nar, compression: "zstd", bytes: file, url }, changes),
      );
    const hash = `sha256:${nix32(sha256(nar))}`;
    await assertRefused(await put({ FileHash: hash }), 400, /FileHash/);
    await assertRefused(await put({ FileSize: String(nar.length) }), 400, /FileSize/);
    await assertRefused(await put({ Compression: "none" }), 400, /Compression/);
    await assertTaken(await put({}));
    await using memory = await Site.open("memory:");
    await memory.putNar(await narFile(nar));
    await assertRefused(
      await memory.put(narInfoName(copy), narInfo(copy, { nar, compression: "zstd", bytes: file, url })),
      400,
      /serves no NARs in zstd/,
    );
  });
});

test("pressed: a file that was uploaded in zstd comes back as it is pressed", async () => {
  await inFolder(async (folder) => {
    await using site = await open(folder);
    const file = await narFile(await tree(), "zstd");
    await site.publish(PATH, file);
    const { URL } = await fieldsOf(site);
    const pressed = await (await site.get(URL)).bytes();
    const answer = await site.get(file.url);
    assert.equal(answer.headers.get("cache-control"), "no-cache");
    assert.equal(answer.headers.get("accept-ranges"), null);
    sameBytes(await answer.bytes(), pressed);
  });
});

test("pressed: what is published as a path info is pressed too", async () => {
  await inFolder(async (folder) => {
    await using site = await open(folder);
    await site.publish(PATH, await narFile(await tree()));
    const info = (await site.services.pathInfos.get(PATH.slice(0, 32)))!;
    await fieldsOf(site); // it is pressed
    await site.app[Symbol.asyncDispose]();
    await site.services.pathInfos.delete(PATH.slice(0, 32));
    const key = pressedKey(pressedName(info.node));
    await site.home.bytes.delete(key);
    await using again = await Site.over(site.home, { narCompression: "zstd" });
    assert.equal((await again.put("path-info", encodePathInfo(info))).status, 200);
    const deadline = performance.now() + 10_000;
    while (!await site.home.bytes.has(key)) {
      assert.ok(performance.now() < deadline, "it is not pressed");
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  });
});

test("pressed: who only reads does not make the store grow", async () => {
  await inFolder(async (folder) => {
    {
      await using site = await open(folder, { narCompression: "none" });
      await site.publish(PATH, await narFile(await treeNar({ inner: { a: TEXT }, b: TEXT.slice(0, 300) })));
    }
    await using site = await open(folder, { narCompression: "none" });
    const { node } = (await site.services.pathInfos.get(PATH.slice(0, 32)))!;
    assert.ok(node.type === "directory");
    const root = (await site.services.directories.get(node.digest))!;
    const inner = root.items.find(({ node }) => node.type === "directory")!;
    const before = await Array.fromAsync(site.home.bytes.list(""));
    const made: Node[] = [{ type: "symlink", target: fromText("made up") }, inner.node];
    const { digest } = await site.services.blobs.put(fromText(TEXT));
    made.push({ type: "file", digest, size: TEXT.length, executable: true });
    made.push({ type: "file", digest, size: 5, executable: true });
    made.push({ type: "directory", digest: new Uint8Array(32), size: 0n });
    for (const node of made) {
      const url = `nar/snix-castore/${toBase64Url(encodeEntry(node))}.nar.zst`;
      assert.equal(
        (await site.get(url)).status,
        404,
        JSON.stringify(node, (_, v) => typeof v === "bigint" ? 1 : v),
      );
    }
    assert.deepEqual(await Array.fromAsync(site.home.bytes.list("")), before);
    // The path's own is there, though this server has not heard of the path.
    assert.equal((await site.get(`nar/snix-castore/${toBase64Url(encodeEntry(node))}.nar.zst`)).status, 200);
  });
});

test("pressed: a record whose chunks are gone is dropped, and made anew", async () => {
  await inFolder(async (folder) => {
    await using site = await open(folder);
    await site.publish(PATH, await narFile(await tree()));
    const { URL: url } = await fieldsOf(site);
    const file = await (await site.get(url)).bytes();
    const { node } = (await site.services.pathInfos.get(PATH.slice(0, 32)))!;
    const pressed = (await readPressed(site.home.bytes, node))!;
    await site.home.bytes.delete(`chunk/${pressed.digest(0).toHex()}`); // a run
    await assert.rejects((async () => await (await site.get(url)).bytes())(), /Cannot find chunk/);
    assert.match(
      site.log.join("\n"),
      /middle of the pressed NAR of \/nix\/store\/\S+-pressed: Cannot find chunk/,
    );
    assert.equal((await fieldsOf(site)).Compression, "zstd");
    sameBytes(await (await site.get(url)).bytes(), file);
  });
});

/** A tree whose frames are so long that they lie in files. */
function wideTree(): Promise<Bytes> {
  const files = Array.from({ length: 99 }, (_, i) => [`f${i}`, noise(1500, i + 1).toBase64()]);
  return treeNar({ ...Object.fromEntries(files), large: noise(60_000, 3).toBase64() });
}

/** Changes a bit of a chunk's frame where it is stored. */
async function damage(site: Site, folder: string, digest: Bytes): Promise<void> {
  const [form] = await site.services.blobs.getStored!([digest]);
  assert.ok(form!.frame);
  await flip(folder, form!.bytes.slice(), form!.bytes.length >> 1);
}

for (const what of ["run", "chunk of a file"]) {
  test(`pressed: a bit that flips in a ${what} ends the answer, and the log names the path and the chunk`, async () => {
    await inFolder(async (folder) => {
      let pressed: PressedNar;
      {
        await using site = await open(folder);
        await site.publish(PATH, await narFile(await wideTree()));
        assert.equal((await fieldsOf(site)).Compression, "zstd");
        const { node } = (await site.services.pathInfos.get(PATH.slice(0, 32)))!;
        pressed = (await readPressed(site.home.bytes, node))!;
      }
      const row = Array.from({ length: pressed.count }, (_, row) => row).find((row) =>
        what === "run" ? row === 0 : pressed.size(row) === 80_000
      )!;
      const chunk = pressed.digest(row);
      {
        await using site = await open(folder);
        await damage(site, folder, chunk);
      }
      await using site = await open(folder);
      const { URL: url } = await fieldsOf(site);
      const forms = what === "run" ? [url] : [url, url.replace(".nar.zst", "")];
      for (const form of forms) {
        site.log.length = 0;
        await assert.rejects((async () => await (await site.get(form)).bytes())(), { name: "DamageError" });
        const log = site.log.join("\n");
        assert.match(log, /^failed in the middle of the (pressed )?NAR of \/nix\/store\/\S+-pressed: /m);
        assert.ok([chunk.toHex(), chunk.toBase64()].some((name) => log.includes(name)), log);
      }
      // What lies before it is served.
      if (row > 0) {
        const range = `bytes=0-${pressed.offset(row) - 1}`;
        const again = await fieldsOf(site);
        assert.equal(again.Compression, "none", "it cannot be pressed anew");
        assert.match(site.log.join("\n"), /cannot press the NAR of \/nix\/store/);
        assert.equal((await site.get(again.URL, { range })).status, 206);
      }
    });
  });
}
