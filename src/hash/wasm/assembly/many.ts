/**
 * Many inputs in one call. The chunks of all of them fill the lanes together, then the parents of all, level by level: an
 * input of a few chunks would leave most lanes without work.
 *
 * Inputs lie in the stage, each beginning at a multiple of 64 and with zeros up to the next one.
 */
import { gather8, hash1, hash8 } from "./compression";
import {
  CHUNK, CHUNK_END, CHUNK_START, INPUTS, JOBS, MANY_NODES, NOWHERE, PARENT, RESULTS, ROOT, STAGE,
} from "./layout";

let waiting: u32 = 0;

/** Leaves the digests of the first `count` inputs among the results. */
export function hashInputs(count: u32): void {
  let nodes = MANY_NODES;
  for (let i: u32 = 0; i < count; i++) {
    const input = INPUTS + 16 * i;
    const chunks = max<u32>((load<u32>(input, 4) + CHUNK - 1) / CHUNK, 1);
    store<u32>(input, chunks, 8);
    store<u32>(input, <u32> nodes, 12);
    nodes += 32 * chunks;
    queueChunks(i, 0, load<u32>(input, 4) / CHUNK);
  }
  // Those that are not full come together: the lanes of a job that is over have nothing to do.
  for (let i: u32 = 0; i < count; i++) queueChunks(i, load<u32>(INPUTS + 16 * i, 4) / CHUNK, load<u32>(INPUTS + 16 * i, 8));
  flush(CHUNK_START);
  while (queueParents(count)) {
    flush(0);
    for (let i: u32 = 0; i < count; i++) endLevel(INPUTS + 16 * i);
  }
}

/** Queues the chunks of an input from `first` to before `end`. */
function queueChunks(index: u32, first: u32, end: u32): void {
  const input = INPUTS + 16 * index;
  const at = STAGE + load<u32>(input);
  const length = load<u32>(input, 4);
  const alone = load<u32>(input, 8) == 1;
  const out = alone ? RESULTS + 32 * index : <usize> load<u32>(input, 12);
  const flags = CHUNK_END | (alone ? ROOT : 0);
  let i = first;
  // Neighbours that fill the lanes by themselves need no jobs.
  for (; end - i >= 8; i += 8) hash8(at + CHUNK * i, CHUNK, 16, i, 1, 0, CHUNK_START, CHUNK_END, out + 32 * i);
  for (; i < end; i++) {
    queue(at + CHUNK * i, min<u32>(length - CHUNK * i, CHUNK), i, flags, CHUNK_START, out + 32 * i);
  }
}

/** Queues a level of parents of all inputs; says whether there are any. */
function queueParents(count: u32): bool {
  let any = false;
  for (let i: u32 = 0; i < count; i++) {
    const input = INPUTS + 16 * i;
    const nodes = load<u32>(input, 8);
    if (nodes < 2) continue;
    any = true;
    const at = <usize> load<u32>(input, 12);
    if (nodes == 2) queue(at, 64, 0, PARENT | ROOT, 0, RESULTS + 32 * i);
    else queuePairs(at, nodes >> 1);
  }
  return any;
}

/** A parent takes the place of nodes that came before its own children, so these were read. */
function queuePairs(at: usize, pairs: u32): void {
  let i: u32 = 0;
  for (; pairs - i >= 8; i += 8) hash8(at + 64 * i, 64, 1, 0, 0, PARENT, 0, 0, at + 32 * i);
  for (; i < pairs; i++) queue(at + 64 * i, 64, 0, PARENT, 0, at + 32 * i);
}

/** A node without a neighbour goes up as it is. */
function endLevel(input: usize): void {
  const nodes = load<u32>(input, 8);
  if (nodes < 2) return;
  const at = <usize> load<u32>(input, 12);
  if (nodes & 1) memory.copy(at + 32 * (nodes >> 1), at + 32 * (nodes - 1), 32);
  store<u32>(input, (nodes + 1) >> 1, 8);
}

function queue(input: usize, length: u32, counter: u32, end: u32, start: u32, out: usize): void {
  const job = JOBS + 32 * waiting;
  store<u32>(job, <u32> input);
  store<u32>(job, length, 4);
  store<u32>(job, counter, 8);
  store<u32>(job, end, 12);
  store<u32>(job, <u32> out, 16);
  if (++waiting == 8) {
    gather8(JOBS, start);
    waiting = 0;
  }
}

/** Does what waits for lanes to be filled. */
function flush(start: u32): void {
  if (waiting > 2) {
    while (waiting > 0 && waiting < 8) queue(STAGE, 0, 0, 0, start, NOWHERE);
    return;
  }
  for (let i: u32 = 0; i < waiting; i++) {
    const job = JOBS + 32 * i;
    hash1(load<u32>(job), load<u32>(job, 4), load<u32>(job, 8), 0, start, load<u32>(job, 12), load<u32>(job, 16));
  }
  waiting = 0;
}
