/**
 * Places for the nodes of an acyclic graph, in layers from left to right: every edge goes to the right. Edges that follow
 * from others are left out, for what remains says the same with fewer lines.
 */

export interface Placed {
  readonly layer: number;
  /** Place in its layer, from the top. */
  readonly order: number;
}

export interface Layered {
  readonly nodes: readonly Placed[];
  readonly edges: readonly (readonly [number, number])[];
  /** Nodes in each layer. */
  readonly layers: readonly number[];
}

/** Sweeps over all layers that sort each by where its neighbours are. */
const SWEEPS = 6;

/** Lays out `count` nodes. Edges that would close a circle are left out. */
export function layered(count: number, edges: readonly (readonly [number, number])[]): Layered {
  const next: number[][] = Array.from({ length: count }, () => []);
  for (const [from, to] of edges) if (from !== to) next[from].push(to);
  const order = topological(next);
  const kept = reduced(next, order);
  const depth = new Array<number>(count).fill(0);
  for (const node of order) for (const to of kept[node]) depth[to] = Math.max(depth[to], depth[node] + 1);
  const layers: number[][] = [];
  for (const node of order) (layers[depth[node]] ??= []).push(node);
  const links = kept.flatMap((targets, from) => targets.map((to) => [from, to] as const));
  sortLayers(layers, links);
  const nodes: Placed[] = new Array(count);
  layers.forEach((layer, at) => layer.forEach((node, place) => nodes[node] = { layer: at, order: place }));
  return { nodes, edges: links, layers: layers.map(({ length }) => length) };
}

/** Every node after those that point to it; edges back into a circle are removed from `next`. */
function topological(next: number[][]): number[] {
  const state = new Uint8Array(next.length); // 1: on the way, 2: done
  const order: number[] = [];
  for (let start = 0; start < next.length; start++) {
    const stack: [number, number][] = state[start] === 0 ? [[start, 0]] : [];
    state[start] ||= 1;
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const [node, at] = top;
      if (at === next[node].length) {
        state[node] = 2;
        order.push(node);
        stack.pop();
        continue;
      }
      const to = next[node][at];
      if (state[to] === 1) {
        next[node].splice(at, 1);
        continue;
      }
      top[1]++;
      if (state[to] === 0) {
        state[to] = 1;
        stack.push([to, 0]);
      }
    }
  }
  return order.reverse();
}

/** Without edges to what is reached through another edge as well. */
function reduced(next: readonly number[][], order: readonly number[]): number[][] {
  const reach: Set<number>[] = new Array(next.length);
  const kept: number[][] = new Array(next.length);
  const rank = new Map(order.map((node, i) => [node, i]));
  for (const node of order.toReversed()) {
    const reached = new Set<number>();
    kept[node] = [];
    // The nearest first: what comes later may be behind it.
    for (const to of [...new Set(next[node])].sort((a, b) => rank.get(a)! - rank.get(b)!)) {
      if (reached.has(to)) continue;
      kept[node].push(to);
      reached.add(to);
      for (const far of reach[to]) reached.add(far);
    }
    reach[node] = reached;
  }
  return kept;
}

function sortLayers(layers: number[][], links: readonly (readonly [number, number])[]): void {
  const count = layers.reduce((sum, { length }) => sum + length, 0);
  const around: [number[][], number[][]] = [
    Array.from({ length: count }, () => []),
    Array.from({ length: count }, () => []),
  ];
  for (const [from, to] of links) {
    around[0][to].push(from);
    around[1][from].push(to);
  }
  const place = new Array<number>(count).fill(0);
  const note = (layer: number[]) => layer.forEach((node, i) => place[node] = (i + .5) / layer.length);
  layers.forEach(note);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const side = around[sweep % 2];
    for (const layer of sweep % 2 === 0 ? layers : layers.toReversed()) {
      const want = new Map(layer.map((node) => {
        const near = side[node];
        return [
          node,
          near.length > 0 ? near.reduce((sum, other) => sum + place[other], 0) / near.length : place[node],
        ];
      }));
      layer.sort((a, b) => want.get(a)! - want.get(b)!);
      note(layer);
    }
  }
}
