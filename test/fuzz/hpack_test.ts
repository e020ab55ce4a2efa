/**
 * Header blocks of random bytes, and good ones with random damage: the decoder reads them or refuses them as it says it does,
 * within its bounds. What the encoder writes for random lists is read back as the same lists, whatever the table's sizes.
 */
import assert from "node:assert/strict";
import { HeaderListTooLargeError, HpackDecoder, HpackError } from "../../src/adapters/http2/hpack_decoder.ts";
import { HpackEncoder } from "../../src/adapters/http2/hpack_encoder.ts";
import { type HeaderField, sizeOf } from "../../src/adapters/http2/hpack_tables.ts";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";

const MILLISECONDS = 4_000;
const MAX_LIST_SIZE = 2000;

/** The mulberry32 generator: integers below a bound, the same for the same seed. */
function generator(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

type Random = (below: number) => number;

function randomBytes(length: number, random: Random): Bytes {
  return Uint8Array.from({ length }, () => random(256));
}

const NAMES = [":status", ":path", "content-type", "grpc-status", "cookie", "etag", "x-one", "x-two"];
const VALUES = ["", "200", "0", "/a/b", "application/grpc", "trailers", "x".repeat(300)];

function randomText(random: Random): string {
  return String.fromCharCode(...randomBytes(random(random(20) ? 40 : 3000), random));
}

function randomList(random: Random): HeaderField[] {
  return Array.from({ length: random(12) }, () => [
    random(8) ? NAMES[random(NAMES.length)] : randomText(random),
    random(4) ? VALUES[random(VALUES.length)] : randomText(random),
  ]);
}

const SIZES = [0, 31, 32, 64, 100, 1000, 4096, 100_000];

Deno.test("random lists are read back, in one connection with tables of changing size", () => {
  const until = Date.now() + MILLISECONDS;
  let lists = 0;
  for (let round = 0; round < 400 && Date.now() < until; round++) {
    const random = generator(round);
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder({ maxTableSize: 4096, maxListSize: Infinity });
    for (let i = 0; i < 40; i++, lists++) {
      let size: number | undefined;
      for (let changes = random(8) ? 0 : 1 + random(2); changes > 0; changes--) {
        size = SIZES[random(SIZES.length)];
        encoder.setMaxTableSize(size);
      }
      // The last one is in force when the block comes. Those before it were, too, at some time.
      if (size !== undefined) decoder.setMaxTableSize(size);
      const fields = randomList(random);
      assert.deepEqual(decoder.decode(encoder.encode(fields)), fields, `round ${round}, list ${i}`);
    }
  }
  assert.ok(lists > 1000, `${lists} lists`);
});

function damaged(block: Bytes, random: Random): Bytes {
  const at = random(block.length + 1);
  switch (random(5)) {
    case 0:
      return randomBytes(random(60), random);
    case 1:
      return block.subarray(0, at);
    case 2:
      return concat([block.subarray(0, at), randomBytes(1 + random(4), random), block.subarray(at)]);
    case 3:
      return concat([block.subarray(0, at), block.subarray(random(block.length + 1))]);
    default: {
      const changed = block.slice();
      if (at < block.length) changed[at] ^= 1 << random(8);
      return changed;
    }
  }
}

Deno.test("damaged blocks are refused, or are a list within its bound", () => {
  const until = Date.now() + MILLISECONDS;
  const seen = { read: 0, refused: 0, tooLarge: 0 };
  for (let round = 0; round < 20_000 && Date.now() < until; round++) {
    const random = generator(round);
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder({ maxTableSize: 4096, maxListSize: MAX_LIST_SIZE });
    for (let i = 0; i < 4; i++) {
      const block = encoder.encode(randomList(random));
      try {
        const fields = decoder.decode(i < 1 ? block : damaged(block, random));
        const size = fields.reduce((sum, field) => sum + sizeOf(field), 0);
        assert.ok(size <= MAX_LIST_SIZE, `round ${round}: ${size} bytes`);
        seen.read++;
      } catch (error) {
        if (error instanceof HeaderListTooLargeError) seen.tooLarge++;
        else if (error instanceof HpackError) seen.refused++;
        else throw error;
      }
    }
  }
  // All ends must have been reached often, or the damage is useless.
  assert.ok(Math.min(seen.read, seen.refused, seen.tooLarge) > 500, JSON.stringify(seen));
});

Deno.test("a connection of damaged blocks keeps no more than its table", () => {
  const decoder = new HpackDecoder({ maxTableSize: 4096, maxListSize: MAX_LIST_SIZE });
  const random = generator(1);
  const before = memory();
  for (let i = 0; i < 300; i++) {
    // A field of 100 KB that is to be added, with a name of its own: larger than the table, which it empties.
    const length = 100_000;
    const block = new Uint8Array(length + 7).fill(97 + random(20));
    block.set([0x40, 1, 98, 0x7f, 0xa1, 0x8c, 0x06]);
    assert.throws(() => decoder.decode(block), HeaderListTooLargeError);
  }
  assert.ok(memory() - before < 20 << 20, `${memory() - before} bytes`);
});

function memory(): number {
  return Deno.memoryUsage().heapUsed;
}
