/** The queue between a producer and its consumer: order, waiting, ends and early leaving. */
import assert from "node:assert/strict";
import { Channel } from "../../src/bytes/channel.ts";
import { inTime, pause } from "../castore/_watched_store.ts";

Deno.test("channel: items come in order, pushed before and after the consumer asks", async () => {
  const channel = new Channel<number>(100);
  channel.push(1);
  channel.push(2);
  const got = Array.fromAsync(channel);
  await pause();
  for (let i = 3; i < 50; i++) {
    channel.push(i);
    if (i % 7 === 0) await pause();
  }
  channel.close();
  assert.deepEqual(await inTime(got), Array.from({ length: 49 }, (_, i) => i + 1));
});

Deno.test("channel: one that is closed empty ends, whoever comes first", async () => {
  const before = new Channel<number>(1);
  before.close();
  assert.deepEqual(await inTime(Array.fromAsync(before)), []);
  const after = new Channel<number>(1);
  const got = Array.fromAsync(after);
  await pause();
  after.close();
  assert.deepEqual(await inTime(got), []);
});

Deno.test("channel: the producer is asked to wait when the weight is over the limit, and let go when it is not", async () => {
  const channel = new Channel<string>(10);
  assert.equal(channel.push("a", 6), undefined);
  assert.equal(channel.push("b", 4), undefined);
  const wait = channel.push("c", 3);
  assert.ok(wait);
  let woken = false;
  void wait.then(() => woken = true);
  await pause();
  assert.equal(woken, false);
  const iterator = channel[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value, "a");
  await pause();
  assert.equal(woken, true);
  await iterator.return?.();
});

Deno.test("channel: a single item over the limit passes", async () => {
  const channel = new Channel<string>(1);
  const wait = channel.push("a", 1000);
  const iterator = channel[Symbol.asyncIterator]();
  assert.equal((await iterator.next()).value, "a");
  await inTime(wait!);
  await iterator.return?.();
});

Deno.test("channel: an error comes after what is queued", async () => {
  for (const early of [true, false]) {
    const channel = new Channel<number>(10);
    channel.push(1);
    channel.push(2);
    if (early) channel.fail(new RangeError("no luck"));
    const got: number[] = [];
    const reading = (async () => {
      for await (const item of channel) got.push(item);
    })();
    if (!early) setTimeout(() => channel.fail(new RangeError("no luck")));
    await assert.rejects(inTime(reading), /no luck/);
    assert.deepEqual(got, [1, 2]);
  }
});

Deno.test("channel: the first end counts", async () => {
  const failed = new Channel<number>(1);
  failed.fail(new Error("first"));
  failed.close();
  failed.fail(new Error("second"));
  await assert.rejects(inTime(Array.fromAsync(failed)), /first/);
  const closed = new Channel<number>(1);
  closed.close();
  closed.fail(new Error("late"));
  assert.deepEqual(await inTime(Array.fromAsync(closed)), []);
});

Deno.test("channel: a consumer that leaves lets the producer go, and what is pushed after that is dropped", async () => {
  const channel = new Channel<number>(2);
  channel.push(1);
  channel.push(2);
  const wait = channel.push(3)!;
  for await (const item of channel) {
    assert.equal(item, 1);
    break;
  }
  await inTime(wait);
  assert.equal(channel.push(4, 1000), undefined);
  assert.equal(channel.drained(), undefined);
});

Deno.test("channel: a producer that waits is let go when the channel fails", async () => {
  const channel = new Channel<number>(1);
  channel.push(1);
  const wait = channel.push(2)!;
  channel.fail(new Error("the consumer never came"));
  await inTime(wait, 500);
});

Deno.test("channel: drained waits until the consumer is done with every item", async () => {
  const channel = new Channel<number>(10);
  const done: number[] = [];
  const reading = (async () => {
    for await (const item of channel) {
      await pause(5);
      done.push(item);
    }
  })();
  for (let turn = 0; turn < 3; turn++) {
    channel.push(2 * turn);
    channel.push(2 * turn + 1);
    await inTime(channel.drained()!);
    assert.equal(done.length, 2 * turn + 2);
    assert.equal(channel.drained(), undefined);
  }
  channel.close();
  await inTime(reading);
});
