/**
 * Requests to servers that may be anywhere: what they fail with, in words, and what they move, counted.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { iterate } from "../../bytes/streams.ts";
import { FormatError, LimitError, RemoteError } from "../../errors.ts";

/** How a remote is asked. */
export interface RemoteOptions {
  /** Its address, without a slash at the end. */
  readonly address: string;
  /** The platform's `fetch`. */
  readonly fetch: typeof fetch;
  /** Sent as a bearer token with every request to the origin of `address`, and to no other. */
  readonly token?: string;
  /** Aborted: whatever is under way ends, with its reason. */
  readonly signal?: AbortSignal;
  /** Told the bytes of bodies that came or went, as they do. */
  readonly moved?: (bytes: number) => void;
}

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
  const { address, signal, token } = options;
  const { href: url, origin } = new URL(path, address + "/");
  const headers = new Headers(init.headers);
  // Where such an answer leads to another origin, `fetch` takes the header off on the way there.
  const sent = token !== undefined && origin === new URL(address).origin;
  if (sent) headers.set("authorization", `Bearer ${token}`);
  let response: Response;
  try {
    response = await options.fetch.call(globalThis, url, { ...init, headers, signal });
  } catch (cause) {
    signal?.throwIfAborted();
    throw new RemoteError(
      address,
      `Cannot reach ${url}: ${
        (cause as Error).message
      }; is it up, and does it let pages of other sites read (CORS)?`,
      { cause },
    );
  }
  if (init.body instanceof Uint8Array) options.moved?.(init.body.length);
  if (response.status < 400 || accept.includes(response.status)) return response;
  const { status } = response;
  throw new RemoteError(
    address,
    `Cannot use ${url}${advice(status, sent)}: ${status} ${await reason(response)}`,
    { status },
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
