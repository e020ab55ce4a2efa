/**
 * Whether the server can do its work, for who sends it requests: `/healthz` answers as long as the process does, `/readyz` only
 * while the store answers, too, and the server is not about to stop. Both go by the door: who asks has no token, and asks
 * all the more when there is no room.
 */

/** How long an answer of the store is believed, in milliseconds. */
const FRESH_MS = 1000;
/** How long the store may take, in milliseconds. */
const WITHIN_MS = 3000;

/** Whether a URL is that of `/healthz` or `/readyz`. */
export function isHealthPath(url: string): boolean {
  if (!url.endsWith("/healthz") && !url.endsWith("/readyz")) return false;
  return url.indexOf("/", url.indexOf("//") + 2) === url.lastIndexOf("/");
}

export interface ReadinessOptions {
  /** Looks at the store; what it throws is why it is not ready. */
  readonly look: () => Promise<unknown>;
  readonly stopping?: AbortSignal;
  /** Told when it becomes ready, and when it no longer is. */
  readonly log?: (line: string) => void;
  readonly freshMs?: number;
  readonly withinMs?: number;
}

export class Readiness {
  #options: ReadinessOptions;
  #known: { readonly at: number; readonly why: string | undefined } | undefined;
  /** One look at a time, however many ask and however long it takes. */
  #looking: Promise<string | undefined> | undefined;

  constructor(options: ReadinessOptions) {
    this.#options = options;
  }

  /** Why the server is not ready; `undefined` when it is. */
  async why(): Promise<string | undefined> {
    const { stopping, freshMs = FRESH_MS } = this.#options;
    if (stopping?.aborted) return "the server is stopping";
    const known = this.#known;
    if (known && performance.now() - known.at < freshMs) return known.why;
    this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    return await this.#inTime(this.#looking);
  }

  /** The answer to a request for `/healthz` or `/readyz`; nothing for any other. */
  answer({ url, method }: Request): Response | Promise<Response> | undefined {
    if (!isHealthPath(url) || (method !== "GET" && method !== "HEAD")) return undefined;
    if (url.endsWith("/healthz")) return line("alive", 200);
    return this.why().then((why) => why === undefined ? line("ready", 200) : line(`not ready: ${why}`, 503));
  }

  async #look(): Promise<string | undefined> {
    let why: string | undefined;
    try {
      await this.#options.look();
    } catch (error) {
      why = "the store fails";
      this.#tell(why, `: ${(error as Error).message}`);
    }
    this.#tell(why);
    this.#known = { at: performance.now(), why };
    return why;
  }

  async #inTime(looking: Promise<string | undefined>): Promise<string | undefined> {
    const { withinMs = WITHIN_MS } = this.#options;
    let timer: ReturnType<typeof setTimeout>;
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => {
        const why = "the store does not answer";
        this.#tell(why);
        this.#known = { at: performance.now(), why };
        resolve(why);
      }, withinMs);
    });
    return await Promise.race([looking, late]).finally(() => clearTimeout(timer));
  }

  /** Says what is new, and that once. */
  #tell(why: string | undefined, more = ""): void {
    if (why === this.#told) return;
    this.#told = why;
    this.#options.log?.(why === undefined ? "ready again" : `not ready: ${why}${more}`);
  }
  #told: string | undefined;
}

function line(text: string, status: number): Response {
  return new Response(text + "\n", {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" },
  });
}
