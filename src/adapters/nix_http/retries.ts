/**
 * Asking again where that may help: connections that break, and answers that say "later". What is asked so must be fine to ask twice,
 * as everything is that is named by its digest.
 *
 * The wait doubles from a quarter of a second to 15 seconds, and is drawn from all of that ("full jitter"), so that many clients
 * whose server comes back do not come back together. What Retry-After asks for is waited at least.
 */
import { RemoteError } from "../../errors.ts";
import { RefusedError } from "./refused_error.ts";

/** How long asking again goes on. */
export interface RetryOptions {
  /** Milliseconds that something may go on failing, from its first failure; 0 asks once. */
  readonly patienceMs: number;
  /** Told before each wait: what failed, and how long is waited. */
  readonly waiting?: (error: RemoteError, ms: number) => void;
  /** From 0 to 1; default `Math.random`. */
  readonly random?: () => number;
  /** Default waits. Rejects when the signal is aborted. */
  readonly wait?: (ms: number, signal?: AbortSignal) => Promise<void>;
}

const FIRST_MS = 250;
const LONGEST_MS = 15_000;

/** Statuses that may be others later. 507, a full store, is not: somebody has to make room first. */
const PASSING = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Does something that asks a remote, again when it fails in a way that may pass. Throws what it failed with last. */
export async function retrying<T>(
  { retry, signal }: { readonly retry?: RetryOptions; readonly signal?: AbortSignal },
  ask: () => Promise<T>,
): Promise<T> {
  let since: number | undefined;
  for (let attempt = 0;; attempt++) {
    try {
      return await ask();
    } catch (error) {
      if (!retry || signal?.aborted || !mayPass(error)) throw error;
      const most = Math.min(LONGEST_MS, FIRST_MS * 2 ** attempt);
      const asked = error instanceof RefusedError ? error.retryAfterMs ?? 0 : 0;
      const ms = Math.max(asked, (retry.random ?? Math.random)() * most);
      since ??= performance.now();
      if (performance.now() - since + ms > retry.patienceMs) throw error;
      retry.waiting?.(error, ms);
      await (retry.wait ?? wait)(ms, signal);
    }
  }
}

function mayPass(error: unknown): error is RemoteError {
  if (error instanceof RefusedError) return PASSING.has(error.status);
  return error instanceof RemoteError;
}

/** The milliseconds in a Retry-After header: seconds, or a date. */
export function parseRetryAfter(text: string | null, now = Date.now()): number | undefined {
  if (text === null) return undefined;
  if (/^\s*\d{1,9}\s*$/.test(text)) return Number(text) * 1000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

function wait(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}
