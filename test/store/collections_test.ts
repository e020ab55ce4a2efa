/** Garbage collection as others see it: the claim, and records that are written meanwhile. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { StoreBusyError } from "../../src/errors.ts";
import {
  buryCollector,
  CollectionClaim,
  deletedSince,
  sequenceOf,
  writeRecord,
} from "../../src/store/collections.ts";
import { pause } from "../castore/_watched_store.ts";

Deno.test("collections: the number is odd while something is deleted, and never the same again", async () => {
  const names = openMemory();
  assert.equal(await sequenceOf(names), 0);
  const claim = await CollectionClaim.take(names, false);
  const seen: number[] = [];
  for (let i = 0; i < 2; i++) {
    await claim.deleting(async () => void seen.push(await sequenceOf(names)));
    seen.push(await sequenceOf(names));
  }
  await assert.rejects(claim.deleting(() => Promise.reject(new Error("no luck"))), /no luck/);
  seen.push(await sequenceOf(names));
  await claim.end();
  seen.push(await sequenceOf(names));
  assert.deepEqual(seen, [1, 2, 3, 4, 6, 6]);
});

Deno.test("collections: one claim at a time; a dead owner's is taken over, and it cannot go on", async () => {
  const names = openMemory();
  let now = 1_000_000;
  const take = (alone = false) => CollectionClaim.take(names, alone, () => now);
  const first = await take();
  await assert.rejects(take(), StoreBusyError);
  now += 100_000;
  await first.beat();
  now += 100_000;
  await assert.rejects(take(), StoreBusyError);
  now += 120_000;
  const second = await take();
  await assert.rejects(first.beat(), StoreBusyError);
  await assert.rejects(first.deleting(() => Promise.resolve()), StoreBusyError);
  await first.end(); // changes nothing
  await assert.rejects(take(), StoreBusyError);
  await take(true);
  await assert.rejects(second.deleting(() => Promise.resolve()), StoreBusyError);
});

Deno.test("collections: one whose clock was set far ahead does not count as alive for ever", async () => {
  const names = openMemory();
  await CollectionClaim.take(names, false, () => Date.now() + 1e9);
  await CollectionClaim.take(names, false);
});

Deno.test("collections: a record written in peace is not looked at again", async () => {
  const names = openMemory();
  const claim = await CollectionClaim.take(names, false);
  await claim.deleting(() => Promise.resolve());
  let looked = 0;
  assert.equal(await writeRecord(names, () => Promise.resolve(7), () => Promise.resolve(void looked++)), 7);
  assert.equal(looked, 0);
  await writeRecord(
    names,
    () => claim.deleting(() => Promise.resolve(8)),
    (written) => Promise.resolve(void (looked += written)),
  );
  assert.equal(looked, 8);
});

Deno.test("collections: who wrote while something was deleted waits until it is, then looks", async () => {
  const names = openMemory();
  const claim = await CollectionClaim.take(names, false);
  const gate = Promise.withResolvers<void>();
  const deleting = claim.deleting(() => gate.promise);
  await pause();
  const events: string[] = [];
  const writing = writeRecord(
    names,
    () => Promise.resolve(void events.push("written")),
    () => Promise.resolve(void events.push("confirmed")),
  );
  await pause(120);
  events.push("deleted");
  gate.resolve();
  await Promise.all([deleting, writing]);
  assert.deepEqual(events, ["written", "deleted", "confirmed"]);
  await assert.rejects(
    writeRecord(
      names,
      () => claim.deleting(() => Promise.resolve()),
      () => Promise.reject(new Error("gone")),
    ),
    /gone/,
  );
  assert.equal(await deletedSince(0, names), true);
  assert.equal(await deletedSince(await sequenceOf(names), names), false);
});

Deno.test("collections: a collector that died while deleting keeps nobody waiting, and everybody looking", async () => {
  const names = openMemory();
  const claim = await CollectionClaim.take(names, false, () => Date.now() - 200_000);
  void claim.deleting(() => new Promise(() => {}));
  await pause();
  let looked = 0;
  await writeRecord(names, () => Promise.resolve(), () => Promise.resolve(void looked++));
  assert.equal(looked, 1);
  await buryCollector(names);
  assert.equal(await sequenceOf(names), 2);
  await buryCollector(names);
  assert.equal(await sequenceOf(names), 2);
  await writeRecord(names, () => Promise.resolve(), () => Promise.resolve(void looked++));
  assert.equal(looked, 1);
});
