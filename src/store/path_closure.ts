/**
 * The closure of a store path as a graph: what it refers to, directly or not, and how much each part of that takes.
 */
import { type StorePath, storePathBase } from "../nix/store_path.ts";

/** What has to be known of a path. */
export interface ClosurePath {
  readonly storePath: StorePath;
  readonly references: readonly StorePath[];
  readonly narSize: number;
}

export interface ClosureMember<P extends ClosurePath> {
  readonly path: P;
  /** Bytes of the NARs of all it refers to within the graph, itself included, each once. */
  readonly closureSize: number;
  /** Steps from the root by the shortest way. */
  readonly depth: number;
}

export interface PathClosure<P extends ClosurePath> {
  /** The root first, each after one that refers to it. */
  readonly members: readonly ClosureMember<P>[];
  /** The first refers to the second; by their place in `members`. A path's reference to itself is left out. */
  readonly edges: readonly (readonly [from: number, to: number])[];
  /** Paths that are referred to and not known. */
  readonly absent: readonly StorePath[];
  /** Whether there were more paths than the limit. */
  readonly more: boolean;
}

export interface ClosureOptions<P> {
  /** What is known of a path; `undefined`: nothing. Asked many at once. */
  readonly find: (hashPart: string) => Promise<P | undefined>;
  /** Most paths in the graph; default 20,000. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** Paths asked about at once. */
const AHEAD = 16;

/** The closure of a path. Memory is about the square of the number of paths in bits. */
export async function pathClosure<P extends ClosurePath>(
  root: P,
  { find, limit = 20_000, signal }: ClosureOptions<P>,
): Promise<PathClosure<P>> {
  const places = new Map([[root.storePath.hashPart, 0]]);
  const paths: P[] = [root];
  const depths = [0];
  const absent = new Map<string, StorePath>();
  let more = false;
  for (let from = 0; from < paths.length;) {
    // Level by level, so that a path's depth is known when it is found.
    const depth = depths[from];
    const wanted = new Map<string, StorePath>();
    for (; from < paths.length && depths[from] === depth; from++) {
      for (const reference of paths[from].references) {
        const { hashPart } = reference;
        if (!places.has(hashPart) && !absent.has(hashPart)) wanted.set(hashPart, reference);
      }
    }
    const references = [...wanted.values()];
    for (let at = 0; at < references.length; at += AHEAD) {
      signal?.throwIfAborted();
      const some = references.slice(at, at + AHEAD);
      const found = await Promise.all(some.map(({ hashPart }) => find(hashPart)));
      for (const [i, path] of found.entries()) {
        if (!path) absent.set(some[i].hashPart, some[i]);
        else if (paths.length >= limit) more = true;
        else {
          places.set(some[i].hashPart, paths.length);
          paths.push(path);
          depths.push(depth + 1);
        }
      }
    }
  }
  const edges = edgesOf(paths, places);
  const sizes = closureSizes(paths, edges);
  const members = paths.map((path, i) => ({ path, closureSize: sizes[i], depth: depths[i] }));
  return { members, edges, absent: [...absent.values()], more };
}

function edgesOf(paths: readonly ClosurePath[], places: ReadonlyMap<string, number>): [number, number][] {
  const edges: [number, number][] = [];
  for (const [from, { references }] of paths.entries()) {
    const targets = new Set(references.map(({ hashPart }) => places.get(hashPart)));
    for (const to of targets) if (to !== undefined && to !== from) edges.push([from, to]);
  }
  return edges;
}

/** For each path the sum over all it reaches. Paths that refer to each other in a circle reach the same. */
function closureSizes(paths: readonly ClosurePath[], edges: readonly [number, number][]): number[] {
  const targets: number[][] = paths.map(() => []);
  for (const [from, to] of edges) targets[from].push(to);
  const groups = circles(targets);
  const words = Math.ceil(paths.length / 32);
  const reached: Uint32Array[] = [];
  const sizes = new Array<number>(paths.length);
  const groupOf = new Int32Array(paths.length);
  for (const [g, members] of groups.entries()) for (const member of members) groupOf[member] = g;
  for (const [g, members] of groups.entries()) { // each after all it refers to
    const bits = new Uint32Array(words);
    for (const member of members) {
      bits[member >> 5] |= 1 << (member & 31);
      for (const to of targets[member]) {
        if (groupOf[to] === g) continue;
        const below = reached[groupOf[to]];
        for (let w = 0; w < words; w++) bits[w] |= below[w];
      }
    }
    reached.push(bits);
    let size = 0;
    for (let w = 0; w < words; w++) {
      for (let rest = bits[w]; rest !== 0; rest &= rest - 1) {
        size += paths[(w << 5) + 31 - Math.clz32(rest & -rest)].narSize;
      }
    }
    for (const member of members) sizes[member] = size;
  }
  return sizes;
}

/** Strongly connected components, each after all that it leads to (Tarjan), without recursion. */
function circles(targets: readonly number[][]): number[][] {
  const order = new Int32Array(targets.length).fill(-1);
  const low = new Int32Array(targets.length);
  const onStack = new Uint8Array(targets.length);
  const stack: number[] = [];
  const groups: number[][] = [];
  let count = 0;
  for (let start = 0; start < targets.length; start++) {
    if (order[start] >= 0) continue;
    const walk = [{ at: start, next: 0 }];
    while (walk.length > 0) {
      const top = walk[walk.length - 1];
      const { at } = top;
      if (top.next === 0) {
        order[at] = low[at] = count++;
        stack.push(at);
        onStack[at] = 1;
      }
      const to = targets[at][top.next++];
      if (to === undefined) {
        walk.pop();
        const parent = walk.at(-1)?.at;
        if (parent !== undefined) low[parent] = Math.min(low[parent], low[at]);
        if (low[at] === order[at]) groups.push(popGroup(stack, onStack, at));
      } else if (order[to] < 0) walk.push({ at: to, next: 0 });
      else if (onStack[to]) low[at] = Math.min(low[at], order[to]);
    }
  }
  return groups;
}

function popGroup(stack: number[], onStack: Uint8Array, root: number): number[] {
  const group: number[] = [];
  for (let member = stack.pop()!;; member = stack.pop()!) {
    onStack[member] = 0;
    group.push(member);
    if (member === root) return group;
  }
}

/** A shortest chain of references from one path to another, both included; `undefined`: there is none. */
export function shortestChain<P extends ClosurePath>(
  { members, edges }: PathClosure<P>,
  to: StorePath,
): P[] | undefined {
  const goal = members.findIndex(({ path }) => storePathBase(path.storePath) === storePathBase(to));
  if (goal < 0) return undefined;
  const targets: number[][] = members.map(() => []);
  for (const [from, to] of edges) targets[from].push(to);
  const before = new Int32Array(members.length).fill(-1);
  const queue = [0];
  for (const at of queue) {
    if (at === goal) break;
    for (const next of targets[at]) {
      if (next === 0 || before[next] >= 0) continue;
      before[next] = at;
      queue.push(next);
    }
  }
  const chain = [members[goal].path];
  for (let at = goal; at !== 0; at = before[at]) chain.unshift(members[before[at]].path);
  return chain;
}
