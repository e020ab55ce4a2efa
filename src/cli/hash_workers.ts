/** Threads that hash beside the main one. */
import { nativeHashes } from "../adapters/native/hashes.ts";
import { type HashPool, openHashPool } from "../hash/hash_pool.ts";

/** Starts so many. */
export function openHashWorkers(workers: number): HashPool {
  const spawn = () => new Worker(new URL("hash_worker.ts", import.meta.url), { type: "module" });
  return openHashPool({ hashes: nativeHashes, spawn, workers });
}
