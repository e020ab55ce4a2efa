/** Any source of bytes is read to its end or left early, and either way let go. */
import assert from "node:assert/strict";
import { type Bytes, fromText, toText } from "../../src/bytes/bytes.ts";
import { collect, iterate, toReadable } from "../../src/bytes/streams.ts";
import { inTime, pause } from "../castore/_watched_store.ts";

const PIECES = ["one", "two", "three"].map(fromText);

/** A stream of the pieces that notes how it was left. */
function streamOf(pieces: Bytes[], left: string[], fail = false): ReadableStream<Bytes> {
  const rest = [...pieces];
  return new ReadableStream<Bytes>({
    pull(controller) {
      const piece = rest.shift();
      if (piece) controller.enqueue(piece);
      else if (fail) controller.error(new RangeError("the stream fails"));
      else controller.close();
    },
    cancel() {
      left.push("cancelled");
    },
  }, { highWaterMark: 0 });
}

async function* generatorOf(pieces: Bytes[], left: string[]): AsyncGenerator<Bytes, void, void> {
  try {
    for (const piece of pieces) yield await piece;
    left.push("ended");
  } finally {
    left.push("returned");
  }
}

Deno.test("iterate: any source gives its pieces", async () => {
  const sources = [PIECES, PIECES.values(), generatorOf(PIECES, []), streamOf(PIECES, [])];
  for (const source of sources) assert.equal(toText(await collect(iterate(source))), "onetwothree");
  const withEmpty = [PIECES[0], new Uint8Array(0), PIECES[1]];
  assert.equal((await Array.fromAsync(iterate(streamOf(withEmpty, [])))).length, 2);
});

Deno.test("iterate: leaving the loop early cancels the source, reading it to the end does not", async () => {
  const left: string[] = [];
  for await (const _ of iterate(streamOf(PIECES, left))) break;
  assert.deepEqual(left.splice(0), ["cancelled"]);
  for await (const _ of iterate(generatorOf(PIECES, left))) break;
  assert.deepEqual(left.splice(0), ["returned"]);
  const stream = streamOf(PIECES, left);
  await collect(iterate(stream));
  assert.deepEqual(left, []);
  assert.equal(stream.locked, false);
});

Deno.test("iterate: what the source throws is thrown, and the stream is let go", async () => {
  const stream = streamOf(PIECES, [], true);
  const got: Bytes[] = [];
  const reading = (async () => {
    for await (const piece of iterate(stream)) got.push(piece);
  })();
  await assert.rejects(reading, /the stream fails/);
  assert.equal(got.length, 3);
  assert.equal(stream.locked, false);
});

Deno.test("iterate: a loop that throws cancels the source and keeps its error", async () => {
  const left: string[] = [];
  const reading = (async () => {
    for await (const _ of iterate(streamOf(PIECES, left))) throw new TypeError("in the loop");
  })();
  await assert.rejects(reading, /in the loop/);
  assert.deepEqual(left, ["cancelled"]);
});

Deno.test("toReadable: a stream of the same pieces, pulled as it is read", async () => {
  let asked = 0;
  async function* counted() {
    for (let i = 0; i < 100; i++) {
      asked++;
      yield await fromText(`${i},`);
    }
  }
  const reader = toReadable(counted()).getReader();
  assert.equal(toText((await reader.read()).value!), "0,");
  await pause(5);
  assert.ok(asked <= 3, `${asked} pieces were asked for`);
  let count = 1;
  while (!(await reader.read()).done) count++;
  assert.equal(count, 100);
});

Deno.test("toReadable: cancelling ends the source, and its errors end the stream", async () => {
  const left: string[] = [];
  const reader = toReadable(generatorOf(PIECES, left)).getReader();
  await reader.read();
  await reader.cancel();
  assert.deepEqual(left, ["returned"]);
  // deno-lint-ignore require-yield -- it fails before there is a piece
  async function* failing(): AsyncGenerator<Bytes> {
    await pause();
    throw new RangeError("the source fails");
  }
  await assert.rejects(inTime(collect(iterate(toReadable(failing())))), /the source fails/);
});

Deno.test("collect: all bytes in one array", async () => {
  assert.equal((await collect(generatorOf([], []))).length, 0);
  assert.equal(await collect(generatorOf([PIECES[0]], [])), PIECES[0]);
  assert.equal(toText(await collect(generatorOf(PIECES, []))), "onetwothree");
});
