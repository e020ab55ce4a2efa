// Revoked tokens: what is kept, for how long, and what can be an id.
import assert from "node:assert/strict";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { FormatError } from "../../src/errors.ts";
import { revocationsOver } from "../../src/store/revocations.ts";

const DAY = 86_400_000;

Deno.test("a revoked token is known to all who share the names", async () => {
  const names = openMemory();
  const [one, other] = [revocationsOver(names, () => 1000), revocationsOver(names)];
  assert.equal(await one.has("abcdefgh"), false);
  await one.add("abcdefgh", 5000);
  await one.add("zzzzzzzz");
  assert.equal(await other.has("abcdefgh"), true);
  assert.equal(await other.has("abcdefgi"), false);
  assert.deepEqual(await Array.fromAsync(other.list()), [
    { id: "abcdefgh", revokedAt: 1000, expiresAt: 5000 },
    { id: "zzzzzzzz", revokedAt: 1000 },
  ]);
  assert.deepEqual(await Array.fromAsync(names.list("")), ["revoked/abcdefgh", "revoked/zzzzzzzz"]);
  assert.equal(
    (await names.get("revoked/abcdefgh"))!.toHex(),
    "08e8071088" + "27",
    "field 1: 1000, field 2: 5000",
  );
  assert.equal((await names.get("revoked/zzzzzzzz"))!.toHex(), "08e807");
});

Deno.test("revoking again never makes it shorter", async () => {
  const names = openMemory();
  let now = 1000;
  const revocations = revocationsOver(names, () => now);
  const expiry = async () => (await Array.fromAsync(revocations.list()))[0].expiresAt;
  await revocations.add("abcdefgh", 5000);
  now = 2000;
  await revocations.add("abcdefgh", 4000);
  assert.equal(await expiry(), 5000);
  await revocations.add("abcdefgh", 6000);
  assert.equal(await expiry(), 6000);
  await revocations.add("abcdefgh");
  assert.equal(await expiry(), undefined);
  await revocations.add("abcdefgh", 7000);
  assert.equal(await expiry(), undefined);
  assert.equal((await Array.fromAsync(revocations.list()))[0].revokedAt, 1000);
});

Deno.test("what expired over a day ago is forgotten, and nothing else", async () => {
  const names = openMemory();
  let now = 0;
  const revocations = revocationsOver(names, () => now);
  await revocations.add("expires1", 1000);
  await revocations.add("expires2", 2000);
  await revocations.add("forever1");
  now = 1000 + DAY;
  assert.equal(await revocations.sweep(), 1);
  assert.deepEqual((await Array.fromAsync(revocations.list())).map(({ id }) => id), ["expires2", "forever1"]);
  now = 1e15;
  assert.equal(await revocations.sweep(), 1);
  assert.equal(await revocations.has("forever1"), true);
});

Deno.test("an id is 8 to 64 lower-case letters and digits", async () => {
  const revocations = revocationsOver(openMemory());
  for (
    const id of [
      "",
      "short",
      "UPPERCASE",
      "with/slash",
      "../../path",
      "a".repeat(65),
      "eyJhbGciOi.J9",
      "äöüäöüäö",
    ]
  ) {
    await assert.rejects(revocations.add(id), FormatError, id);
    await assert.rejects(revocations.has(id), FormatError, id);
  }
});
