/**
 * Entries of a chosen folder on their way from the page, by the job that will open them. A browser looks at every file as it sends
 * it, so many in one message would make the page stand still: they come some at a time.
 */
import type { FolderEntry, Target } from "./engine.ts";

export class StagedEntries {
  readonly #jobs = new Map<string, FolderEntry[] | "cancelled">();

  /** Adds to those of a job. Throws the job's `AbortError` if it was cancelled since the last ones came. */
  add(job: string, entries: readonly FolderEntry[]): void {
    const staged = this.#take(job);
    for (const entry of entries) staged.push(entry);
    this.#jobs.set(job, staged);
  }

  /** A target with what came before it; that is forgotten here. */
  completed(target: Target, job: string | undefined): Target {
    const staged = this.#take(job);
    if (staged.length === 0 || target.type !== "folder" || !Array.isArray(target.entries)) return target;
    return { ...target, entries: [...staged, ...target.entries] };
  }

  #take(job: string | undefined): FolderEntry[] {
    const staged = job === undefined ? undefined : this.#jobs.get(job);
    if (staged === undefined) return [];
    this.#jobs.delete(job!);
    if (staged === "cancelled") throw new DOMException("Cancelled", "AbortError");
    return staged;
  }

  cancel(job: string): void {
    if (this.#jobs.has(job)) this.#jobs.set(job, "cancelled");
  }
}
