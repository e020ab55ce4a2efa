/** The worker's side of a lane: what the entry of a worker that hashes calls. */
import type { Bytes } from "../bytes/bytes.ts";
import { subtreeValue } from "./blake3_tree.ts";
import type { Hasher, HashProvider } from "./hasher.ts";
import { DONE, FAILED, LaneSlots, SLOT_LENGTH, SLOTS } from "./hash_lane.ts";

/**
 * Does what is asked for in a lane until that is to stop. It blocks this thread while there is nothing to do. After a
 * failure every slot fails: a digest that lacks some of its input must not be given.
 */
export async function serveLane(memory: SharedArrayBuffer, hashes: HashProvider): Promise<void> {
  const slots = new LaneSlots(memory);
  const hashers = new Map<number, Hasher>();
  // Input is copied here first: not every platform's hashes read shared memory.
  const buffer: Bytes = new Uint8Array(SLOT_LENGTH);
  let failed = false;
  slots.setReady();
  for (let slot = 0;; slot = (slot + 1) % SLOTS) {
    slots.waitUntilFull(slot);
    const work = slots.work(slot);
    if (work.operation === "stop") return slots.setState(slot, DONE);
    try {
      const shared = slots.input(slot);
      buffer.set(shared);
      const input = buffer.subarray(0, shared.length);
      switch (work.operation) {
        case "update": {
          const hasher = hashers.get(work.hasher) ?? await hashes.create(work.hash);
          hashers.set(work.hasher, hasher);
          hasher.update(input);
          break;
        }
        case "digest":
          slots.setResult(slot, hashers.get(work.hasher)!.digest());
          hashers.delete(work.hasher);
          break;
        case "forget":
          hashers.delete(work.hasher);
          break;
        case "subtree":
          slots.setResult(slot, subtreeValue(input, work.firstChunk));
      }
    } catch {
      failed = true;
    }
    slots.setState(slot, failed ? FAILED : DONE);
  }
}
