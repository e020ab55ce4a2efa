/**
 * Archives with random damage, cut at random: the parser either refuses them as it says it does, or the writer makes
 * the very same bytes of its tokens, for a tree has one archive only.
 */
import assert from "node:assert/strict";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { concat } from "../../src/bytes/bytes.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import type { NarToken } from "../../src/nar/reader.ts";
import { parse, vector, VECTORS, write } from "../nar/_nars.ts";
import { permissions, permitted, testNeeding } from "../needs.ts";

const test = testNeeding(permissions);

const ROUNDS = 20_000;
const MILLISECONDS = 8_000;
const ARCHIVES = permitted ? Object.keys(VECTORS).map((name) => vector(`${name}.nar`)) : [];

/** The mulberry32 generator: integers below a bound, the same for the same seed. */
function generator(seed: number): (below: number) => number {
  return (below) => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Mostly at the beginning of a word, where the lengths are. */
function place(bytes: Bytes, random: (below: number) => number): number {
  const at = random(bytes.length);
  return random(3) > 0 ? at - at % 8 : at;
}

const MUTATIONS: ((bytes: Bytes, random: (below: number) => number) => Bytes)[] = [
  (bytes, random) => {
    const changed = bytes.slice();
    changed[place(bytes, random)] ^= 1 << random(8);
    return changed;
  },
  (bytes, random) => {
    const changed = bytes.slice();
    changed[place(bytes, random)] = [0, 1, 8, 0x2e, 0x2f, 0x7f, 0x80, 0xff][random(8)];
    return changed;
  },
  (bytes, random) => {
    const at = place(bytes, random);
    return concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random(3) * 8 + random(2) * 7)]);
  },
  (bytes, random) => {
    const from = place(bytes, random);
    const part = bytes.subarray(from, from + 8 * (1 + random(30)));
    const at = place(bytes, random);
    return concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
  },
  (bytes, random) => {
    const other = ARCHIVES[random(ARCHIVES.length)];
    return concat([bytes.subarray(0, place(bytes, random)), other.subarray(place(other, random))]);
  },
  (bytes, random) => bytes.subarray(0, place(bytes, random)),
];

function* cut(bytes: Bytes, random: (below: number) => number): Generator<Bytes> {
  for (let at = 0; at < bytes.length;) {
    const length = [random(20), random(300), bytes.length][random(3)];
    yield bytes.subarray(at, at + length);
    at += length;
  }
}

test("damaged archives are refused, or are the archive of another tree", async () => {
  const until = Date.now() + MILLISECONDS;
  let refused = 0;
  let accepted = 0;
  for (let round = 0; round < ROUNDS && Date.now() < until; round++) {
    const random = generator(round);
    let bytes = ARCHIVES[random(ARCHIVES.length)];
    for (let i = random(3); i >= 0 && bytes.length > 0; i--) {
      bytes = MUTATIONS[random(MUTATIONS.length)](bytes, random);
    }
    let tokens: NarToken[];
    try {
      tokens = parse(cut(bytes, random));
    } catch (error) {
      const whole = attempt(bytes);
      assert.ok(error instanceof FormatError || error instanceof LimitError, `round ${round}: ${error}`);
      assert.equal(String(whole), String(error), `round ${round}: another error when fed at once`);
      refused++;
      continue;
    }
    assert.deepEqual(await write(tokens), bytes, `round ${round}`);
    accepted++;
  }
  // Both ends must have been reached often, or the mutations are useless.
  assert.ok(refused > 1000 && accepted > 100, `${refused} refused, ${accepted} accepted`);
});

function attempt(bytes: Bytes): unknown {
  try {
    return parse([bytes]);
  } catch (error) {
    return error;
  }
}
