/** Receiving NARs: the names of uploads, what is recorded of one, and what is refused and leaves no record. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { toNixBase32 } from "../../src/bytes/nixbase32.ts";
import { ClaimError, FormatError, LimitError } from "../../src/errors.ts";
import { sha256 } from "../../src/hash/sha256.ts";
import { parseNarFileName, receivedFile, receivedNar, receiveNar } from "../../src/store/receive_nar.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { vector } from "../nar/_nars.ts";
import { permissions, testNeeding } from "../needs.ts";
import { gzip, nameOf, openReceiver } from "./_uploads.ts";
import { narOf, render, reusing } from "./_trees.ts";

const test = testNeeding(permissions);

const NAME = "14cx20k6z4hq508kqi2lm79qfld5f9mf7kiafpqsjs3zlmycza0k";
const DIGEST = "13a8cf7ca57f68a9f1752acee36a72a55187d3a954443c112818926f26109d91";

Deno.test("file names: those of uploads, with their hash and suffix", () => {
  for (const suffix of ["", "xz", "zst", "bz2", "br", "gz"]) {
    const text = `${NAME}.nar${suffix && "."}${suffix}`;
    const name = parseNarFileName(text);
    assert.ok(name, text);
    assert.equal(toHex(name.sha256), DIGEST);
    assert.deepEqual([name.text, name.suffix], [text, suffix]);
  }
});

Deno.test("file names: what is none", () => {
  const wrong = [
    `${NAME.slice(1)}.nar`,
    `${NAME}0.nar`,
    `ø${NAME.slice(1)}.nar`,
    NAME,
    `${NAME}.narinfo`,
    `${NAME}.`,
  ];
  wrong.push(
    `${NAME}.nar.`,
    `${NAME}.nar.x/z`,
    `${NAME}.nar.XZ`,
    `/${NAME}.nar`,
    `${NAME}.nar\n`,
    ` ${NAME}.nar`,
    "",
  );
  wrong.push(
    `e${NAME.slice(1)}.nar`,
    `${NAME.toUpperCase()}.nar`,
    `z${NAME.slice(1)}.nar`,
    `${NAME}.nar.123456789`,
  );
  for (const text of wrong) assert.equal(parseNarFileName(text), undefined, JSON.stringify(text));
});

test("receiving: a plain NAR is recorded by its file and by its hash", async () => {
  for (const length of [1, 24, 1000]) {
    const nar = vector("complicated.nar");
    const store = openReceiver();
    const name = nameOf(nar);
    const file = await receiveNar(name, reusing(nar, () => length), { ...store.options, now: () => 12345 });
    assert.deepEqual(file, { narSha256: sha256(nar), compression: "none", fileSize: 840, receivedAt: 12345 });
    assert.deepEqual(await receivedFile(store.names, name.text), file);
    const received = await receivedNar(store.names, sha256(nar));
    assert.equal(received?.narSize, 840);
    assert.deepEqual(received.foundHashParts, []);
    sameBytes(await render(store, received.root), nar);
    assert.deepEqual(await Array.fromAsync(store.names.list("")), [
      `nar/${toNixBase32(sha256(nar))}`,
      `upload/${name.text}`,
    ]);
  }
});

Deno.test("receiving: a compressed NAR, told by its bytes and not by its name", async () => {
  const nar = await narOf({
    a: pattern(300_000),
    b: fromText("/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-x"),
  });
  const zipped = await gzip(nar);
  for (const suffix of ["", ".xz"]) {
    const store = openReceiver();
    const name = nameOf(zipped, suffix);
    const options = { ...store.options, now: () => 12345 };
    const file = await receiveNar(name, reusing(zipped, () => 5000), options);
    const fileSize = zipped.length;
    assert.deepEqual(file, { narSha256: sha256(nar), compression: "gzip", fileSize, receivedAt: 12345 });
    const received = await receivedNar(store.names, sha256(nar));
    assert.deepEqual(received?.foundHashParts, ["00bgd045z0d4icpbc2yyz4gx48ak44la"]);
    sameBytes(await render(store, received.root), nar);
  }
});

test("receiving: another hash than that in the name is a ClaimError, and nothing is recorded", async () => {
  const nar = vector("helloworld.nar");
  for (const [bytes, other] of [[nar, vector("symlink.nar")], [await gzip(nar), nar]]) {
    const store = openReceiver();
    await assert.rejects(receiveNar(nameOf(other), [bytes], store.options), ClaimError);
    assert.deepEqual(await Array.fromAsync(store.names.list("")), []);
  }
});

test("receiving: what is no NAR is a FormatError, and nothing is recorded", async () => {
  const nar = vector("helloworld.nar");
  const wrong = [
    new Uint8Array(0),
    fromText("<html>"),
    nar.subarray(0, 100),
    new Uint8Array(100),
    await gzip(fromText("x")),
  ];
  for (const bytes of wrong) {
    const store = openReceiver();
    await assert.rejects(receiveNar(nameOf(bytes), [bytes], store.options), FormatError);
    assert.deepEqual(await Array.fromAsync(store.names.list("")), []);
  }
});

test("receiving: a body that fails, or is too long, leaves no record and is let go", async () => {
  const nar = vector("complicated.nar");
  let returned = 0;
  async function* body(fails: boolean) {
    try {
      yield* reusing(nar.slice(0, 500), () => 50);
      if (fails) throw new RangeError("the client is gone");
      yield* reusing(nar.slice(500), () => 50);
    } finally {
      returned++;
    }
  }
  const store = openReceiver();
  await assert.rejects(receiveNar(nameOf(nar), body(true), store.options), /the client is gone/);
  const limited = { ...store.options, maxNarSize: 800 };
  await assert.rejects(receiveNar(nameOf(nar), body(false), limited), LimitError);
  await assert.rejects(receiveNar(nameOf(nar), [fromText("x")], store.options), FormatError);
  assert.equal(returned, 2);
  assert.deepEqual(await Array.fromAsync(store.names.list("")), []);
});

Deno.test("receiving: nothing known is undefined", async () => {
  const store = openReceiver();
  assert.equal(await receivedNar(store.names, new Uint8Array(32)), undefined);
  assert.equal(await receivedFile(store.names, `${NAME}.nar`), undefined);
});

test("receiving: the same again is fine, from two clients at once too", async () => {
  const nar = vector("complicated.nar");
  const store = openReceiver();
  await Promise.all([1, 2, 3].map((n) => receiveNar(nameOf(nar), reusing(nar, () => 10 * n), store.options)));
  await receiveNar(nameOf(nar), [nar], store.options);
  assert.equal((await Array.fromAsync(store.names.list(""))).length, 2);
});
