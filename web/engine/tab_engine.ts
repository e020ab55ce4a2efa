/**
 * The engine: the calls of the page, each given to the room that does it.
 */
import { MissingError, RemoteError, UnsupportedError } from "../../src/errors.ts";
import { formatStorePath } from "../../src/nix/store_path.ts";
import type {
  ClosureGraph,
  Collected,
  Difference,
  DifferenceOptions,
  Engine,
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
  WhyDepends,
} from "./engine.ts";
import { Folders } from "./folders.ts";
import { type Job, Jobs, quiet } from "./job.ts";
import { allKept, collectPaths } from "./collect_paths.ts";
import type { Keeping } from "./keeping.ts";
import { StagedEntries } from "./staged_entries.ts";
import { readHere, readLazily } from "./lazy_files.ts";
import { openFiles, openFolder, type Taken } from "./open_files.ts";
import { completePath, openPath } from "./open_path.ts";
import { overviewOf } from "./overview.ts";
import { nameBytes } from "./path_text.ts";
import { pushPath } from "./push.ts";
import { saveFile } from "./save.ts";
import { searchNames } from "./search_names.ts";
import { changeSettings, parseToken, readSettings } from "./settings.ts";
import { shown } from "./shown.ts";
import { hashPartOf, parseAddress, summaryOf, type TabParts, TabStore } from "./tab_store.ts";
import { knownTruth, readTruth } from "./truth.ts";
import { closureGraph, differenceOf, whyDepends } from "./understand.ts";
import { type Arrived, walk, walkFollowing } from "./walk_path.ts";
import { Watchers } from "./watchers.ts";

/** Most bytes of one `read`. */
const MOST_READ = 8 * 1024 * 1024;

/** What the engine is made of. */
export interface EngineParts extends TabParts {
  /** Pins and garbage collection of the home. */
  readonly keeping: Keeping;
  /** Where the page came from, if that was http. */
  readonly origin?: string;
  /** The browser's promises about space. */
  readonly storage?: Pick<StorageManager, "estimate" | "persist" | "persisted">;
  /** Runs work while no other tab holds a lock of the other kind: many write, or one collects. Default: no other tabs. */
  readonly lock?: <T>(mode: LockMode, signal: AbortSignal, work: () => Promise<T>) => Promise<T>;
  /** Tells other tabs of changes, and is told of theirs. */
  readonly channel?: BroadcastChannel;
  /** Bytes that encodings of answers have spared on the way, in all; default none. */
  readonly saved?: () => number;
  /** Whether what was stored here before was found to be gone. */
  readonly evicted?: boolean;
}

export class TabEngine implements Engine {
  readonly #tab: TabStore;
  readonly #folders: Folders;
  readonly #jobs: Jobs;
  readonly #watchers: Watchers;
  readonly #parts: EngineParts;
  readonly #staged = new StagedEntries();
  #figures: { version: number; found: ReturnType<Keeping["statistics"]> } | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    this.#jobs = new Jobs(parts.saved);
    this.#tab = new TabStore(parts);
    this.#folders = new Folders(parts.home.bytes, this.#tab.services.directories);
    this.#watchers = new Watchers(parts.channel);
  }

  async site(): Promise<Site> {
    const { origin } = this.#parts;
    if (origin === undefined) return {};
    try {
      const site = await this.#tab.siteOf(origin, quiet());
      return site ? { server: origin, ...(site.contentOrigin && { contentOrigin: site.contentOrigin }) } : {};
    } catch (error) {
      // One that is private says so; offline, or where the host does not answer, the page does without.
      return error instanceof RemoteError && error.status === 401 ? { server: origin } : {};
    }
  }

  watch(changed: () => void): void {
    this.#watchers.add(changed);
  }

  cancel(job: string): void {
    this.#jobs.cancel(job);
    this.#staged.cancel(job);
  }

  // Open

  addEntries(job: string, entries: readonly FolderEntry[]): void {
    this.#staged.add(job, entries);
  }

  async open(given: Target, options: OpenOptions = {}, job?: string, report?: Report): Promise<Opened> {
    const target = this.#staged.completed(given, job);
    return await this.#changing(job, report, async (job) => {
      const { opened, refused } = await this.#take(target, options, job);
      const pins = await this.#parts.keeping.pinned();
      const paths: PathSummary[] = [];
      for (const hashPart of opened) {
        const kept = await this.#tab.find(hashPart);
        if (kept) paths.push(summaryOf(kept, pins.has(hashPart)));
      }
      return { paths, refused };
    });
  }

  async #take(target: Target, options: OpenOptions, job: Job): Promise<Taken> {
    const { caches } = await this.settings();
    if (target.type === "files") return await openFiles(target.files, caches, this.#tab, job);
    if (target.type === "folder") return await openFolder(target, this.#tab, job);
    const url = /^(https?:\/\/.*)\/(?:([0-9a-z]{32})\.narinfo|nix\/store\/([^?#]+).*)$/.exec(
      target.path.trim(),
    );
    const asked = url ? [url[1]] : target.cache === undefined ? caches : [target.cache];
    const hashPart = hashPartOf(url ? url[2] ?? url[3] : target.path);
    return {
      opened: await openPath(hashPart, asked.map(parseAddress), options, this.#tab, job),
      refused: [],
    };
  }

  async complete(path: string, job?: string, report?: Report): Promise<PathSummary> {
    return await this.#changing(job, report, async (job) => {
      const kept = await this.#tab.get(path);
      await completePath(kept, this.#tab, job);
      await this.#tab.records.deleteUnfinished(kept.info.storePath.hashPart);
      const pins = await this.#parts.keeping.pinned();
      return summaryOf(await this.#tab.get(path), pins.has(kept.info.storePath.hashPart));
    });
  }

  async unfinished(): Promise<readonly Unfinished[]> {
    const all: Unfinished[] = [];
    for await (const { path, cache, options, startedAt } of this.#tab.records.allUnfinished()) {
      all.push({ path, cache, options, startedAt });
    }
    return all.sort((a, b) => b.startedAt - a.startedAt);
  }

  async forget(path: string): Promise<void> {
    await this.#tab.records.deleteUnfinished(hashPartOf(path));
    this.#watchers.changed();
  }

  // Truth

  async truth(path: string): Promise<Truth> {
    const { trustedKeys } = await this.settings();
    return await knownTruth(await this.#tab.get(path), trustedKeys, this.#tab);
  }

  async verify(path: string, job?: string, report?: Report): Promise<Truth> {
    return await this.#jobs.run(job, report, async (job) => {
      const { trustedKeys } = await this.settings();
      return await readTruth(await this.#tab.get(path), trustedKeys, this.#tab, job);
    });
  }

  // Browse

  async list(path: string, folder: FilePath, options: ListOptions = {}): Promise<Page> {
    const { node } = await this.#walk(path, folder);
    if (node.type === "directory") return await this.#folders.page(node, options);
    throw new UnsupportedError(`Cannot list ${shown(folder || path)}: it is a ${node.type}`);
  }

  async stat(path: string, file: FilePath, follow = false): Promise<Found | undefined> {
    const kept = await this.#tab.get(path);
    const found = await (follow ? walkFollowing : walk)(kept, file, this.#tab);
    if (!found) return undefined;
    const { storePath } = found.kept.info;
    const name = found.file === ""
      ? `${storePath.hashPart}-${storePath.name}`
      : found.file.slice(found.file.lastIndexOf("/") + 1);
    return {
      path: formatStorePath(storePath),
      file: found.file,
      item: await this.#folders.item({ name: nameBytes(name), node: found.node }),
      via: found.via,
    };
  }

  async read(
    path: string,
    file: FilePath,
    start: number,
    end: number,
    job?: string,
    report?: Report,
  ): Promise<Uint8Array> {
    return await this.#jobs.run(job, report, async (job) => {
      const { node, kept } = await this.#walk(path, file);
      if (node.type !== "file") {
        throw new UnsupportedError(`Cannot read ${shown(file || path)}: it is a ${node.type}`);
      }
      const from = Math.min(Math.max(0, start), node.size);
      const range = { start: from, end: Math.max(from, Math.min(end, node.size, from + MOST_READ)) };
      const { names, bytes: store } = this.#tab.home;
      const { blobs } = this.#tab.services;
      const here = await readHere(node, range, names, { blobs, store });
      if (here) return here.slice();
      const fetch = { store, blobs, contents: await this.#tab.contentsFor(kept, job), job };
      return await this.#locked(
        "shared",
        job,
        async () => (await readLazily(node, range, names, fetch)).slice(),
      );
    });
  }

  async search(
    path: string,
    text: string,
    options: SearchOptions,
    job: string,
    found: (hits: readonly SearchHit[]) => void,
  ): Promise<SearchEnd> {
    return await this.#jobs.run(job, undefined, async (job) => {
      const { info } = await this.#tab.get(path);
      return await searchNames(info.node, text, options, this.#folders, job, found);
    });
  }

  async save(what: Saved, handle?: FileSystemFileHandle, job?: string, report?: Report): Promise<SavedFile> {
    return await this.#jobs.run(
      job,
      report,
      (job) => this.#locked("shared", job, () => saveFile(what, handle, this.#tab, job)),
    );
  }

  // Understand

  async closure(path: string, job?: string, report?: Report): Promise<ClosureGraph> {
    return await this.#jobs.run(job, report, (job) => closureGraph(path, this.#tab, job));
  }

  async whyDepends(from: string, to: string, job?: string, report?: Report): Promise<WhyDepends | undefined> {
    return await this.#jobs.run(job, report, (job) => whyDepends(from, to, this.#tab, job));
  }

  async difference(
    before: string,
    after: string,
    options: DifferenceOptions = {},
    job?: string,
    report?: Report,
  ): Promise<Difference> {
    return await this.#jobs.run(job, report, (job) => differenceOf(before, after, options, this.#tab, job));
  }

  // Keep

  async stored(): Promise<readonly PathSummary[]> {
    const pins = await this.#parts.keeping.pinned();
    const paths: PathSummary[] = [];
    for await (const kept of allKept(this.#tab)) {
      paths.push(summaryOf(kept, pins.has(kept.info.storePath.hashPart)));
    }
    return paths.sort((a, b) => b.openedAt - a.openedAt || (a.path < b.path ? -1 : 1));
  }

  async overview(): Promise<Overview> {
    // Everything is walked over for these, so they are kept until something changes.
    const { version } = this.#watchers;
    if (this.#figures?.version !== version) {
      this.#figures = { version, found: this.#parts.keeping.statistics(quiet().signal) };
      this.#figures.found.catch(() => this.#figures = undefined);
    }
    return await overviewOf(this.#tab, this.#parts, await this.#figures.found);
  }

  async pin(path: string): Promise<void> {
    const kept = await this.#tab.get(path);
    if (!kept.whole) {
      const name = formatStorePath(kept.info.storePath);
      throw new MissingError("path", name, `Cannot pin ${name}: not all of it is here; fetch the rest first`);
    }
    await this.#parts.keeping.pin(kept.info.storePath.hashPart);
    this.#watchers.changed();
  }

  async unpin(path: string): Promise<void> {
    await this.#parts.keeping.unpin(hashPartOf(path));
    this.#watchers.changed();
  }

  async remove(paths: readonly string[], job?: string, report?: Report): Promise<Collected> {
    const wanted = new Set(paths.map(hashPartOf));
    return await this.#changing(
      job,
      report,
      (job) => collectPaths(wanted, "all", this.#tab, this.#parts.keeping, job),
      "exclusive",
    );
  }

  async collect(what: "unpinned" | "unneeded", job?: string, report?: Report): Promise<Collected> {
    return await this.#changing(
      job,
      report,
      (job) =>
        collectPaths(new Set(), what === "unpinned" ? "pinned" : "all", this.#tab, this.#parts.keeping, job),
      "exclusive",
    );
  }

  async persist(): Promise<boolean> {
    return await this.#parts.storage?.persist() ?? false;
  }

  // Push

  async push(path: string, options: PushOptions, job?: string, report?: Report): Promise<Pushed> {
    return await this.#jobs.run(job, report, (job) => pushPath(hashPartOf(path), options, this.#tab, job));
  }

  // Settings

  async settings(): Promise<Settings> {
    return await readSettings(this.#tab.records, (await this.site()).server);
  }

  async configure(settings: Partial<Omit<Settings, "tokens">>): Promise<Settings> {
    const kept = await changeSettings(settings, this.#tab.records, (await this.site()).server);
    this.#watchers.changed();
    return kept;
  }

  async giveToken(address: string, token?: string): Promise<Settings> {
    await this.#tab.giveToken(parseAddress(address), token === undefined ? undefined : parseToken(token));
    this.#watchers.changed();
    return await this.settings();
  }

  /** A job that changes what is kept; those who watch are told, however it ends. */
  async #changing<T>(
    name: string | undefined,
    report: Report | undefined,
    work: (job: Job) => Promise<T>,
    mode: LockMode = "shared",
  ): Promise<T> {
    try {
      return await this.#jobs.run(name, report, (job) => this.#locked(mode, job, work));
    } finally {
      this.#watchers.changed();
    }
  }

  async #locked<T>(mode: LockMode, job: Job, work: (job: Job) => Promise<T>): Promise<T> {
    const { lock } = this.#parts;
    if (lock && mode === "exclusive") job.enter("waiting");
    return lock ? await lock(mode, job.signal, () => work(job)) : await work(job);
  }

  async #walk(path: string, file: FilePath): Promise<Arrived> {
    const found = await walk(await this.#tab.get(path), file, this.#tab);
    if (found) return found;
    throw new MissingError("file", file, `Cannot find ${shown(file)} in ${shown(path)}`);
  }
}
