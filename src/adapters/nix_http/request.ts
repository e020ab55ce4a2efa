/**
 * Requests to servers that may be anywhere: what they fail with, in words, and what they move, counted.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { iterate } from "../../bytes/streams.ts";
import { FormatError, LimitError, RemoteError } from "../../errors.ts";
import { RefusedError } from "./refused_error.ts";
import { parseRetryAfter, type RetryOptions } from "./retries.ts";

/** How a remote is asked. */
export interface RemoteOptions {
  /** Its address, without a slash at the end. */
  readonly address: string;
  /** The platform's `fetch`. */
  readonly fetch: typeof fetch;
  /** Sent as a bearer token with every request to the origin of `address`, and to no other. */
  readonly token?: string;
  /** What may be the matter when nobody answers; default that it is down, or lets no pages of other sites read. */
  readonly unreachable?: string;
  /** Do not follow an answer that leads elsewhere: uploads would arrive there as something else. */
  readonly stay?: boolean;
  /** How long what writes, and what is asked before writing, goes on failing; default once. */
  readonly retry?: RetryOptions;
  /** Milliseconds a request may take, with its answer; default no bound. */
  readonly timeoutMs?: number;
  /** Aborted: whatever is under way ends, with its reason. */
  readonly signal?: AbortSignal;
  /** Told the bytes of bodies that came or went, as they do. */
  readonly moved?: (bytes: number) => void;
}

const UNREACHABLE = "is it up, and does it let pages of other sites read (CORS)?";

/** Most characters of a refusal that are repeated. */
const MOST_REASON = 1000;

/**
 * Sends a request. Statuses of 400 and more, except those in `accept`, are a `RemoteError` with what the server says.
 * `path` is relative to the address, or a URL of its own.
 */
export async function request(
  options: RemoteOptions,
  path: string,
  init: RequestInit = {},
  accept: readonly number[] = [],
): Promise<Response> {
  const { address, signal, token, unreachable = UNREACHABLE } = options;
  const { href: url, origin } = new URL(path, address + "/");
  const headers = new Headers(init.headers);
  // Where such an answer leads to another origin, `fetch` takes the header off on the way there.
  const sent = token !== undefined && origin === new URL(address).origin;
  if (sent) headers.set("authorization", `Bearer ${token}`);
  const redirect = options.stay ? "manual" as const : undefined;
  let response: Response;
  try {
    response = await options.fetch.call(globalThis, url, {
      ...init,
      headers,
      signal: bounded(options),
      ...(redirect && { redirect }),
    });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new RemoteError(address, `Cannot reach ${url}: ${(cause as Error).message}; ${unreachable}`, {
      cause,
    });
  }
  if (init.body instanceof Uint8Array) options.moved?.(init.body.length);
  const { status } = response;
  if (options.stay && status >= 300 && status < 400 && status !== 304) throw await ledAway(options, response);
  if (status < 400 || accept.includes(status)) return response;
  const waitMs = parseRetryAfter(response.headers.get("retry-after"));
  const why = await reason(response);
  throw new RefusedError(
    address,
    status,
    why,
    `Cannot use ${url}${advice(status, sent)}: ${status} ${why}`,
    waitMs,
  );
}

function bounded({ signal, timeoutMs }: RemoteOptions): AbortSignal | undefined {
  if (timeoutMs === undefined) return signal;
  const timeout = AbortSignal.timeout(timeoutMs);
  return signal ? AbortSignal.any([signal, timeout]) : timeout;
}

async function ledAway({ address }: RemoteOptions, response: Response): Promise<RefusedError> {
  await response.body?.cancel();
  const { status, headers } = response;
  const where = headers.get("location") ?? "somewhere else";
  return new RefusedError(
    address,
    status,
    `it leads to ${where}`,
    `Cannot use ${response.url || address}: it leads to ${where}; use that address`,
  );
}

function advice(status: number, sent: boolean): string {
  if (status === 401) {
    return sent ? "; it does not accept the token, which may be old or another server's" : " without a token";
  }
  if (status === 403) {
    return sent ? "; the token does not allow this" : " without permission; it may want a token";
  }
  return "";
}

async function reason(response: Response): Promise<string> {
  if (response.headers.get("content-type")?.includes("html")) { // a page for people, of something in between
    await response.body?.cancel();
    return response.statusText;
  }
  let text = "";
  const decoder = new TextDecoder();
  try {
    for await (const piece of iterate(response.body ?? [])) {
      text += decoder.decode(piece, { stream: true });
      if (text.length > MOST_REASON) break;
    }
  } catch {
    // The status says it too.
  }
  return text.slice(0, MOST_REASON).trim() || response.statusText;
}

/** The body, counted; a connection that breaks is a `RemoteError`. */
export async function* bodyOf(
  { address, signal, moved }: RemoteOptions,
  response: Response,
): AsyncGenerator<Bytes, void, void> {
  if (!response.body) return;
  const pieces = iterate(response.body);
  try {
    while (true) {
      let next: IteratorResult<Bytes, void>;
      try {
        next = await pieces.next();
      } catch (cause) {
        signal?.throwIfAborted();
        throw new RemoteError(
          address,
          `Cannot read all of what ${address} sends: the connection broke (${(cause as Error).message})`,
          { cause },
        );
      }
      if (next.done) return;
      moved?.(next.value.length);
      yield next.value;
    }
  } finally {
    await pieces.return();
  }
}

/** A body that is text, of at most so many bytes. */
export async function textOf(options: RemoteOptions, response: Response, limit: number): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let length = 0;
  for await (const piece of bodyOf(options, response)) {
    length += piece.length;
    if (length > limit) {
      throw new LimitError(limit, `Cannot read ${response.url}: it has over ${limit} bytes`);
    }
    text += decode(decoder, response, piece);
  }
  return text + decode(decoder, response);
}

function decode(decoder: TextDecoder, { url }: Response, piece?: Bytes): string {
  try {
    return decoder.decode(piece, { stream: piece !== undefined });
  } catch (cause) {
    throw new FormatError("text", `Cannot read ${url}: it is not UTF-8 text`, { cause });
  }
}
