/** Where the kernel cannot run, everything gives the same results. */
import assert from "node:assert/strict";
import { blake3 } from "../../src/hash/blake3.ts";
import { subtreeValue } from "../../src/hash/blake3_tree.ts";
import { cutPoint } from "../../src/hash/fastcdc.ts";
import { chunksOf } from "../castore/_chunks.ts";
import { permissions, testNeeding } from "../needs.ts";
import { seededBytes } from "./_inputs.ts";

const test = testNeeding(permissions);

const BYTES = seededBytes(1_000_000, 31);
const LENGTHS = [1, 1024, 5000, 131_073, 1_000_000];

for (const without of ["simd", "compiling"]) {
  test(`without ${without}`, async () => {
    const worker = new Worker(new URL("_fallback_worker.ts", import.meta.url), { type: "module" });
    try {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      worker.postMessage({ without, bytes: BYTES, lengths: LENGTHS });
      const inputs = LENGTHS.map((length) => BYTES.subarray(0, length));
      assert.deepEqual(await promise, {
        together: inputs.map((input) => blake3(input)),
        chunks: [...chunksOf(BYTES)].map((chunk) => blake3(chunk)),
        blob: blake3(BYTES),
        kernelName: "hash-wasm",
        digests: inputs.map((input) => blake3(input)),
        inPieces: inputs.map((input) => blake3(input)),
        subtrees: inputs.map((input) => subtreeValue(input, 1024)),
        cuts: inputs.map((input) => cutPoint(input)),
      });
    } finally {
      worker.terminate();
    }
  });
}
