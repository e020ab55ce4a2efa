/** The worker's side of a lane: what the entry of a worker that hashes calls. */
import type { Bytes } from "../bytes/bytes.ts";
import { subtreeValue } from "./blake3_tree.ts";
import { stage } from "./blob_hashes.ts";
import type { Hasher, HashProvider } from "./hasher.ts";
import { DONE, FAILED, LaneSlots, SLOT_LENGTH, SLOTS } from "./hash_lane.ts";

/**
 * Does what is asked for in a lane until that is to stop. It blocks this thread while there is nothing to do. After a
 * failure every slot fails: a digest that lacks some of its input must not be given.
 */
export async function serveLane(memory: SharedArrayBuffer, hashes: HashProvider): Promise<void> {
  const slots = new LaneSlots(memory);
  const hashers = new Map<number, Hasher>();
  // Not every platform's hashes read shared memory.
  const buffer: Bytes = new Uint8Array(SLOT_LENGTH);
  const copied = (input: Uint8Array) => {
    buffer.set(input);
    return buffer.subarray(0, input.length);
  };
  let failed = false;
  slots.setReady();
  for (let slot = 0;; slot = (slot + 1) % SLOTS) {
    slots.waitUntilFull(slot);
    const work = slots.work(slot);
    if (work.operation === "stop") return slots.setState(slot, DONE);
    try {
      const inputs = slots.inputs(slot);
      switch (work.operation) {
        case "update": {
          const hasher = hashers.get(work.hasher) ?? await hashes.create(work.hash);
          hashers.set(work.hasher, hasher);
          hasher.update(copied(inputs[0]));
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
          slots.setResult(slot, subtreeValue(copied(inputs[0]), work.place));
          break;
        case "digests":
          slots.setResult(slot, ...stage!.digests(inputs));
          break;
        case "chunk": {
          const { digest, groups } = stage!.chunk(inputs[0], work.place);
          slots.setResult(slot, digest, groups);
        }
      }
    } catch {
      failed = true;
    }
    slots.setState(slot, failed ? FAILED : DONE);
  }
}
