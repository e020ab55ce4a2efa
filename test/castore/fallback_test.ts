/** Where the kernel cannot run, outboards are made when they are asked for. */
import assert from "node:assert/strict";
import { toHex } from "../../src/bytes/hex.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { integerBytes } from "../hash/_bao.ts";
import { permissions, testNeeding } from "../needs.ts";
import baoTree from "../vectors/bao/bao_tree.json" with { type: "json" };

testNeeding(permissions)(
  "blobs without the kernel: no outboard while storing, the same one later",
  async () => {
    const worker = new Worker(new URL("_fallback_worker.ts", import.meta.url), { type: "module" });
    try {
      const answer = Promise.withResolvers<MessageEvent["data"]>();
      worker.onmessage = ({ data }) => answer.resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        answer.reject(new Error(event.message));
      };
      const { size, digest, outboard } = baoTree.cases.at(-1)!;
      worker.postMessage(integerBytes(size));
      const given = await answer.promise;
      assert.deepEqual([given.before, given.after], [[], [`outboard/${digest}`]]);
      assert.deepEqual([given.outboard.length, toHex(blake3(given.outboard)).slice(0, 32)], outboard);
    } finally {
      worker.terminate();
    }
  },
);
