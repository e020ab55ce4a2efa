/** Reading a stream: the same tokens as the parser's, at the consumer's pace, and every way out closes the source. */
import assert from "node:assert/strict";
import { type Bytes, concat, EMPTY } from "../../src/bytes/bytes.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import { type NarToken, readNar } from "../../src/nar/reader.ts";
import { permissions, permitted, testNeeding } from "../needs.ts";
import { directory, entry, joined, nar, parse, pieces, streamOf, vector, word } from "./_nars.ts";

const test = testNeeding(permissions);

const TREE = permitted ? vector("tree.nar") : EMPTY;

async function all(tokens: AsyncIterable<NarToken>): Promise<NarToken[]> {
  const result: NarToken[] = [];
  for await (const token of tokens) {
    result.push(token.type === "data" ? { type: "data", bytes: token.bytes.slice() } : token);
  }
  return joined(result);
}

/** An iterable of pieces that records whether it was left. */
function iterableOf(bytes: Bytes, length: number) {
  const left = { returned: false };
  async function* generate() {
    try {
      yield* pieces(bytes, length);
    } finally {
      left.returned = true;
    }
  }
  return { iterable: generate(), left };
}

test("streams and iterables give the tokens of the parser", async () => {
  const want = joined(parse([TREE]));
  for (const length of [1, 100, 5000, TREE.length]) {
    assert.deepEqual(await all(readNar(streamOf(TREE, length).stream)), want);
    assert.deepEqual(await all(readNar(iterableOf(TREE, length).iterable)), want);
  }
});

test("the source is read only when a token needs it", async () => {
  const { stream, left } = streamOf(TREE, 100);
  const tokens = readNar(stream);
  assert.equal(left.pulled, 0);
  assert.deepEqual((await tokens.next()).value, { type: "directory", name: EMPTY });
  assert.equal(left.pulled, 1);
  await tokens.return();
  assert.equal(left.pulled, 1);
});

test("break leaves the source", async () => {
  const { stream, left } = streamOf(TREE, 100);
  for await (const _ of readNar(stream)) break;
  assert.ok(left.cancelled);
  const other = iterableOf(TREE, 100);
  for await (const _ of readNar(other.iterable)) break;
  assert.ok(other.left.returned);
});

test("leaving before the first token leaves the source, too", async () => {
  const { stream, left } = streamOf(TREE, 100);
  const tokens = readNar(stream);
  await tokens.return();
  assert.ok(left.cancelled);
  assert.deepEqual(await tokens.next(), { done: true, value: undefined });
  {
    await using _tokens = readNar(streamOf(TREE, 100).stream);
  }
});

Deno.test("leaving while a read is under way does not wait for it", async () => {
  let cancelled = false;
  const stalled = new ReadableStream<Bytes>({
    cancel() {
      cancelled = true;
    },
  });
  const tokens = readNar(stalled);
  const pending = tokens.next();
  await tokens.return();
  assert.ok(cancelled);
  assert.deepEqual(await pending, { done: true, value: undefined });
});

Deno.test("a wrong archive cancels the source with the error", async () => {
  const bytes = concat([nar("nix-archive-1", "(", "type", "socket"), new Uint8Array(1000)]);
  const { stream, left } = streamOf(bytes, 100);
  await assert.rejects(all(readNar(stream)), FormatError);
  assert.ok(left.cancelled instanceof FormatError);
  const other = iterableOf(bytes, 100);
  await assert.rejects(all(readNar(other.iterable)), FormatError);
  assert.ok(other.left.returned);
});

test("bytes after the end, in the same piece or the next, and missing ones are errors", async () => {
  const bytes = vector("symlink.nar");
  for (const length of [8, bytes.length, 10_000]) {
    const { stream, left } = streamOf(concat([bytes, word("")]), length);
    await assert.rejects(all(readNar(stream)), /bytes after the end of the archive at byte 136$/);
    assert.ok(left.cancelled);
  }
  await assert.rejects(all(readNar(streamOf(bytes.subarray(0, 135), 50).stream)), /too early at byte 135$/);
});

test("what the source throws is thrown, and nothing after it", async () => {
  const failing = new ReadableStream<Bytes>({
    start(controller) {
      controller.enqueue(TREE.subarray(0, 500));
    },
    pull(controller) {
      controller.error(new Error("the line is dead"));
    },
  }, { highWaterMark: 0 });
  const tokens = readNar(failing);
  await assert.rejects(all(tokens), /the line is dead/);
  assert.deepEqual(await tokens.next(), { done: true, value: undefined });
});

Deno.test("limits are those of the parser", async () => {
  const bytes = directory(entry("a"), entry("b"));
  await assert.rejects(all(readNar(streamOf(bytes, 100).stream, { maxEntries: 1 })), LimitError);
});
