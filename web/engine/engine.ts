/**
 * The engine of the store in a tab: everything of the page that is not its looks. It runs in a dedicated worker, and the
 * page calls it through {@link connectEngine} of `connect.ts`, where every method becomes asynchronous.
 *
 * - Values go by structured clone: what is returned is the caller's own. Callbacks are arguments of their own (never
 *   inside an object) and are passed as `Comlink.proxy(callback)`.
 * - A store path is text, `/nix/store/<hash part>-<name>`. Where one is an argument its base name or hash part will do.
 * - A {@link FilePath} is text below a store path, `bin/sh`, and `""` for the path itself. Names are bytes: those that are
 *   not UTF-8 stand as the code units U+DC80 to U+DCFF, one a byte, so that every name has one text and is found by
 *   it again. Texts of names are hostile (control and bidi characters, HTML): show them through `shown` of `shown.ts`.
 * - Long calls end in `job` and `report`. `job` is any text of the caller's choice by which `cancel(job)` ends the call; it
 *   then rejects with a fault named `AbortError`. What was stored until then stays, and the same call again goes on from
 *   there. `report` is called at most some ten times a second, and once at the end.
 * - A call that rejects does so with an `EngineError`, whose `fault` is a {@link Fault}; nothing is half visible then.
 */
import type { ClosureGraph, Difference, DifferenceOptions, WhyDepends } from "./understanding.ts";
import type {
  Address,
  Collected,
  FilePath,
  FolderEntry,
  Found,
  ListOptions,
  Opened,
  OpenOptions,
  Overview,
  Page,
  PathSummary,
  Pushed,
  PushOptions,
  Report,
  Saved,
  SavedFile,
  SearchEnd,
  SearchHit,
  SearchOptions,
  Settings,
  Site,
  Target,
  Truth,
  Unfinished,
} from "./values.ts";

export type * from "./understanding.ts";
export type * from "./values.ts";

export interface Engine {
  /** About the page's own server. */
  site(): Promise<Site>;
  /** Calls back whenever what is kept here changed, or the settings did, here or in another tab, at most some times a second. */
  watch(changed: () => void): void;
  /** Ends the calls with this job. Nothing happens if there is none. */
  cancel(job: string): void;

  // Open

  /** Opens a target. From a firn server, only Directories are fetched unless `everything` is asked for. */
  open(target: Target, options?: OpenOptions, job?: string, report?: Report): Promise<Opened>;
  /** Entries of a folder that `open` with this job will open, before those that it is given itself: for folders of many files. */
  addEntries(job: string, entries: readonly FolderEntry[]): void;
  /** Fetches all that a partial path lacks and recomputes its claims. Fine for a whole one. */
  complete(path: string, job?: string, report?: Report): Promise<PathSummary>;
  /** Opens that were interrupted, also by closing the tab. */
  unfinished(): Promise<readonly Unfinished[]>;
  /** Forgets an interrupted open, and what it kept for going on. */
  forget(path: string): Promise<void>;

  // Truth

  /** What is known, without reading contents again. */
  truth(path: string): Promise<Truth>;
  /**
   * Recomputes everything from the stored bytes. Damage and false claims are in the result, not thrown. A partial path's
   * stored parts are verified, and its claims stay `unverified`.
   */
  verify(path: string, job?: string, report?: Report): Promise<Truth>;

  // Browse

  /** A page of a folder. `MissingError` where there is none, `UnsupportedError` where it is a file. */
  list(path: string, folder: FilePath, options?: ListOptions): Promise<Page>;
  /**
   * What is at a file path. With `follow`, symlinks are followed, also into other paths that are kept here. `undefined`: nothing is there
   * (or a symlink leads out of what is kept here, or in circles).
   */
  stat(path: string, file: FilePath, follow?: boolean): Promise<Found | undefined>;
  /**
   * Bytes `start` to `end` (not included, clamped) of a file, at most 8 MiB a call. Fetches the chunks it lacks; `RemoteError` if the
   * cache cannot be reached then.
   */
  read(path: string, file: FilePath, start: number, end: number, job?: string, report?: Report): Promise<
    Uint8Array
  >;
  /** Names that match, in batches, as they are found. Resolves at the end. */
  search(
    path: string,
    text: string,
    options: SearchOptions,
    job: string,
    found: (hits: readonly SearchHit[]) => void,
  ): Promise<SearchEnd>;
  /**
   * Makes a file of something: written into `handle` as it is made, or returned as a Blob. Fetches what it lacks.
   */
  save(what: Saved, handle?: FileSystemFileHandle, job?: string, report?: Report): Promise<SavedFile>;

  // Understand

  /** All that a path refers to. Asks the path's cache for what is not kept here (narinfos only); nothing is stored. */
  closure(path: string, job?: string, report?: Report): Promise<ClosureGraph>;
  /** Why `from` needs `to`: a shortest chain, or `undefined` if it does not. */
  whyDepends(from: string, to: string, job?: string, report?: Report): Promise<WhyDepends | undefined>;
  /** How two paths differ. Fetches no contents, only Directories. */
  difference(
    before: string,
    after: string,
    options?: DifferenceOptions,
    job?: string,
    report?: Report,
  ): Promise<Difference>;

  // Keep

  /** Everything that is kept here, newest first. */
  stored(): Promise<readonly PathSummary[]>;
  overview(): Promise<Overview>;
  /** A pinned path, and what it refers to, is not deleted. */
  pin(path: string): Promise<void>;
  unpin(path: string): Promise<void>;
  /**
   * Deletes paths, and then all contents that no path needs any more. `ConflictError` if one is pinned or others that are kept
   * refer to it: nothing is deleted then.
   */
  remove(paths: readonly string[], job?: string, report?: Report): Promise<Collected>;
  /** Deletes every path that no pin needs (`unpinned`), or only contents that no path needs. */
  collect(what: "unpinned" | "unneeded", job?: string, report?: Report): Promise<Collected>;
  /**
   * Asks the browser not to evict the store; whether it promised. Browsers may want to ask the person: then call
   * `navigator.storage.persist()` in the page, which counts for the worker too.
   */
  persist(): Promise<boolean>;

  // Push

  /** Sends a path to a firn server: what it lacks, and nothing else. The server proves the claims from its bytes. */
  push(path: string, options: PushOptions, job?: string, report?: Report): Promise<Pushed>;

  // Settings

  settings(): Promise<Settings>;
  /** `FormatError` for a key or address that is none; nothing is changed then. Resolves to what is kept now. */
  configure(settings: Partial<Omit<Settings, "tokens">>): Promise<Settings>;
  /**
   * Keeps a token for the origin of an address; without one forgets it. It is sent as a bearer token to that origin with all that is
   * asked there from then on, and to no other. `FormatError` for what is no token.
   */
  giveToken(address: Address, token?: string): Promise<Settings>;
}
