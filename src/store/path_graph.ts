/**
 * The paths of a store and what refers to what, small enough to hold: about 250 bytes a path and 4 a reference.
 */
import type { ByteStore } from "../castore/byte_store.ts";
import { pathKey } from "../castore/layout.ts";
import { decodeStoredPath } from "./messages.ts";
import type { PathInfo } from "./path_info.ts";

/** Path infos read at once. */
const AT_ONCE = 64;

/** All path infos, by hash part, lazily and many at a time. */
export async function* readPathInfos(
  names: ByteStore,
  signal?: AbortSignal,
): AsyncGenerator<PathInfo, void, void> {
  let keys: string[] = [];
  const read = async () => {
    signal?.throwIfAborted();
    const values = await Promise.all(keys.map((key) => names.get(key)));
    keys = [];
    return values.flatMap((value) => value ? [decodeStoredPath(value)] : []);
  };
  for await (const key of names.list(pathKey(""))) {
    keys.push(key);
    if (keys.length === AT_ONCE) yield* await read();
  }
  yield* await read();
}

/** What is kept in memory of a path. Paths are told by number. */
interface GraphNode {
  readonly hashPart: string;
  /** Whether it is stored, and not only referred to. */
  present: boolean;
  references: Uint32Array;
  /** Number of its deriver, or -1. */
  deriver: number;
  narSize: number;
  registeredAt: number;
}

const NONE = new Uint32Array(0);

export class PathGraph {
  readonly nodes: GraphNode[] = [];
  #numbers = new Map<string, number>();

  /** Reads the graph. */
  static async read(names: ByteStore, signal?: AbortSignal): Promise<PathGraph> {
    const graph = new PathGraph();
    for await (const info of readPathInfos(names, signal)) graph.#add(info);
    return graph;
  }

  /** The number of a path that is stored, or `undefined`. */
  numberOf(hashPart: string): number | undefined {
    const number = this.#numbers.get(hashPart);
    return number !== undefined && this.nodes[number].present ? number : undefined;
  }

  /** Numbers of the stored paths. */
  *present(): Generator<number, void, void> {
    for (let i = 0; i < this.nodes.length; i++) if (this.nodes[i].present) yield i;
  }

  /** Marks with `mark` the paths that these refer to, directly or not, themselves included. Those marked so already end it. */
  markClosure(
    from: Iterable<number>,
    marks: Uint32Array,
    mark: number,
    found?: (number: number) => void,
  ): void {
    const waiting = [...from];
    for (let number = waiting.pop(); number !== undefined; number = waiting.pop()) {
      if (marks[number] === mark) continue;
      marks[number] = mark;
      if (!this.nodes[number].present) continue;
      found?.(number);
      for (const reference of this.nodes[number].references) {
        if (marks[reference] !== mark) waiting.push(reference);
      }
    }
  }

  /** Stored paths that refer to one of a set and are not in it themselves. */
  *referrers(of: ReadonlySet<number>): Generator<{ referrer: number; reference: number }, void, void> {
    for (const referrer of this.present()) {
      if (of.has(referrer)) continue;
      const reference = this.nodes[referrer].references.find((number) => of.has(number));
      if (reference !== undefined) yield { referrer, reference };
    }
  }

  #add(info: PathInfo): void {
    const node = this.nodes[this.#numberFor(info.storePath.hashPart)];
    node.present = true;
    node.references = Uint32Array.from(info.references, ({ hashPart }) => this.#numberFor(hashPart));
    node.deriver = info.deriver ? this.#numberFor(info.deriver.hashPart) : -1;
    node.narSize = info.narSize;
    node.registeredAt = info.registeredAt;
  }

  #numberFor(hashPart: string): number {
    let number = this.#numbers.get(hashPart);
    if (number === undefined) {
      number = this.nodes.length;
      this.#numbers.set(hashPart, number);
      this.nodes.push({
        hashPart,
        present: false,
        references: NONE,
        deriver: -1,
        narSize: 0,
        registeredAt: 0,
      });
    }
    return number;
  }
}
