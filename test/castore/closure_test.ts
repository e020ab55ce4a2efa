/** The check of closures given leaves first: the rows that other implementations test, and both rules of sizes. */
import assert from "node:assert/strict";
import { LeavesFirstCheck } from "../../src/castore/closure.ts";
import type { Digest } from "../../src/castore/digest.ts";
import { directoryDigest, directoryOf } from "../../src/castore/directory.ts";
import { FormatError } from "../../src/errors.ts";
import {
  A,
  B,
  C,
  COMPLICATED,
  COMPLICATED_SNIX,
  D,
  D_SNIX,
  folder,
  type KnownDirectory,
  WITH_KEEP,
} from "../contract/_castore_samples.ts";

function check(list: KnownDirectory[]): Digest {
  const leavesFirst = new LeavesFirstCheck();
  for (const { directory, digest } of list) leavesFirst.add(directory, digest);
  return leavesFirst.root();
}

function made(...items: [string, KnownDirectory, bigint][]): KnownDirectory {
  const directory = directoryOf(items.map(([name, { digest }, size]) => folder(name, digest, size)));
  return { directory, digest: directoryDigest(directory) };
}

Deno.test("closure: what is one", () => {
  const closures = [[A], [A, B], [A, A, C], [A, C], [A, B, D], [A, B, D_SNIX]];
  closures.push([WITH_KEEP, COMPLICATED], [WITH_KEEP, COMPLICATED_SNIX], [A, B, B], [A, B, A, B, D]);
  for (const closure of closures) assert.deepEqual(check(closure), closure.at(-1)!.digest);
});

Deno.test("closure: what is none, and why", () => {
  const rows: [KnownDirectory[], RegExp][] = [
    [[], /there are none/],
    [[A, C, B], /not all connected/],
    [[A, WITH_KEEP], /not all connected/],
    [[A, B, A], /not all connected/],
    [[WITH_KEEP, COMPLICATED, A, B], /not all connected/],
    [[B], /"a" refers to .* did not come before/],
    [[B, A], /did not come before/],
    [[A, D], /"b" refers to .* did not come before/],
    [[A, made(["a", A, 42n])], /"a" has the wrong size, 42/],
    [[WITH_KEEP, made(["keep", WITH_KEEP, 43n])], /"keep" has the wrong size, 43/],
    [[WITH_KEEP, made(["keep", WITH_KEEP, 0n])], /wrong size, 0/],
  ];
  for (const [list, why] of rows) {
    assert.throws(
      () => check(list),
      (error) => error instanceof FormatError && why.test(error.message),
      `${why}`,
    );
  }
});

Deno.test("closure: both rules of sizes, but one in one closure", () => {
  const one = made(["keep", WITH_KEEP, 1n]);
  const two = made(["keep", WITH_KEEP, 2n]);
  check([WITH_KEEP, one]);
  check([WITH_KEEP, two]);
  const both = made(["one", one, 2n], ["two", two, 4n]);
  assert.throws(() => check([WITH_KEEP, one, two, both]), /wrong size/);
  // A chain: the first edge chooses the rule, the next must keep to it.
  check([WITH_KEEP, one, made(["c", one, 2n])]);
  check([WITH_KEEP, two, made(["c", two, 4n])]);
  for (const [below, size] of [[one, 3n], [two, 3n], [one, 4n], [two, 2n]] as const) {
    assert.throws(() => check([WITH_KEEP, below, made(["c", below, size])]), /wrong size/, `${size}`);
  }
  // An edge to an empty Directory chooses nothing.
  check([A, WITH_KEEP, made(["a", A, 0n], ["b", WITH_KEEP, 2n])]);
});
