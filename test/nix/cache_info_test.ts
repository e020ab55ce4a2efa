import assert from "node:assert/strict";
import { FormatError, LimitError } from "../../src/errors.ts";
import { formatCacheInfo, parseCacheInfo } from "../../src/nix/cache_info.ts";

Deno.test("nix-cache-info as cache.nixos.org serves it", () => {
  const text = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n";
  const info = parseCacheInfo(text);
  assert.deepEqual(info, { storeDir: "/nix/store", wantMassQuery: true, priority: 40 });
  assert.equal(formatCacheInfo(info), text);
});

Deno.test("nix-cache-info: what is missing, unknown or spaced differently", () => {
  assert.deepEqual(parseCacheInfo(""), {
    storeDir: "/nix/store",
    wantMassQuery: false,
    priority: undefined,
  });
  assert.deepEqual(
    parseCacheInfo("StoreDir:/opt/store\r\nWantMassQuery:  0 \nFuture: x\n\nno colon\nPriority: -7"),
    { storeDir: "/opt/store", wantMassQuery: false, priority: -7 },
  );
  assert.equal(formatCacheInfo({ storeDir: "/s", wantMassQuery: false }), "StoreDir: /s\nWantMassQuery: 0\n");
});

Deno.test("nix-cache-info: unusable values are refused", () => {
  for (
    const text of ["Priority: high\n", "Priority: 1.5\n", "Priority:\n", "StoreDir: store\n", "StoreDir:\n"]
  ) {
    assert.throws(() => parseCacheInfo(text), FormatError, text);
  }
  assert.throws(() => parseCacheInfo("x".repeat(65_537)), LimitError);
});
