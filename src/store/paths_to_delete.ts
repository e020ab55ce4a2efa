/**
 * Which paths a collection deletes, and in which order: a path that is visible has all it refers to, so who refers goes first.
 */
import type { ByteStore } from "../castore/byte_store.ts";
import { pathKey } from "../castore/layout.ts";
import { ConflictError, MissingError } from "../errors.ts";
import { formatStorePath } from "../nix/store_path.ts";
import { decodeStoredPath } from "./messages.ts";
import type { PathGraph } from "./path_graph.ts";
import { type Pin, pinsOver } from "./roots.ts";

/** Which paths stay. */
export interface Choice {
  /** `all`, or only those that are pinned or younger than `graceMs`, and what they refer to. */
  readonly keep: "all" | "pinned";
  /** Hash parts of paths to delete. */
  readonly delete: readonly string[];
  /** Delete the paths that refer to those, too. */
  readonly withReferrers: boolean;
  readonly graceMs: number;
  readonly now: number;
}

/** Most pins: they are held in memory. */
const MAX_PINS = 1_000_000;

/**
 * Numbers of the paths to delete. Throws `MissingError` for one that is not here, `ConflictError` if one is pinned or another
 * path that stays refers to it.
 */
export async function choosePaths(graph: PathGraph, names: ByteStore, choice: Choice): Promise<Set<number>> {
  const pins: Pin[] = [];
  for await (const pin of pinsOver(names).list()) {
    if (pins.push(pin) > MAX_PINS) throw new RangeError(`Cannot collect garbage: over ${MAX_PINS} pins`);
  }
  const asked = numbersOf(graph, choice.delete);
  const gone = new Set(asked);
  if (choice.withReferrers) addReferrers(graph, gone);
  await checkPins(graph, gone, pins, names);
  if (!choice.withReferrers) await checkReferrers(graph, gone, names);
  if (choice.keep === "pinned") addUnpinned(graph, gone, pins, choice);
  return gone;
}

function numbersOf(graph: PathGraph, hashParts: readonly string[]): number[] {
  return hashParts.map((hashPart) => {
    const number = graph.numberOf(hashPart);
    if (number !== undefined) return number;
    throw new MissingError("path", hashPart, `Cannot delete ${hashPart}: no such path is in this store`);
  });
}

function addReferrers(graph: PathGraph, gone: Set<number>): void {
  const referrers = new Map<number, number[]>();
  for (const number of graph.present()) {
    for (const reference of graph.nodes[number].references) {
      if (reference === number) continue;
      const known = referrers.get(reference);
      if (known) known.push(number);
      else referrers.set(reference, [number]);
    }
  }
  for (const number of gone) for (const referrer of referrers.get(number) ?? []) gone.add(referrer);
}

async function checkPins(
  graph: PathGraph,
  gone: ReadonlySet<number>,
  pins: readonly Pin[],
  names: ByteStore,
): Promise<void> {
  for (const { name, hashPart } of pins) {
    const number = graph.numberOf(hashPart);
    if (number === undefined || !gone.has(number)) continue;
    throw new ConflictError(
      `Cannot delete ${await pathOf(hashPart, names)}: it is pinned as ${name}; unpin it first`,
    );
  }
}

async function checkReferrers(
  graph: PathGraph,
  gone: ReadonlySet<number>,
  names: ByteStore,
): Promise<void> {
  if (gone.size === 0) return;
  const found = [...graph.referrers(gone)];
  if (found.length === 0) return;
  const [{ referrer, reference }] = found;
  const refer = found.length > 1 ? `and ${found.length - 1} more refer` : "refers";
  const [path, other] = await Promise.all(
    [reference, referrer].map((number) => pathOf(graph.nodes[number].hashPart, names)),
  );
  throw new ConflictError(`Cannot delete ${path}: ${other} ${refer} to it; delete what refers to it, too`);
}

/** A path as people name it. */
async function pathOf(hashPart: string, names: ByteStore): Promise<string> {
  const value = await names.get(pathKey(hashPart));
  return value ? formatStorePath(decodeStoredPath(value).storePath) : hashPart;
}

function addUnpinned(
  graph: PathGraph,
  gone: Set<number>,
  pins: readonly Pin[],
  { graceMs, now }: Choice,
): void {
  const marks = new Uint32Array(graph.nodes.length);
  const young = [...graph.present()].filter((number) => {
    return !gone.has(number) && now - graph.nodes[number].registeredAt < graceMs;
  });
  const pinned = pins.map(({ hashPart }) => graph.numberOf(hashPart)).filter((number) =>
    number !== undefined
  );
  graph.markClosure([...young, ...pinned], marks, 1);
  for (const number of graph.present()) if (marks[number] !== 1) gone.add(number);
}

/** The paths in layers: who refers to one of a layer is in a layer before. Paths that refer to each other come last. */
export function* referrersFirst(
  graph: PathGraph,
  gone: ReadonlySet<number>,
): Generator<number[], void, void> {
  const referrers = new Map<number, number>();
  const inside = (number: number) => {
    return graph.nodes[number].references.filter((reference) => reference !== number && gone.has(reference));
  };
  for (const number of gone) {
    for (const reference of inside(number)) referrers.set(reference, (referrers.get(reference) ?? 0) + 1);
  }
  const left = new Set(gone);
  for (let layer = [...gone].filter((number) => !referrers.has(number)); layer.length > 0;) {
    yield layer;
    const next: number[] = [];
    for (const number of layer) {
      left.delete(number);
      for (const reference of inside(number)) {
        const count = referrers.get(reference)! - 1;
        referrers.set(reference, count);
        if (count === 0) next.push(reference);
      }
    }
    layer = next;
  }
  if (left.size > 0) yield [...left];
}
