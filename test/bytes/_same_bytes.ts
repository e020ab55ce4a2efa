/** Comparing bytes: `assert.deepEqual` takes minutes to tell how two long arrays differ. */
import assert from "node:assert/strict";

/** Fails unless both are the same bytes, or both absent. */
export function sameBytes(
  actual: Uint8Array | undefined,
  expected: Uint8Array | undefined,
  about = "",
): void {
  if (actual === undefined || expected === undefined) {
    return assert.ok(actual === expected, `${about}: ${actual ? "there, want none" : "absent"}`);
  }
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  if (at < 0 && actual.length === expected.length) return;
  const first = at < 0 ? Math.min(actual.length, expected.length) : at;
  assert.fail(`${about}: ${actual.length} bytes, want ${expected.length}; they differ from byte ${first} on`);
}
