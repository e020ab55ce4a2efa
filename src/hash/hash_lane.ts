/**
 * A ring of work for one worker that hashes, in shared memory: this thread fills slots, the worker empties them in order.
 *
 *   lane     := ready i32, 124 bytes free, SLOTS × control, SLOTS × body
 *   control  := state i32, operation i32, hasher i32, hash i32, count i32, result length i32, place f64, 96 bytes free
 *   body     := lengths input            before the work is done
 *             | result                   after
 *   lengths  := count × i32              of the inputs, which follow each other
 *
 * The worker waits by blocking. So does this side for a whole ring and for a digest of a hasher, whose calls return when they are
 * done; browsers forbid that to a page's own thread: see `hash_pool.ts`. For work whose result is promised nobody blocks.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { HASH_LENGTHS, type HashName } from "./hasher.ts";

/** Slots in a ring: enough that neither side waits for the other at every turn. */
export const SLOTS = 16;
/** Bytes of input a slot takes: the longest chunk. */
export const SLOT_LENGTH = 512 * 1024;
/** Inputs a slot takes. */
export const SLOT_INPUTS = 1024;

const CONTROL = 128;
const BODIES = CONTROL * (1 + SLOTS);
const BODY = 4 * SLOT_INPUTS + SLOT_LENGTH;
const PLACE = 24;
/** Words of a control. */
const STATE = 0, OPERATION = 1, HASHER = 2, HASH = 3, COUNT = 4, RESULT_LENGTH = 5;
const NAMES = Object.keys(HASH_LENGTHS) as HashName[];
/** Milliseconds after which a worker that does not answer is given up. */
const PATIENCE = 60_000;

/** Slots that may wait where others could do the work, and the milliseconds after which a worker is taken to lag. */
const QUEUED = 4, LAGGING = 2;

/** States of a slot. What is in one that is full belongs to the worker, else to the other side. */
const FULL = 1;
export const DONE = 2, FAILED = 3;

/** What a worker is asked for. */
export type Work =
  /** Adds input to a hash, which the first of it starts. */
  | { operation: "update"; hasher: number; hash: HashName }
  /** Ends a hash that has had input: the result is its digest. */
  | { operation: "digest"; hasher: number }
  /** Forgets a hash that nobody will end. */
  | { operation: "forget"; hasher: number }
  /** The result is the chaining value of the input as a subtree of BLAKE3 that begins at this chunk. */
  | { operation: "subtree"; place: number }
  /** The result is the BLAKE3 digests of the inputs. */
  | { operation: "digests" }
  /** The result is the digest of the input, a chunk at this byte of its blob, and the values of the groups in it. */
  | { operation: "chunk"; place: number }
  /** Nothing will follow. */
  | { operation: "stop" };

const OPERATIONS: Work["operation"][] = ["update", "digest", "forget", "subtree", "digests", "chunk", "stop"];

/** Memory for a lane. Throws where memory cannot be shared. */
export function laneMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(BODIES + SLOTS * BODY);
}

/** What both sides see of a lane. */
export class LaneSlots {
  readonly #words: Int32Array;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#view = new DataView(memory);
    this.#bytes = new Uint8Array(memory);
  }

  /** Whether the worker has begun to look at its slots. */
  get ready(): boolean {
    return Atomics.load(this.#words, 0) === 1;
  }

  setReady(): void {
    Atomics.store(this.#words, 0, 1);
  }

  state(slot: number): number {
    return Atomics.load(this.#words, word(slot, STATE));
  }

  setState(slot: number, state: number): void {
    Atomics.store(this.#words, word(slot, STATE), state);
    Atomics.notify(this.#words, word(slot, STATE));
  }

  /** Waits until the worker is done with a slot, at most so long. */
  waitWhileFull(slot: number, milliseconds: number): void {
    Atomics.wait(this.#words, word(slot, STATE), FULL, milliseconds);
  }

  waitUntilFull(slot: number): void {
    for (let state = this.state(slot); state !== FULL; state = this.state(slot)) {
      Atomics.wait(this.#words, word(slot, STATE), state);
    }
  }

  /** Resolves when the worker is done with a slot, or after so long. */
  async whileFull(slot: number, milliseconds: number): Promise<void> {
    await Atomics.waitAsync(this.#words, word(slot, STATE), FULL, milliseconds).value;
  }

  write(slot: number, work: Work, inputs: readonly Uint8Array[]): void {
    this.#words[word(slot, OPERATION)] = OPERATIONS.indexOf(work.operation);
    this.#words[word(slot, HASHER)] = "hasher" in work ? work.hasher : 0;
    this.#words[word(slot, HASH)] = "hash" in work ? NAMES.indexOf(work.hash) : 0;
    this.#words[word(slot, COUNT)] = inputs.length;
    this.#view.setFloat64(control(slot) + PLACE, "place" in work ? work.place : 0);
    let at = body(slot) + 4 * inputs.length;
    for (let i = 0; i < inputs.length; i++) {
      this.#words[body(slot) / 4 + i] = inputs[i].length;
      this.#bytes.set(inputs[i], at);
      at += inputs[i].length;
    }
  }

  work(slot: number): Work {
    const operation = OPERATIONS[this.#words[word(slot, OPERATION)]];
    const hasher = this.#words[word(slot, HASHER)];
    switch (operation) {
      case "update":
        return { operation, hasher, hash: NAMES[this.#words[word(slot, HASH)]] };
      case "subtree":
      case "chunk":
        return { operation, place: this.#view.getFloat64(control(slot) + PLACE) };
      case "digest":
      case "forget":
        return { operation, hasher };
      default:
        return { operation };
    }
  }

  /** The inputs: views of shared memory. */
  inputs(slot: number): Uint8Array[] {
    const count = this.#words[word(slot, COUNT)];
    let at = body(slot) + 4 * count;
    return Array.from({ length: count }, (_, i) => {
      const length = this.#words[body(slot) / 4 + i];
      return this.#bytes.subarray(at, at += length);
    });
  }

  /** Puts results after each other, where the inputs were. */
  setResult(slot: number, ...results: readonly Uint8Array[]): void {
    let at = body(slot);
    for (const result of results) {
      this.#bytes.set(result, at);
      at += result.length;
    }
    this.#words[word(slot, RESULT_LENGTH)] = at - body(slot);
  }

  result(slot: number): Bytes {
    const start = body(slot);
    return new Uint8Array(this.#bytes.subarray(start, start + this.#words[word(slot, RESULT_LENGTH)]));
  }
}

/** Bytes before a slot's control. */
function control(slot: number): number {
  return CONTROL * (1 + slot);
}

/** Bytes before a slot's body. */
function body(slot: number): number {
  return BODIES + slot * BODY;
}

function word(slot: number, index: number): number {
  return control(slot) / 4 + index;
}

type Wanted = (result: Bytes) => void;

/** This thread's side of a lane. */
export class HashLane {
  /** Hashes under way here. */
  hashers = 0;
  #slots: LaneSlots;
  #next = 0;
  /** Who wants the result of each slot. */
  #wanted: (Wanted | undefined)[] = new Array(SLOTS).fill(undefined);
  /** When each slot was filled. */
  #putAt = new Float64Array(SLOTS);
  #stopped = false;

  constructor(memory: SharedArrayBuffer) {
    this.#slots = new LaneSlots(memory);
  }

  /** Whether the worker has started, and has neither been stopped nor failed. */
  get ready(): boolean {
    return !this.#stopped && this.#slots.ready;
  }

  /** Slots whose work is not done. */
  get waiting(): number {
    let count = 0;
    for (let slot = 0; slot < SLOTS; slot++) if (this.#slots.state(slot) === FULL) count++;
    return count;
  }

  /**
   * Whether what is put now will not wait for long: little waits, and what waits was put lately. A worker that gets no time from
   * the system, because others want the processors too, is left alone until it has caught up.
   */
  get hasTime(): boolean {
    const last = (this.#next + SLOTS - 1) % SLOTS;
    if (this.#slots.state(last) !== FULL) return true;
    const oldest = (this.#next + SLOTS - QUEUED) % SLOTS;
    if (this.#slots.state(oldest) === FULL) return false;
    let first = last;
    for (let before = first; this.#slots.state(before) === FULL; before = (before + SLOTS - 1) % SLOTS) {
      first = before;
    }
    return performance.now() - this.#putAt[first] < LAGGING;
  }

  /** Puts work of at most one slot's inputs, which are read before this returns. `done` gets the result some time later. */
  put(work: Work, inputs: readonly Uint8Array[], done?: Wanted): void {
    if (this.#stopped) throw new Error("Cannot hash: the workers that hash have been stopped");
    const slot = this.#next;
    this.#take(slot);
    this.#slots.write(slot, work, inputs);
    this.#wanted[slot] = done;
    this.#putAt[slot] = performance.now();
    this.#slots.setState(slot, FULL);
    this.#next = (slot + 1) % SLOTS;
  }

  /** As {@link put}, and gives a promise of what `read` makes of the result. Nobody blocks for it. */
  promise<T>(work: Work, inputs: readonly Uint8Array[], read: (result: Bytes) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const wanted = (result: Bytes) => resolve(read(result));
      this.put(work, inputs, wanted);
      const slot = (this.#next + SLOTS - 1) % SLOTS;
      this.#slots.whileFull(slot, PATIENCE).then(() => {
        // It may have been handed on already, and the slot be somebody else's now.
        if (this.#wanted[slot] === wanted) this.#take(slot);
      }).catch(reject);
    });
  }

  /** Waits for the result of each slot, and hands it to who wants it. */
  drain(): void {
    for (let i = 0; i < SLOTS; i++) this.#take((this.#next + i) % SLOTS);
  }

  /** Asks the worker to end, now or as soon as it has started, also one that has failed. Says whether it could be asked. */
  stop(): boolean {
    const slot = this.#next;
    this.#stopped = true;
    this.#slots.waitWhileFull(slot, PATIENCE);
    if (this.#slots.state(slot) === FULL) return false;
    this.#slots.write(slot, { operation: "stop" }, []);
    this.#slots.setState(slot, FULL);
    return true;
  }

  /** Waits until a slot is free, and hands on its result. */
  #take(slot: number): void {
    this.#slots.waitWhileFull(slot, PATIENCE);
    const state = this.#slots.state(slot);
    if (state === FULL || state === FAILED) {
      this.#stopped = true;
      const how = state === FULL ? "does not answer" : "has failed";
      throw new Error(`Cannot hash: the worker that hashes ${how}; what comes next is hashed without it`);
    }
    const wanted = this.#wanted[slot];
    this.#wanted[slot] = undefined;
    wanted?.(this.#slots.result(slot));
  }
}
