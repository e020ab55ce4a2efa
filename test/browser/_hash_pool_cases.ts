/** A pool of workers that hash, where there may be no memory to share: the digests are right in any case. */
import { toHex } from "../../src/bytes/hex.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { openHashPool } from "../../src/hash/hash_pool.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { pattern } from "../contract/_byte_store_samples.ts";
import { ensureSame } from "../contract/case.ts";
import type { Suite } from "./_case.ts";

const BYTES = pattern(3_000_000);

async function sha256(): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest("SHA-256", BYTES)));
}

/** Whether this thread can share memory, and wait for another. */
function mayShare(): boolean {
  return globalThis.crossOriginIsolated === true && typeof document === "undefined";
}

export const hashPoolCases: Suite = {
  name: "hash pool",
  cases: [
    {
      name: "hashes are right, with workers where those can be had and quietly without them elsewhere",
      async run() {
        let spawned = 0;
        const spawn = () => {
          spawned++;
          return new Worker(new URL("/page.js#lane", location.href), { type: "module" });
        };
        await using pool = openHashPool({ hashes: portableHashes, spawn, workers: 2, hashers: 2 });
        ensureSame(spawned, mayShare() ? 2 : 0, "workers that were started");
        ensureSame(await pool.started(mayShare() ? 20_000 : 50), mayShare(), "whether they take work");
        const [sha, hasher] = [await pool.create("sha256"), pool.createBlake3()];
        for (let at = 0; at < BYTES.length; at += 100_000) {
          sha.update(BYTES.subarray(at, at + 100_000));
          hasher.update(BYTES.subarray(at, at + 100_000));
        }
        ensureSame(toHex(sha.digest()), await sha256(), "SHA-256");
        ensureSame(toHex(hasher.digest()), toHex(blake3(BYTES)), "BLAKE3");
      },
    },
  ],
};
