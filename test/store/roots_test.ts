/** Pins: names that keep paths. What they do to a collection is tested with that. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { FormatError, MissingError } from "../../src/errors.ts";
import { MAX_PIN_NAME_LENGTH, pinsOver } from "../../src/store/roots.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { pathOf, Site } from "./_garbage.ts";

async function openSite(): Promise<Site> {
  const site = new Site({ names: openMemory(), bytes: openMemory() });
  for (const name of ["a", "b"]) await site.add(name, pattern(3));
  return site;
}

Deno.test("pins: added, found, listed by name, moved and removed", async () => {
  const { names } = await openSite();
  const [a, b] = [pathOf("a").hashPart, pathOf("b").hashPart];
  const pins = pinsOver(names, () => 12345);
  assert.equal(await pins.get("web"), undefined);
  assert.deepEqual(await pins.add("web", a), { name: "web", hashPart: a, pinnedAt: 12345 });
  await pins.add("releases/2.12", b);
  await pins.add("also", a);
  assert.deepEqual((await Array.fromAsync(pins.list())).map(({ name, hashPart }) => [name, hashPart]), [
    ["also", a],
    ["releases/2.12", b],
    ["web", a],
  ]);
  await pins.add("web", b);
  assert.equal((await pins.get("web"))!.hashPart, b);
  assert.equal(await pins.remove("web"), true);
  assert.equal(await pins.remove("web"), false);
  assert.equal(await pins.get("web"), undefined);
  assert.deepEqual(await Array.fromAsync(names.list("root/")), ["root/also", "root/releases/2.12"]);
});

Deno.test("pins: a path that is not here is a MissingError, and the pin stays as it was", async () => {
  const pins = pinsOver((await openSite()).names);
  await assert.rejects(pins.add("web", "0".repeat(32)), MissingError);
  assert.equal(await pins.get("web"), undefined);
  await pins.add("web", pathOf("a").hashPart);
  await assert.rejects(pins.add("web", "0".repeat(32)), MissingError);
  assert.equal((await pins.get("web"))!.hashPart, pathOf("a").hashPart);
});

Deno.test("pins: names outside the grammar are a FormatError, others are taken", async () => {
  const pins = pinsOver((await openSite()).names);
  const { hashPart } = pathOf("a");
  const long = "x".repeat(MAX_PIN_NAME_LENGTH);
  for (const name of ["", " ", "a b", "-a", ".a", "/a", "a\n", "é", "a\0", long + "x", "a*"]) {
    for (const call of [() => pins.add(name, hashPart), () => pins.get(name), () => pins.remove(name)]) {
      await assert.rejects(call, FormatError, JSON.stringify(name));
    }
  }
  for (const name of [long, "0", "a+b-c._@:d/e", "A/../b"]) {
    await pins.add(name, hashPart);
    assert.equal((await pins.get(name))!.name, name);
  }
});
