/** The format of packs, against bytes put together here from the rule; and that no damage of it goes unseen. */
import assert from "node:assert/strict";
import { createBLAKE3 } from "hash-wasm";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { PackWriter, readPackTable } from "../../src/combinators/pack_format.ts";
import { DamageError } from "../../src/errors.ts";
import { sameBytes } from "../bytes/_same_bytes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";

/** A number, little endian. */
function number(value: number, length: number): Bytes {
  return Uint8Array.from({ length }, (_, i) => Math.floor(value / 256 ** i) % 256);
}

async function packOf(values: [string, Bytes][]): Promise<{ pack: Bytes; digest: string }> {
  let offset = 0;
  const table = concat(values.map(([key, value]) => {
    const row = concat([number(key.length, 2), fromText(key), number(offset, 4), number(value.length, 4)]);
    offset += value.length;
    return row;
  }));
  const digest = (await createBLAKE3()).init().update(table).digest("binary") as Bytes;
  const trailer = concat([digest, number(offset, 4), number(values.length, 4), fromText("firnpak1")]);
  return { pack: concat([...values.map(([, value]) => value), table, trailer]), digest: digest.toHex() };
}

const VALUES: [string, Bytes][] = [
  ["chunk/00", pattern(5)],
  ["k", new Uint8Array(0)],
  ["dir/" + "ff".repeat(32), pattern(300)],
  ["~".repeat(512), pattern(70_000)],
];

function written(values: [string, Bytes][], room = 100_000) {
  const writer = new PackWriter(new Uint8Array(room));
  for (const [key, value] of values) assert.notEqual(writer.add(key, value), undefined);
  return writer;
}

Deno.test("pack: the bytes follow the rule", async () => {
  for (const values of [VALUES.slice(0, 1), VALUES]) {
    const { pack, digest } = await packOf(values);
    const writer = written(values);
    assert.equal(writer.length, pack.length);
    const { name, bytes } = writer.end();
    sameBytes(bytes, pack);
    assert.equal(name, digest);
  }
});

Deno.test("pack: its table says where each value lies", () => {
  const { bytes } = written(VALUES).end();
  const entries = readPackTable(bytes, "name");
  assert.deepEqual(entries.map(({ key }) => key), VALUES.map(([key]) => key));
  for (const [i, { offset, length }] of entries.entries()) {
    sameBytes(bytes.slice(offset, offset + length), VALUES[i][1]);
  }
  const view = concat([pattern(13), bytes, pattern(7)]).subarray(13, 13 + bytes.length);
  assert.deepEqual(readPackTable(view, "name"), entries);
});

Deno.test("pack: values are read while it is open, and copied when they are added", () => {
  const writer = new PackWriter(new Uint8Array(1000));
  const value = pattern(100);
  const entry = writer.add("k", value)!;
  value.fill(0);
  sameBytes(writer.value(entry), pattern(100));
});

Deno.test("pack: what does not fit is refused, to the byte, and what fits is not", () => {
  const fixed = 2 + 1 + 8 + 48;
  for (const [room, fits] of [[fixed + 9, false], [fixed + 10, true]] as const) {
    const writer = new PackWriter(new Uint8Array(room));
    assert.equal(writer.add("k", pattern(10)) !== undefined, fits);
    assert.equal(writer.entries.length, fits ? 1 : 0);
    const { bytes } = writer.end();
    assert.equal(readPackTable(bytes, "name").length, fits ? 1 : 0);
  }
});

Deno.test("pack: any damage outside the values is a DamageError", async () => {
  const { pack } = await packOf(VALUES.slice(0, 3));
  const values = 305;
  const unseen: string[] = [];
  for (let at = values; at < pack.length; at++) {
    for (const bit of [1, 128]) {
      const damaged = pack.slice();
      damaged[at] ^= bit;
      try {
        readPackTable(damaged, "name");
        unseen.push(`byte ${at - pack.length} ^ ${bit} is not noticed`);
      } catch (error) {
        if (!(error instanceof DamageError)) unseen.push(`byte ${at - pack.length} ^ ${bit} throws ${error}`);
      }
    }
  }
  assert.deepEqual(unseen, []);
});

Deno.test("pack: a pack cut short anywhere, or with more after it, is a DamageError", async () => {
  const { pack } = await packOf(VALUES.slice(0, 3));
  for (let length = 0; length < pack.length; length++) {
    assert.throws(() => readPackTable(pack.subarray(0, length), "name"), DamageError, `${length} bytes`);
  }
  assert.throws(() => readPackTable(concat([pack, new Uint8Array(1)]), "name"), DamageError);
});
