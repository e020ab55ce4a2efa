/** What `firn push` has done so far, told while it works and at its end. */
import type { Outgoing, PushedPaths, PushPhase } from "../adapters/nix_http/push_paths.ts";
import { formatStorePath, type StorePath } from "../nix/store_path.ts";
import type { Progress } from "./progress.ts";
import { count, formatSize } from "./stopped_options.ts";

export class PushTally {
  readonly #progress: Progress;
  readonly #started = performance.now();
  #doing = "asking what is there";
  #paths = 0;
  #published = 0;
  /** Bytes of bodies that were answered, and how many requests there were. */
  #moved = 0;
  #requests = 0;
  #sent = 0;
  #shared = 0;
  #read = 0;

  constructor(progress: Progress) {
    this.#progress = progress;
  }

  /** The platform's `fetch`, counted. */
  readonly fetch: typeof fetch = async (input, init) => {
    this.#requests++;
    const response = await fetch(input, init);
    if (init?.body instanceof Uint8Array) this.#moved += init.body.length;
    this.#tell();
    return response;
  };

  begin(paths: readonly Outgoing[]): void {
    this.#paths = paths.length;
  }

  read(path: string, bytes: number): void {
    this.#read += bytes;
    this.#doing = `reading ${path}`;
    this.#tell();
  }

  enter(phase: PushPhase, path: StorePath | undefined): void {
    if (phase !== "asking") this.#doing = path ? `${phase} ${formatStorePath(path)}` : phase;
    this.#tell();
  }

  published(paths: number): void {
    this.#published += paths;
    this.#tell();
  }

  count(bytes: number, shared: boolean): void {
    if (shared) this.#shared += bytes;
    else this.#sent += bytes;
    this.#tell();
  }

  /** Tells a person something besides. */
  note(line: string): void {
    this.#progress[Symbol.dispose]();
    console.error(`firn: ${line}`);
  }

  summary({ sent, there }: PushedPaths): string {
    const paths = there.length > 0 ? `; ${count(there.length, "path")} there already` : "";
    return `sent ${count(sent.length, "path")}: ${formatSize(this.#sent)} as ${formatSize(this.#moved)} in ${
      count(this.#requests, "request")
    }, ${formatSize(this.#shared)} there already${paths}`;
  }

  json(server: string, roots: readonly StorePath[], { sent, there }: PushedPaths): string {
    const names = (paths: readonly StorePath[]) => paths.map((path) => formatStorePath(path));
    return JSON.stringify({
      server,
      roots: names(roots),
      sent: names(sent),
      there: names(there),
      sentBytes: this.#sent,
      bodyBytes: this.#moved,
      sharedBytes: this.#shared,
      readBytes: this.#read,
      requests: this.#requests,
      seconds: Math.round(performance.now() - this.#started) / 1000,
    });
  }

  #tell(): void {
    this.#progress.tell(() => {
      const seconds = (performance.now() - this.#started) / 1000;
      const paths = this.#paths > 0 ? `${this.#published} of ${count(this.#paths, "path")}: ` : "";
      return `${paths}${formatSize(this.#sent)} sent, ${formatSize(this.#shared)} there already, ${
        formatSize(Math.round(this.#moved / seconds))
      }/s; ${this.#doing}`;
    });
  }
}
