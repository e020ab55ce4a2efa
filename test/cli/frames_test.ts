// The threads that compress: what they give, and that nobody waits forever for one that is gone.
import assert from "node:assert/strict";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { FrameWorkers } from "../../src/cli/frame_workers.ts";
import { nativeFrames } from "../../src/adapters/native/frames.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { permissions, testNeeding } from "../needs.ts";

const test = testNeeding(permissions);

const CLOSED = /Cannot compress: the store was closed/;
const text = (length: number): Bytes => new Uint8Array(length).map((_, i) => i % 7);

test("frames of a thread are what the values say, and values that do not get shorter are left", async () => {
  await using workers = new FrameWorkers(1, 1);
  const random = crypto.getRandomValues(new Uint8Array(5000));
  const values = [text(10_000), random, new Uint8Array(0), text(100)];
  const [long, none, empty, short] = await workers.encode(values);
  assert.equal(none, undefined);
  assert.equal(empty, undefined);
  for (const [sealed, value] of [[long!, values[0]], [short!, values[3]]]) {
    sameBytes(nativeFrames.decode(sealed.subarray(8), value.length), value); // after its check
  }
});

test("more at once than threads take at once", async () => {
  await using workers = new FrameWorkers(2, 1);
  const lengths = Array.from({ length: 20 }, (_, i) => 1000 + i);
  const frames = await Promise.all(lengths.map((length) => workers.encode([text(length)])));
  for (const [i, [sealed]] of frames.entries()) {
    sameBytes(nativeFrames.decode(sealed!.subarray(8), lengths[i]), text(lengths[i]));
  }
});

test("a thread that failed fails what it was at, and another takes its place", async () => {
  await using workers = new FrameWorkers(1, "no level" as unknown as number);
  const results = await Promise.allSettled([1, 2, 3].map(() => workers.encode([text(1000)])));
  for (const result of results) {
    assert.equal(result.status, "rejected");
    assert.match(String(result.reason), /Cannot compress: /);
  }
});

test("whoever closes the store leaves nobody waiting, and no thread", async () => {
  const workers = new FrameWorkers(1, 1);
  const waiting = [1, 2, 3, 4, 5].map(() => assert.rejects(workers.encode([text(1_000_000)]), CLOSED));
  await workers[Symbol.asyncDispose]();
  await Promise.all(waiting);
  await assert.rejects(workers.encode([text(1000)]), CLOSED);
});
