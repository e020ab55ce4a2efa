/**
 * Garbage collection: paths that nobody wants any more, and the contents that no path has.
 *
 * What is always true, during a collection, after one that was killed, and whoever uploads meanwhile: a path info or record
 * of a NAR that stays speaks of contents that are all there. Four rules make it so:
 *
 * 1. Records go before contents. Path infos go first, referrers before what they refer to; then records of NARs that no path has and
 *    that came longer ago than the grace (a narinfo may follow its NAR hours later); only then are the contents marked that the rest
 *    speaks of, and what is not marked is deleted: records of pressed NARs, Directories, then lists, then chunks. Killed at any point, some garbage is
 *    left, and the next collection finds it.
 * 2. What is used stays. Within the process every use of a value is known (`guarded`): one that was put, found or read in
 *    the last half hour, or while this collection goes on, is not deleted, nor what it stands for. Deleting and using one value
 *    wait for each other.
 * 3. What was deleted is noticed. Records are written under the watch of `collections.ts`, so that an upload which relies on
 *    contents used longer ago, or by another process, and loses some, takes its record back and says so.
 * 4. Before some are deleted, the records that came since are read, and what they speak of is marked. So are NARs that were
 *    pressed since.
 *
 * One collection at a time, by the claim of `collections.ts`. Memory: about 50 bytes a value that stays, 250 a path and 4
 * a reference, 50 a record.
 */
import type { BlobService } from "../castore/blob_service.ts";
import { blobsOver } from "../castore/blobs_over.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import type { GuardedStore } from "../castore/guarded_store.ts";
import type { Node } from "../castore/node.ts";
import type { Codec } from "./codec.ts";
import { CollectionClaim } from "./collections.ts";
import { deleteNarRecords, deletePathRecords, NarRule, type RecordStore } from "./garbage_records.ts";
import { PathGraph } from "./path_graph.ts";
import type { PathInfoService } from "./path_info_service.ts";
import { pathInfosOver } from "./path_infos_over.ts";
import { type Choice, choosePaths } from "./paths_to_delete.ts";
import { Reach } from "./reach.ts";
import { RecordedRoots } from "./recorded_roots.ts";
import { Sweep } from "./sweep.ts";

/** A day: Nix may send a NAR hours before its narinfo. */
const DEFAULT_GRACE_MS = 24 * 60 * 60_000;

export interface CollectOptions {
  readonly names: ByteStore;
  /** Content-addressed values: guarded, with all of this process using them through this very object, unless `alone`. */
  readonly bytes: ByteStore | GuardedStore;
  /** Path infos are deleted here, so that who watches them hears of it; default those in `names`. */
  readonly pathInfos?: PathInfoService;
  /** Which paths stay: all (the default), or those pinned, those younger than the grace, and what they refer to. */
  readonly keep?: "all" | "pinned";
  /** Hash parts of paths to delete. */
  readonly delete?: readonly string[];
  /** Delete the paths that refer to those, too, instead of refusing. */
  readonly withReferrers?: boolean;
  /** For how long a NAR stays that no path has, and with `keep: "pinned"` a path that is not pinned; default a day. */
  readonly graceMs?: number;
  /** Nobody else has this store open, and nothing in this process uses it meanwhile. */
  readonly alone?: boolean;
  /** Roots of contents that stay though no record speaks of them, as far as they are there. */
  readonly alsoKeep?: readonly Node[];
  /** Delete nothing, and tell what would be. */
  readonly dryRun?: boolean;
  /** The length of a stored value, if that is known without reading it: for `freed.bytes`, else 0. */
  readonly lengthOf?: (key: string) => number | undefined | Promise<number | undefined>;
  /** Reads side files that were sent compressed; those that cannot be read stay. */
  readonly codec?: Codec;
  readonly onProgress?: (progress: CollectProgress) => void;
  readonly signal?: AbortSignal;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface CollectProgress {
  readonly stage: "records" | "mark" | "sweep";
  /** Paths deleted, paths marked, values looked at: since the stage began. */
  readonly done: number;
  /** Values that stay, as far as is known. */
  readonly values: number;
}

/** What was deleted, or would be. */
export interface CollectedGarbage {
  readonly paths: number;
  readonly nars: number;
  readonly sideFiles: number;
  readonly values: number;
  /** Of the values, if their lengths are known. Packs hold on to them until they are compacted. */
  readonly bytes: number;
  /** Values that stay. */
  readonly kept: number;
  /** Files and Directories of paths that stay which are not there, or are damaged. */
  readonly broken: number;
}

/**
 * Collects garbage. Throws `MissingError` for a path to delete that is not here, `ConflictError` if one is pinned or another path
 * refers to it, `StoreBusyError` while another collection is under way: then nothing has changed. What the signal or a failure
 * ends in the middle is finished by the next one.
 */
export async function collectGarbage(options: CollectOptions): Promise<CollectedGarbage> {
  const { names, bytes, alone = false, now = Date.now } = options;
  if (!alone && !("unguarded" in bytes)) {
    throw new TypeError("Cannot collect garbage beside others: want a guarded store, or alone");
  }
  const guard = "unguarded" in bytes ? bytes : undefined;
  using _uses = guard?.holdUses();
  const claim = options.dryRun ? undefined : await CollectionClaim.take(names, alone, now);
  try {
    return await new Collection(options, guard, claim).run();
  } finally {
    await claim?.end();
  }
}

/**
 * Deletes paths, with those that refer to them if `withReferrers`: their contents go with the next collection. Throws as
 * {@link collectGarbage} does.
 */
export async function deletePaths(
  options: Omit<CollectOptions, "bytes" | "keep" | "graceMs" | "lengthOf" | "delete"> & {
    readonly hashParts: readonly string[];
    readonly bytes: ByteStore;
  },
): Promise<number> {
  const { names, alone = false, now = Date.now } = options;
  const claim = options.dryRun ? undefined : await CollectionClaim.take(names, alone, now);
  try {
    const collection = new Collection({ ...options, delete: options.hashParts }, undefined, claim);
    return (await collection.deletePaths()).gone.size;
  } finally {
    await claim?.end();
  }
}

class Collection {
  #options: CollectOptions;
  #guard: GuardedStore | undefined;
  #claim: CollectionClaim | undefined;
  #bytes: ByteStore;
  #records: RecordStore;
  #choice: Choice;

  constructor(options: CollectOptions, guard: GuardedStore | undefined, claim: CollectionClaim | undefined) {
    const { names, bytes, pathInfos, codec, signal } = options;
    this.#options = options;
    this.#guard = guard;
    this.#claim = claim;
    this.#bytes = guard?.unguarded ?? bytes;
    const blobs: BlobService = blobsOver(this.#bytes);
    this.#records = {
      names,
      blobs,
      pathInfos: pathInfos ?? pathInfosOver(names),
      dryRun: options.dryRun ?? false,
      codec,
      signal,
    };
    this.#choice = {
      keep: options.keep ?? "all",
      delete: options.delete ?? [],
      withReferrers: options.withReferrers ?? false,
      graceMs: options.graceMs ?? DEFAULT_GRACE_MS,
      now: (options.now ?? Date.now)(),
    };
  }

  async run(): Promise<CollectedGarbage> {
    const { names, signal } = this.#options;
    const { isGone, gone, sideFiles } = await this.deletePaths();
    const rule = await this.#deleting(async () => {
      const rule = await NarRule.read(names, this.#choice.now - this.#choice.graceMs, isGone, signal);
      return { rule, ...await deleteNarRecords(rule, this.#records) };
    });
    const reach = new Reach(this.#bytes, signal);
    for (const node of this.#options.alsoKeep ?? []) await reach.addPartly(node);
    // What would have been deleted does not count. Otherwise what is there counts, whatever the rule was.
    const unless = this.#options.dryRun ? { isGone, rule: rule.rule } : undefined;
    const roots = new RecordedRoots({ names, bytes: this.#bytes }, reach, unless);
    const markNew = () => roots.markNew(signal, (done) => this.#tell("mark", done, reach));
    await markNew();
    const sweep = new Sweep({
      bytes: this.#bytes,
      guard: this.#guard,
      reach,
      dryRun: this.#options.dryRun ?? false,
      lengthOf: this.#options.lengthOf,
      signal,
      onDeleted: (key) => roots.forgetPressed(key),
      onLook: (done) => this.#tell("sweep", done, reach),
      section: (work) =>
        this.#deleting(async () => {
          if (!this.#options.alone) await markNew();
          return await work();
        }),
    });
    const swept = await sweep.run();
    return {
      paths: gone.size,
      nars: rule.nars,
      sideFiles: sideFiles + rule.sideFiles,
      ...swept,
      kept: reach.size,
      broken: reach.brokenCount,
    };
  }

  /** Chooses the paths that go and deletes their records, while nobody can add one that refers to them. */
  async deletePaths(): Promise<
    { isGone: (hashPart: string) => boolean; gone: Set<number>; sideFiles: number }
  > {
    const { names, signal } = this.#options;
    return await this.#deleting(async () => {
      const graph = await PathGraph.read(names, signal);
      const gone = await choosePaths(graph, names, this.#choice);
      let done = 0;
      const sideFiles = await deletePathRecords(
        graph,
        gone,
        this.#records,
        () => this.#tell("records", ++done),
      );
      const isGone = (hashPart: string) => {
        const number = graph.numberOf(hashPart);
        return number !== undefined && gone.has(number);
      };
      return { isGone, gone, sideFiles };
    });
  }

  #deleting<T>(work: () => Promise<T>): Promise<T> {
    return this.#claim ? this.#claim.deleting(work) : work();
  }

  async #tell(stage: CollectProgress["stage"], done: number, reach?: Reach): Promise<void> {
    this.#options.onProgress?.({ stage, done, values: reach?.size ?? 0 });
    await this.#claim?.beat();
  }
}
