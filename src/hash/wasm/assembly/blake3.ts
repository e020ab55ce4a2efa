/**
 * BLAKE3's tree over a state (see `layout.ts`). The caller writes input into the state's window and says how much.
 *
 * Each full group becomes two chaining values on the stack, not one: were it the whole input, their parent would be
 * the root, which is hashed differently. So values are merged only when more input is there.
 */
import { hash1, hash4, hash8 } from "./compression";
import {
  CHUNK, CHUNK_END, CHUNK_START, DEPTH, FILL, FIRST, GROUP, GROUP_CHUNKS, GROUPS, NODES, PARENT, RESULTS, ROOT, STACK,
  WINDOW,
} from "./layout";

/** Makes a state ready for new input that begins at this chunk of the whole. */
export function reset(state: usize, first: f64): void {
  store<u64>(state, 0, GROUPS);
  store<u64>(state, <u64> first, FIRST);
  store<u32>(state, 0, DEPTH);
  store<u32>(state, 0, FILL);
}

/** Takes `count` bytes that were written to the window after those it held. It must not overflow. */
export function absorb(state: usize, count: u32): void {
  const fill = load<u32>(state, FILL) + count;
  if (fill == GROUP) hashGroup(state);
  store<u32>(state, fill == GROUP ? 0 : fill, FILL);
}

/**
 * Takes the last `count` bytes as `absorb` does, leaves the digest at the stack's beginning (or, if this is not a
 * root, the subtree's chaining value), and makes the state ready for new input from chunk 0.
 */
export function finish(state: usize, count: u32, isRoot: bool): void {
  absorb(state, count);
  const root: u32 = isRoot ? ROOT : 0;
  const groups = load<u64>(state, GROUPS);
  const fill = load<u32>(state, FILL);
  if (groups == 0) {
    hashRest(state, fill, root, state + STACK);
  } else {
    if (fill > 0) {
      settle(state, groups);
      const depth = load<u32>(state, DEPTH);
      hashRest(state, fill, 0, state + STACK + 32 * depth);
      store<u32>(state, depth + 1, DEPTH);
    }
    while (load<u32>(state, DEPTH) > 2) merge(state, 0);
    merge(state, root);
  }
  reset(state, 0);
}

/** Leaves the parent of the two values at the window's beginning where `finish` leaves the digest. */
export function parent(state: usize, isRoot: bool): void {
  hash1(state + WINDOW, 64, 0, PARENT | (isRoot ? ROOT : 0), 0, 0, state + STACK);
}

/**
 * Leaves the chaining values of `count` groups of 16 chunks that lie at `input` among the results. The first one begins at
 * this chunk of the whole.
 */
export function groupValues(input: usize, count: u32, first: f64): void {
  let counter = <u64> first;
  let out = RESULTS;
  while (count > 0) {
    const groups = min<u32>(count, 2);
    const chunks = 16 * groups;
    hashMany(input, CHUNK, 16, chunks, counter, 1, 0, CHUNK_START, CHUNK_END, NODES);
    reduce(chunks);
    if (groups == 2) memory.copy(out, NODES, 64);
    else hash1(NODES, 64, 0, PARENT, 0, 0, out);
    input += chunks * CHUNK;
    counter += chunks;
    out += 32 * groups;
    count -= groups;
  }
}

/** Hashes the full window and pushes two values. */
function hashGroup(state: usize): void {
  const groups = load<u64>(state, GROUPS);
  settle(state, groups);
  const counter = load<u64>(state, FIRST) + groups * GROUP_CHUNKS;
  hashMany(state + WINDOW, CHUNK, 16, GROUP_CHUNKS, counter, 1, 0, CHUNK_START, CHUNK_END, NODES);
  reduce(GROUP_CHUNKS);
  const depth = load<u32>(state, DEPTH);
  memory.copy(state + STACK + 32 * depth, NODES, 64);
  store<u32>(state, depth + 2, DEPTH);
  store<u64>(state, groups + 1, GROUPS);
}

/** Hashes what the window holds, less than a group, to one value. */
function hashRest(state: usize, length: u32, root: u32, out: usize): void {
  const input = state + WINDOW;
  const counter = load<u64>(state, FIRST) + load<u64>(state, GROUPS) * GROUP_CHUNKS;
  memory.fill(input + length, 0, 64);
  if (length <= CHUNK) {
    hash1(input, length, counter, 0, CHUNK_START, CHUNK_END | root, out);
    return;
  }
  let count = length / CHUNK;
  hashMany(input, CHUNK, 16, count, counter, 1, 0, CHUNK_START, CHUNK_END, NODES);
  const rest = length % CHUNK;
  if (rest > 0) {
    hash1(input + count * CHUNK, rest, counter + count, 0, CHUNK_START, CHUNK_END, NODES + 32 * count);
    count++;
  }
  reduce(count);
  hash1(NODES, 64, 0, PARENT | root, 0, 0, out);
}

/** Hashes neighbouring nodes to their parents, level by level, until two are left. One without a neighbour goes up. */
function reduce(count: u32): void {
  while (count > 2) {
    const parents = count >> 1;
    const odd = NODES + 32 * (count - 1);
    const low = v128.load(odd), high = v128.load(odd, 16);
    hashMany(NODES, 64, 1, parents, 0, 0, PARENT, 0, 0, NODES);
    count = parents + (count & 1);
    if (count > parents) {
      v128.store(NODES + 32 * parents, low);
      v128.store(NODES + 32 * parents, high, 16);
    }
  }
}

/** Merges what may be merged now that more input follows: a value remains for each bit of the number of groups. */
function settle(state: usize, groups: u64): void {
  const settled = <u32> popcnt(groups);
  while (load<u32>(state, DEPTH) > settled) merge(state, 0);
}

/** Replaces the last two values by their parent. */
function merge(state: usize, root: u32): void {
  const depth = load<u32>(state, DEPTH) - 1;
  const left = state + STACK + 32 * (depth - 1);
  hash1(left, 64, 0, PARENT | root, 0, 0, left);
  store<u32>(state, depth, DEPTH);
}

/** Hashes `count` runs. Lanes may be left without work where that is faster than going one by one. */
function hashMany(
  input: usize, stride: usize, blocks: u32, count: u32, counter: u64, step: u32,
  flags: u32, start: u32, end: u32, out: usize,
): void {
  while (count > 0) {
    let lanes: u32 = 1;
    if (count > 5) {
      lanes = 8;
      hash8(input, stride, blocks, counter, step, flags, start, end, out);
    } else if (count > 2) {
      lanes = 4;
      hash4(input, stride, blocks, counter, step, flags, start, end, out);
    } else {
      hash1(input, 64 * blocks, counter, flags, start, end, out);
    }
    lanes = min(lanes, count);
    input += lanes * stride;
    counter += lanes * step;
    out += 32 * lanes;
    count -= lanes;
  }
}
