// Blobs over plain HTTP as zstd frames: what is answered is what is stored, and any tool for zstd makes the blob of it.
import assert from "node:assert/strict";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { openFrameDecoder } from "../../src/adapters/codecs/frame_decoder.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { toBase64Url } from "../../src/bytes/base64.ts";
import { type Bytes, concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { readDelimited } from "../../src/bytes/delimited.ts";
import { collect, iterate } from "../../src/bytes/streams.ts";
import { frameContentSize, frameLength, rawFrame } from "../../src/bytes/zstd_frame.ts";
import { createApp } from "../../src/server/app.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { HOMES, type TestHome } from "../castore/_homes.ts";
import { testNeeding, zstd } from "../needs.ts";
import { assertRefused, noise } from "./_site.ts";

const WORDS = fromText(
  Array.from({ length: 60_000 }, (_, i) => `line ${i} of a text, much of which is the same\n`).join(""),
);
const NOISE = noise(1_500_000, 3);
/** Text that becomes frames, and noise that stays plain, in one file of several chunks. */
const MIXED = concat([WORDS, NOISE]);
const SMALL = WORDS.subarray(0, 4000);
const BLOBS = {
  empty: EMPTY,
  small: SMALL,
  "small noise": NOISE.subarray(0, 4000),
  words: WORDS,
  mixed: MIXED,
};

interface Served {
  readonly home: TestHome;
  readonly log: string[];
  send(path: string, init?: RequestInit): Promise<Response>;
}

/** A test for a server over each of these homes. */
function served(title: string, names: readonly string[], test: (served: Served) => Promise<void>): void {
  for (const { name, needs, open } of HOMES.filter(({ name }) => names.includes(name))) {
    testNeeding(...needs, zstd)(`${title} (${name})`, async () => {
      await using home = await open();
      const log: string[] = [];
      const app = createApp({
        ...home,
        codec: openCodecs(),
        hashes: nativeHashes,
        log: (line) => log.push(line),
      });
      const send = async (path: string, init?: RequestInit) => {
        return await app.fetch(new Request(`http://firn.test/${path}`, init));
      };
      await test({ home, log, send });
    });
  }
}

const COMPRESSED = ["folder, compressed"];
/** With compression, with packs that have none, and with values that know of no stored form. */
const ALL = [...COMPRESSED, "folder", "memory"];

/** What the `zstd` tool makes of some bytes. */
async function unpack(bytes: Bytes): Promise<Bytes> {
  const child = new Deno.Command("zstd", { args: ["-dc"], stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const given = new Blob([bytes]).stream().pipeTo(child.stdin);
  const { success, stdout, stderr } = await child.output();
  await given;
  assert.ok(success, new TextDecoder().decode(stderr));
  return stdout;
}

function framesIn(bytes: Bytes): Bytes[] {
  const frames: Bytes[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = frameLength(bytes.subarray(at));
    frames.push(bytes.subarray(at, at + length));
    at += length;
  }
  return frames;
}

served("frames: the zstd tool makes the blob of them", ALL, async ({ home, send }) => {
  for (const [name, blob] of Object.entries(BLOBS)) {
    const { digest } = await home.blobs.put(blob);
    const answer = await send(`blob/${toBase64Url(digest)}?zstd`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get("content-type"), "application/zstd");
    assert.equal(answer.headers.get("content-encoding"), null);
    const bytes = new Uint8Array(await answer.arrayBuffer());
    assert.deepEqual(await unpack(bytes), blob, name);
    const sizes = framesIn(bytes).map(frameContentSize);
    const chunks = (await home.blobs.chunks(digest))!.map(({ size }) => size);
    if (home.blobs.getStored) {
      assert.deepEqual(sizes, blob.length > 0 ? chunks : [0], `${name}: a frame a chunk`);
    }
    const length = answer.headers.get("content-length");
    if (length !== null) assert.equal(Number(length), bytes.length);
  }
});

served("frames: what was compressed when it was stored comes as it is stored", COMPRESSED, async (served) => {
  const { home, send } = served;
  const { digest } = await home.blobs.put(MIXED);
  const chunks = (await home.blobs.chunks(digest))!;
  const forms = await Promise.all(chunks.map(({ digest }) => home.blobs.getStored!([digest])));
  const expected = forms.map(([form]) => form!.frame ? form!.bytes : rawFrame(form!.bytes));
  assert.ok(forms.some(([form]) => form!.frame) && forms.some(([form]) => !form!.frame), "both kinds");
  const answer = await send(`blob/${toBase64Url(digest)}?zstd`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  assert.deepEqual(bytes, concat(expected));
  assert.ok(bytes.length < MIXED.length * 0.6, `${bytes.length} bytes`);
});

served("frames: an ETag of their own, no ranges, no slices", COMPRESSED, async ({ home, send }) => {
  const { digest } = await home.blobs.put(WORDS);
  const path = `blob/${toBase64Url(digest)}`;
  const plain = await send(path, { method: "HEAD" });
  const head = await send(`${path}?zstd`, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("accept-ranges"), "none");
  assert.equal(head.headers.get("content-length"), null, "of several chunks");
  const etag = head.headers.get("etag")!;
  assert.match(etag, /^W\//);
  assert.notEqual(etag.replace("W/", ""), plain.headers.get("etag"));
  assert.equal((await send(`${path}?zstd`, { headers: { "if-none-match": etag } })).status, 304);
  const other = await send(`${path}?zstd`, {
    headers: { "if-none-match": plain.headers.get("etag")!, range: "bytes=0-9" },
  });
  assert.equal(other.status, 200);
  assert.deepEqual(await unpack(new Uint8Array(await other.arrayBuffer())), WORDS);
  await assertRefused(await send(`${path}?zstd&bao`), 400, /slice/);
  await assertRefused(await send(`blob/${toBase64Url(blake3(fromText("nobody")))}?zstd`), 404, /./);
});

async function bulk({ send }: Served, path: string, ...digests: Bytes[]): Promise<Bytes[]> {
  const answer = await send(path, {
    method: "POST",
    body: concat(digests),
    headers: { "accept-encoding": "zstd" },
  });
  assert.equal(answer.status, 200);
  const asStored = path.endsWith("?zstd") && answer.headers.get("content-encoding") === null;
  const body = iterate(answer.body!);
  const bytes = asStored ? body : openCodecs().decompress("zstd", body);
  return await Array.fromAsync(readDelimited(bytes, 2 ** 23, "answer"));
}

served("frames: many blobs at once, each as it is stored", COMPRESSED, async (served) => {
  const { home } = served;
  const digests: Bytes[] = [];
  const long = concat([MIXED, WORDS]);
  for (const blob of [...Object.values(BLOBS), long]) digests.push((await home.blobs.put(blob)).digest);
  const absent = blake3(fromText("nobody has this"));
  const answers = await bulk(served, "blob/read?zstd", ...digests.slice(0, 3), absent, ...digests.slice(3));
  assert.deepEqual(answers.map((answer) => answer[0]), [1, 3, 1, undefined, 3, 2, 2]);
  const decoder = await openFrameDecoder();
  assert.deepEqual(answers[0].subarray(1), EMPTY);
  assert.deepEqual(decoder.decode(answers[1].subarray(1), SMALL.length), SMALL);
  assert.ok(answers[1].length < SMALL.length / 2, `${answers[1].length} bytes for ${SMALL.length}`);
  assert.deepEqual(answers[2].subarray(1), BLOBS["small noise"]);
  const parts = framesIn(answers[4].subarray(1));
  assert.ok(parts.length > 1);
  assert.deepEqual(concat(parts.map((part) => decoder.decode(part, frameContentSize(part)))), WORDS);
});

served("frames: a store that has none answers many blobs as ever", ["memory"], async (served) => {
  const { digest } = await served.home.blobs.put(SMALL);
  const [answer] = await bulk(served, "blob/read?zstd", digest);
  assert.deepEqual(answer, concat([Uint8Array.of(1), SMALL]));
});

served(
  "frames: what is damaged ends the answer in an error, which the log tells",
  COMPRESSED,
  async (served) => {
    const { home, log, send } = served;
    for (const [place, blob] of [["a frame", WORDS], ["a plain chunk", NOISE]] as const) {
      const { digest } = await home.blobs.put(blob);
      const chunks = (await home.blobs.chunks(digest))!;
      assert.ok(chunks.length > 3);
      const start = chunks.slice(0, -1).reduce((sum, { size }) => sum + size, 0);
      await home.corrupt(blob.slice(start));
      log.length = 0;
      const answer = await send(`blob/${toBase64Url(digest)}?zstd`);
      await assert.rejects(collect(iterate(answer.body!)), `${place}: it seems whole`);
      assert.match(log.join("\n"), /failed in the middle of the frames of a blob/);
      const [one] = [chunks.at(-1)!];
      const alone = await send(`blob/${toBase64Url(one.digest)}?zstd`);
      assert.equal(alone.status, 500, `${place}: of one chunk`);
      await assert.rejects(
        bulk(served, "blob/read?zstd", chunks[0].digest, one.digest),
        `${place}: among many`,
      );
      assert.match(log.join("\n"), /failed in the middle of blobs as they are stored/);
    }
  },
);
