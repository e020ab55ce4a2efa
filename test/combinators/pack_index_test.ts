/** The contract of PackIndex, over the index that lives in a ByteStore. */
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { fromText } from "../../src/bytes/bytes.ts";
import { indexOver } from "../../src/combinators/pack_index.ts";
import { packIndexContract } from "../contract/pack_index.ts";
import { testContract } from "../contract/run.ts";

testContract("index over memory", packIndexContract, () => indexOver(openMemory()));

Deno.test("index over memory: what it holds is there when it is opened again", async () => {
  const store = openMemory();
  const first = await indexOver(store);
  await first.add("pack/a", true, [{ key: "k", offset: 1, length: 2 }]);
  assert.equal((await indexOver(store)).complete, false);
  await first.setComplete();
  const second = await indexOver(store);
  assert.equal(second.complete, true);
  assert.deepEqual(await second.get("k"), { pack: "pack/a", small: true, offset: 1, length: 2 });
});

Deno.test("index over memory: forgotten values noted without a length are known", async () => {
  const store = openMemory();
  await store.put("index-deleted/pack/a", fromText("k\nl\n"));
  const index = await indexOver(store);
  await index.add("pack/a", true, [{ key: "m", offset: 0, length: 3 }]);
  await index.delete("m");
  assert.deepEqual([...await index.deletedFrom("pack/a")].sort(), ["k", "l", "m"]);
  assert.deepEqual((await Array.fromAsync(index.packs())).map(({ dead }) => dead), [3]);
});
