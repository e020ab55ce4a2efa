/**
 * Slices with random damage: a verifier refuses them as it says it does, or gives the very bytes that were asked for;
 * whatever it gave before it refused is their beginning.
 */
import assert from "node:assert/strict";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { FormatError } from "../../src/errors.ts";
import { blobOf, outcomeOf, sliceOf } from "../hash/_bao.ts";
import { seeded, seededBytes } from "../hash/_inputs.ts";

const ROUNDS = 15_000;
const MILLISECONDS = 8_000;

type Random = (below: number) => number;

/** Mostly where a node may begin. */
function place(bytes: Bytes, random: Random): number {
  const at = random(bytes.length + 1);
  return random(2) ? at : Math.min(bytes.length, 8 + at - at % 64);
}

function bitChanged(bytes: Bytes, random: Random): Bytes {
  const changed = bytes.slice();
  if (bytes.length > 0) changed[random(bytes.length)] ^= 1 << random(8);
  return changed;
}

const MUTATIONS: ((bytes: Bytes, other: Bytes, random: Random) => Bytes)[] = [
  (bytes, _, random) => bitChanged(bytes, random),
  (bytes, _, random) => concat([bitChanged(bytes.subarray(0, 8), random), bytes.subarray(8)]),
  (bytes, other, random) =>
    concat([bytes.subarray(0, place(bytes, random)), other.subarray(place(other, random))]),
  (bytes, other) => concat([other.subarray(0, 8), bytes.subarray(8)]),
  (bytes, _, random) => bytes.subarray(0, place(bytes, random)),
  (bytes, _, random) => {
    const at = place(bytes, random);
    return concat([bytes.subarray(0, at), bytes.subarray(at + 64 * random(20))]);
  },
  (bytes, other) => concat([bytes, other]),
  (_, other) => other,
];

Deno.test("damaged slices are refused, or give the right bytes", async () => {
  const all = seededBytes(60_000, 81);
  const blobs = [0, 1, 4].flatMap((log) =>
    [0, 1, 1025, 9000, 60_000].map((size) => blobOf(all.subarray(0, size), log))
  );
  const until = Date.now() + MILLISECONDS;
  let refused = 0;
  let accepted = 0;
  for (let round = 0; round < ROUNDS && Date.now() < until; round++) {
    const random = seeded(round + 1);
    for (let i = 0; i < 20; i++) random(2); // the first numbers of near seeds are alike
    const anyRange = () => {
      const start = random(random(2) ? 3000 : 62_000);
      return { start, end: start + random([1, 2000, 62_000][random(3)]) };
    };
    const blob = blobs[random(blobs.length)];
    const range = anyRange();
    const proveSize = random(4) > 0;
    let encoded = await sliceOf(blob, range, { proveSize });
    const other = await sliceOf(random(2) ? blob : blobs[random(blobs.length)], anyRange(), { proveSize });
    for (let i = random(3); i >= 0; i--) {
      encoded = MUTATIONS[random(MUTATIONS.length)](encoded, other, random);
    }
    const { bytes, error, size } = await outcomeOf(
      blob,
      range,
      encoded,
      { proveSize },
      () => 1 + random(20_000),
    );
    const right = blob.bytes.subarray(range.start, range.end);
    if (error === undefined) {
      assert.ok(Buffer.compare(bytes, right) === 0, `round ${round}`);
      assert.ok(size === (proveSize ? blob.size : size && blob.size), `round ${round}: ${size}`);
      accepted++;
    } else {
      assert.ok(error instanceof FormatError, `round ${round}: ${error}`);
      assert.ok(
        Buffer.compare(bytes, right.subarray(0, bytes.length)) === 0,
        `round ${round}: other bytes came out`,
      );
      refused++;
    }
  }
  // Both ends must have been reached often, or the mutations are useless.
  assert.ok(refused > 1000 && accepted > 100, `${refused} refused, ${accepted} accepted`);
});
