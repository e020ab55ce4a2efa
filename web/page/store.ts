/** What the page knows: the engine in its worker, what is kept, and what is under way. */
import * as Comlink from "comlink";
import { signal } from "@preact/signals";
import { connectEngine, type RemoteEngine } from "../engine/connect.ts";
import type {
  Fault,
  Overview,
  PathSummary,
  Progress,
  Report,
  Settings,
  Site,
  Unfinished,
} from "../engine/engine.ts";
import { faultOf } from "../engine/fault.ts";

declare const __ENGINE__: string;

/** Kept outside of what a browser evicts together with the store: that there was one. */
const HAD_STORE = "firn-store";

/** Everything that is kept, newest first; `undefined` until it is known. */
export const stored = signal<readonly PathSummary[] | undefined>(undefined);
export const unfinished = signal<readonly Unfinished[]>([]);
export const overview = signal<Overview | undefined>(undefined);
/** Why {@link overview} is not known. */
export const overviewFault = signal<Fault | undefined>(undefined);
export const settings = signal<Settings | undefined>(undefined);
export const site = signal<Site>({});
/** Counts changes of what is kept: who shows something of it asks again. */
export const changes = signal(0);
/** Why the store cannot be used at all. */
export const broken = signal<Fault | undefined>(undefined);
/** Said to who listens instead of looking. */
export const announcement = signal("");
export const online = signal(true);

export let engine: RemoteEngine;

/** Starts the engine, and keeps what the page knows of it. */
export function startEngine(): void {
  const worker = new Worker(new URL(__ENGINE__, document.baseURI), {
    type: "module",
    name: remembered() ? "firn again" : "firn",
  });
  worker.addEventListener("error", (event) => {
    broken.value = {
      name: "Error",
      message: event.message || "Cannot start the worker of this page: reload it",
    };
  });
  engine = connectEngine(worker);
  const refresh = () => {
    changes.value++;
    learn().catch((error) => broken.value ??= faultOf(error));
  };
  engine.watch(Comlink.proxy(refresh)).catch((error) => broken.value = faultOf(error));
  refresh();
  engine.site().then((found) => site.value = found, () => {});
  online.value = navigator.onLine;
  addEventListener("online", () => online.value = true);
  addEventListener("offline", () => online.value = false);
}

function remembered(): boolean {
  try {
    return localStorage.getItem(HAD_STORE) !== null;
  } catch {
    return false; // storage may be forbidden: then eviction goes unnoticed
  }
}

function remember(): void {
  try {
    localStorage.setItem(HAD_STORE, "1");
  } catch {
    // As above.
  }
}

async function learn(): Promise<void> {
  const figures = engine.overview();
  figures.then((found) => {
    overview.value = found;
    remember();
    overviewFault.value = undefined;
  }, (error) => overviewFault.value = faultOf(error));
  engine.settings().then((found) => settings.value = found, () => {}); // they stand as they were known
  const [paths, open] = await Promise.all([engine.stored(), engine.unfinished()]);
  stored.value = paths;
  unfinished.value = open;
}

/** Something long that was begun here. */
export interface Job {
  readonly id: string;
  readonly title: string;
  readonly state: "running" | "done" | "failed";
  readonly progress?: Progress;
  readonly fault?: Fault;
  /** What came of it, in a sentence. */
  readonly outcome?: string;
  /** Where what came of it can be seen. */
  readonly href?: string;
  /** Begins it once more: what was stored stays. */
  readonly again?: () => void;
  /** Set if it has a token of its own: another is then typed where that was. */
  readonly ownToken?: boolean;
}

export const jobs = signal<readonly Job[]>([]);
let lastJob = 0;

export interface Outcome {
  readonly told: string;
  /** Whether it came to its end and found something bad. */
  readonly bad?: boolean;
  readonly href?: string;
}

/**
 * Runs something long and shows it until it is dismissed. Returns what it gave, or `undefined` if it failed or was cancelled,
 * which is then seen in its card.
 */
export async function run<T>(
  title: string,
  deed: (job: string, report: Report) => Promise<T>,
  tell?: (value: T) => Outcome | undefined,
  about: Pick<Job, "ownToken"> = {},
): Promise<T | undefined> {
  const id = `job ${++lastJob}`;
  const change = (changed: Partial<Job>) =>
    jobs.value = jobs.value.map((job) => job.id === id ? { ...job, ...changed } : job);
  jobs.value = [{ id, title, state: "running", ...about }, ...jobs.value];
  announcement.value = `${title}: begun`;
  const report = Comlink.proxy((progress: Progress) => change({ progress }));
  try {
    const value = await deed(id, report);
    const outcome = tell?.(value);
    change({ state: outcome?.bad ? "failed" : "done", outcome: outcome?.told, href: outcome?.href });
    announcement.value = `${title}: ${outcome?.told ?? "done"}`;
    if (!outcome?.bad) setTimeout(() => dismiss(id), 4_000);
    return value;
  } catch (error) {
    const fault = faultOf(error);
    if (fault.name === "AbortError") {
      dismiss(id);
      announcement.value = `${title}: cancelled`;
      return undefined;
    }
    const again = () => {
      dismiss(id);
      run(title, deed, tell, about);
    };
    change({ state: "failed", fault, again });
    announcement.value = `${title}: failed. ${fault.message}`;
    return undefined;
  }
}

/** Takes a job's card away. */
export function dismiss(id: string): void {
  jobs.value = jobs.value.filter((job) => job.id !== id);
}
