// Work behind requests: each piece once, what is waited for first, a bound, and an end.
import assert from "node:assert/strict";
import { Patience } from "../../src/server/patience.ts";
import { PressQueue } from "../../src/server/press_queue.ts";

/** A queue whose pieces of work end when they are told. */
function open() {
  const queue = new PressQueue<string>();
  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<string>>();
  const work = (key: string) => () => {
    begun.push(key);
    const end = Promise.withResolvers<string>();
    ends.set(key, end);
    return end.promise;
  };
  return {
    queue,
    begun,
    add: (key: string) => queue.add(key, work(key)),
    want: (key: string) => queue.want(key, work(key)),
    async end(key: string) {
      ends.get(key)!.resolve(`done ${key}`);
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
    async fail(key: string) {
      ends.get(key)!.reject(new Error(`failed ${key}`));
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}

Deno.test("press queue: two at a time, in order, but what is waited for first", async () => {
  const { queue, begun, add, want, end } = open();
  for (const key of ["a", "b", "c", "d", "e"]) add(key);
  assert.deepEqual(begun, ["a", "b"]);
  const [wanted, fresh] = [want("e"), want("new")];
  assert.equal(queue.size, 6);
  for (const key of ["a", "b", "e", "new", "c", "d"]) await end(key);
  assert.deepEqual(begun, ["a", "b", "e", "new", "c", "d"]);
  assert.deepEqual([await wanted, await fresh, queue.size], ["done e", "done new", 0]);
  await queue[Symbol.asyncDispose]();
});

Deno.test("press queue: what is in line or under way is done once for all", async () => {
  const { queue, begun, add, want, end } = open();
  const all = [add("a"), add("a"), want("a"), queue.find("a")!];
  await end("a");
  assert.deepEqual(await Promise.all(all), Array(4).fill("done a"));
  assert.deepEqual(begun, ["a"]);
  assert.equal(queue.find("a"), undefined);
  add("a"); // once more
  assert.deepEqual(begun, ["a", "a"]);
  await end("a");
});

Deno.test("press queue: a failure is told to who listens, and the next goes on", async () => {
  const { begun, add, fail, end } = open();
  const [a, b] = [add("a"), add("b")];
  add("c");
  await fail("a");
  await assert.rejects(a, /failed a/);
  assert.deepEqual(begun, ["a", "b", "c"]);
  await end("b");
  assert.equal(await b, "done b");
  await end("c");
});

Deno.test("press queue: ended, it begins nothing more, aborts what is under way, and waits for it", async () => {
  const queue = new PressQueue<void>();
  let stopped = false;
  const underWay = queue.add("a", async (signal) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await new Promise((resolve) => setTimeout(resolve, 10));
    stopped = true;
    signal.throwIfAborted();
  });
  queue.add("b", () => new Promise(() => {}).then(() => {}));
  const waiting = queue.add("c", () => assert.fail("begun after the end"));
  queue.end();
  await assert.rejects(waiting, { name: "StoreBusyError" });
  await assert.rejects(underWay, { name: "StoreBusyError" });
  assert.ok(stopped);
  await assert.rejects(queue.want("d", () => assert.fail("begun after the end")), { name: "StoreBusyError" });
});

Deno.test("press queue: more than there is room for is refused", async () => {
  const { queue, add } = open();
  for (let i = 0; i < 100_000; i++) add(String(i));
  await assert.rejects(add("more"), /too much is to be done/);
  assert.equal(queue.size, 100_000);
});

Deno.test("patience: old paths share five seconds, then nobody waits for a minute; new ones may", () => {
  let now = 1000;
  const patience = new Patience(() => now);
  assert.equal(patience.left(false), 5000);
  now += 3000;
  assert.equal(patience.left(false), 2000);
  now += 2000;
  for (const later of [0, 1, 59_998]) {
    now += later;
    assert.equal(patience.left(false), 0, `${now}`);
    assert.equal(patience.left(true), 5000);
  }
  now += 1;
  assert.equal(patience.left(false), 5000);
});

Deno.test("patience: what comes soon enough is given, what fails or is late is not, and only so many wait", async () => {
  const patience = new Patience();
  assert.equal(await patience.wait(Promise.resolve("there"), 1000), "there");
  assert.equal(await patience.wait(Promise.reject(new Error("failed")), 1000), undefined);
  assert.equal(await patience.wait(new Promise(() => {}), 1), undefined);
  const held = Promise.withResolvers<string>();
  const waits = Array.from({ length: 64 }, () => patience.wait(held.promise, 60_000));
  assert.equal(patience.left(true), 0);
  held.resolve("now");
  assert.deepEqual(await Promise.all(waits), Array(64).fill("now"));
  assert.equal(patience.left(true), 5000);
});
