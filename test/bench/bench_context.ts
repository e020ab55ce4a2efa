/** What every part of the benchmark works with. */
import { type Nix, User } from "../e2e/nix.ts";
import { FirnServer } from "../e2e/server.ts";
import type { Corpus, CorpusName } from "./corpora.ts";
import type { Report } from "./report.ts";

/** Stores compared, by the last part of a row's name. */
export const STORES = ["memory", "default"] as const;
export type StoreName = typeof STORES[number];

export interface BenchContext {
  readonly report: Report;
  readonly nix: Nix;
  /** A corpus, made when first asked for. */
  open(name: CorpusName): Promise<Corpus>;
  /** An empty folder of this run, on the disk that the stores are on. */
  readonly work: string;
  readonly rounds: number;
  /** Whether figures may be rough: less is transferred. */
  readonly quick: boolean;
  /** Seconds that each measurement of requests takes. */
  readonly requestSeconds: number;
}

/** Whether a row of these kinds is asked for, or the row of the memory it took. */
export function wantsAny(
  { report }: BenchContext,
  kinds: string[],
  corpus: CorpusName,
  store: StoreName,
): boolean {
  const names = kinds.map((kind) => `${kind}/${corpus}/${store}`);
  return report.wants(...names, ...names.map((name) => `peak-${name}`));
}

let folders = 0;

/** A path in the work folder where nothing is. */
export function newFolder({ work }: BenchContext, name: string): string {
  return `${work}/${name}-${folders++}`;
}

/** A user who has never copied anything, so that nix asks the cache for everything. */
export function newUser(context: BenchContext): User {
  return new User(context.nix, newFolder(context, "home"));
}

/** Start a server. @param folder where the default store is, or will be @param options further ones of `serve` */
export async function startServer(
  store: StoreName,
  folder: string,
  ...options: string[]
): Promise<FirnServer> {
  return await FirnServer.start(store === "memory" ? "memory:" : folder, ...options);
}

/** Peak resident memory in MiB since the start, or since {@link forgetPeak}. */
export function peakOf(server: FirnServer): number {
  return server.memory().peak / 2 ** 20;
}

/** Let the peak be what is resident now. */
export async function forgetPeak(server: FirnServer): Promise<void> {
  await Deno.writeTextFile(`/proc/${server.child.pid}/clear_refs`, "5");
}

/** Figures by name, one a round. */
export class Series {
  #values = new Map<string, number[]>();

  push(name: string, value: number): void {
    const values = this.#values.get(name);
    if (values) values.push(value);
    else this.#values.set(name, [value]);
  }

  /** Empty when nothing was pushed. */
  of(name: string): readonly number[] {
    return this.#values.get(name) ?? [];
  }
}
