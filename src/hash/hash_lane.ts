/**
 * A ring of work for one worker that hashes, in shared memory: this thread fills slots, the worker empties them in order.
 *
 *   lane     := ready i32, 124 bytes free, SLOTS × control, SLOTS × input
 *   control  := state i32, operation i32, hasher i32, hash i32, length i32, 4 bytes free, first chunk f64, result
 *   result   := 96 bytes, of which a digest or a chaining value takes the first 64 at most
 *   input    := SLOT_LENGTH bytes, of which `length` count
 *
 * Both sides wait by blocking, as a hasher's calls return when they are done. This side waits only where the worker is a
 * whole ring behind, and for a digest. Browsers forbid that to a page's own thread: see `hash_pool.ts`.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { HASH_LENGTHS, type HashName } from "./hasher.ts";

/** Slots in a ring: enough that neither side waits for the other at every turn. */
export const SLOTS = 16;
/** Bytes a slot takes: a subtree of BLAKE3. */
export const SLOT_LENGTH = 256 * 1024;

const CONTROL = 128;
const INPUTS = CONTROL * (1 + SLOTS);
const RESULT = 32;
/** Bytes of the longest result. */
const RESULT_LENGTH = 64;
const FIRST_CHUNK = 24;
/** Words of a control. */
const STATE = 0, OPERATION = 1, HASHER = 2, HASH = 3, LENGTH = 4;
const NAMES = Object.keys(HASH_LENGTHS) as HashName[];
/** Milliseconds after which a worker that does not answer is given up. */
const PATIENCE = 60_000;

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
  /** The result is the chaining value of the input as a subtree of BLAKE3. */
  | { operation: "subtree"; firstChunk: number }
  /** Nothing will follow. */
  | { operation: "stop" };

const OPERATIONS: Work["operation"][] = ["update", "digest", "forget", "subtree", "stop"];

/** Memory for a lane. Throws where memory cannot be shared. */
export function laneMemory(): SharedArrayBuffer {
  return new SharedArrayBuffer(INPUTS + SLOTS * SLOT_LENGTH);
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

  write(slot: number, work: Work, input: Uint8Array): void {
    this.#words[word(slot, OPERATION)] = OPERATIONS.indexOf(work.operation);
    this.#words[word(slot, HASHER)] = "hasher" in work ? work.hasher : 0;
    this.#words[word(slot, HASH)] = "hash" in work ? NAMES.indexOf(work.hash) : 0;
    this.#words[word(slot, LENGTH)] = input.length;
    this.#view.setFloat64(control(slot) + FIRST_CHUNK, "firstChunk" in work ? work.firstChunk : 0);
    this.#bytes.set(input, INPUTS + slot * SLOT_LENGTH);
  }

  work(slot: number): Work {
    const operation = OPERATIONS[this.#words[word(slot, OPERATION)]];
    const hasher = this.#words[word(slot, HASHER)];
    switch (operation) {
      case "update":
        return { operation, hasher, hash: NAMES[this.#words[word(slot, HASH)]] };
      case "subtree":
        return { operation, firstChunk: this.#view.getFloat64(control(slot) + FIRST_CHUNK) };
      case "stop":
        return { operation };
      default:
        return { operation, hasher };
    }
  }

  /** The input: a view of shared memory. */
  input(slot: number): Uint8Array {
    const start = INPUTS + slot * SLOT_LENGTH;
    return this.#bytes.subarray(start, start + this.#words[word(slot, LENGTH)]);
  }

  setResult(slot: number, result: Uint8Array): void {
    this.#bytes.set(result, control(slot) + RESULT);
  }

  result(slot: number, length: number): Bytes {
    const start = control(slot) + RESULT;
    return new Uint8Array(this.#bytes.subarray(start, start + length));
  }
}

function control(slot: number): number {
  return CONTROL * (1 + slot);
}

function word(slot: number, index: number): number {
  return control(slot) / 4 + index;
}

/** This thread's side of a lane. */
export class HashLane {
  /** Hashes under way here. */
  hashers = 0;
  #slots: LaneSlots;
  #next = 0;
  /** Who wants the result of each slot. */
  #wanted: (((result: Bytes) => void) | undefined)[] = new Array(SLOTS).fill(undefined);
  #stopped = false;

  constructor(memory: SharedArrayBuffer) {
    this.#slots = new LaneSlots(memory);
  }

  /** Whether the worker has started, and has neither been stopped nor failed. */
  get ready(): boolean {
    return !this.#stopped && this.#slots.ready;
  }

  /** Whether work put now would begin without a wait for room. */
  get hasRoom(): boolean {
    return this.#slots.state(this.#next) !== FULL;
  }

  /** Puts work of at most one slot's bytes, which are read before this returns. `done` gets the result some time later. */
  put(work: Work, input: Uint8Array, done?: (result: Bytes) => void): void {
    if (this.#stopped) throw new Error("Cannot hash: the workers that hash have been stopped");
    const slot = this.#next;
    this.#take(slot);
    this.#slots.write(slot, work, input);
    this.#wanted[slot] = done;
    this.#slots.setState(slot, FULL);
    this.#next = (slot + 1) % SLOTS;
  }

  /** Waits for the result of each slot, and hands it to who wants it. */
  drain(): void {
    for (let i = 0; i < SLOTS; i++) this.#take((this.#next + i) % SLOTS);
  }

  /** Asks the worker to end. */
  stop(): void {
    if (this.#stopped) return;
    if (this.ready) this.put({ operation: "stop" }, new Uint8Array(0));
    this.#stopped = true;
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
    this.#wanted[slot]?.(this.#slots.result(slot, RESULT_LENGTH));
    this.#wanted[slot] = undefined;
  }
}
