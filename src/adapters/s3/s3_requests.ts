/**
 * Requests to S3: signed, bounded in number, bytes and time, and tried again with full jitter while they fail for a reason that
 * may pass ("Exponential Backoff And Jitter", Brooker, 2015). Bodies are short, so each is read whole, and whether it was cut
 * is known before anybody sees it.
 */
import { AwsV4Signer } from "aws4fetch";
import { Budget } from "../../bytes/budget.ts";
import type { Bytes } from "../../bytes/bytes.ts";
import { MAX_VALUE_LENGTH } from "../../castore/byte_store.ts";
import { LimitError, RemoteError } from "../../errors.ts";
import type { S3Credentials, S3Operation, S3Options } from "./open_s3.ts";
import { CutError, receive, Watchdog } from "./receive.ts";
import { type Asked, errorOf, isExpired, mayPass, readRefusal, type S3Refusal } from "./s3_errors.ts";
import { encodeInUrl } from "./s3_key.ts";

const ATTEMPTS = 8;
const TIMEOUT_MS = 15_000;
const REQUESTS = 16;
const BYTES_IN_FLIGHT = 64 * 1024 * 1024;
/** Milliseconds before a second attempt, at most, doubled for each further one up to the second figure. */
const PAUSE_MS = 100, LONGEST_PAUSE_MS = 5000;
/** Bytes a second that a sender has at least: a body gets that much more time. */
const SLOWEST = 64 * 1024;
/** The longest error or list that is read. */
const LONGEST_TEXT = 8 * 1024 * 1024;

export interface S3Request {
  readonly operation: S3Operation;
  /** Name of the object; none: the bucket. */
  readonly object?: string;
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly body?: Bytes;
  /** The longest body of a good answer; default that of a value. */
  readonly longest?: number;
  /** Refusals that are answers: their codes, or statuses. */
  readonly accept?: readonly (string | number)[];
  /** What is said when it fails: `Cannot read pack/3f`. */
  readonly failed: string;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Bytes;
  /** Where the status is no success. */
  readonly refusal: S3Refusal | undefined;
  /** How many attempts it took. After the first, an earlier one may have been carried out. */
  readonly attempt: number;
}

const METHODS: Record<S3Operation, string> = {
  GetObject: "GET",
  HeadObject: "HEAD",
  PutObject: "PUT",
  DeleteObject: "DELETE",
  ListObjectsV2: "GET",
};

/** What came of one attempt: an answer, or why it is worth another. */
type Outcome = Omit<S3Answer, "attempt"> | { readonly again: Error; readonly after?: number };

export class S3Requests {
  readonly address: string;
  #options: S3Options;
  #url: string;
  #requests: Budget;
  #bytes: Budget;
  #attempts: number;
  #timeout: number;
  #now: () => Date;
  #known: Promise<S3Credentials> | undefined;
  /** Keys that signatures are made with, of today. */
  #signingKeys = new Map<string, ArrayBuffer>();
  #underWay = new Set<Promise<unknown>>();

  /**
   * @param url of the bucket
   * @param address the store, as errors name it
   */
  constructor(options: S3Options, url: string, address: string) {
    this.#options = options;
    this.#url = url;
    this.address = address;
    this.#requests = new Budget(options.requests ?? REQUESTS);
    this.#bytes = new Budget(options.bytesInFlight ?? BYTES_IN_FLIGHT);
    this.#attempts = options.attempts ?? ATTEMPTS;
    this.#timeout = options.timeout ?? TIMEOUT_MS;
    this.#now = options.now ?? (() => new Date());
  }

  /** The answer to a request: a success, or a refusal that the request accepts. Throws the error for any other. */
  async send(request: S3Request): Promise<S3Answer> {
    const sending = this.#send(request);
    this.#underWay.add(sending);
    try {
      return await sending;
    } finally {
      this.#underWay.delete(sending);
    }
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
  }

  async #send(request: S3Request): Promise<S3Answer> {
    let renewed = false;
    for (let attempt = 1;; attempt++) {
      const time = this.#now();
      const asked = {
        address: this.address,
        bucket: this.#options.bucket,
        failed: `${request.failed} of ${this.address}`,
        time,
      };
      const outcome = await this.#admitted(request, asked, attempt);
      if ("again" in outcome) {
        if (attempt >= this.#attempts) throw outcome.again;
        await pause(attempt, outcome.after);
        continue;
      }
      const { refusal } = outcome;
      if (refusal && isExpired(refusal) && !renewed && typeof this.#options.credentials === "function") {
        renewed = true;
        this.#known = undefined;
        continue;
      }
      const accepted = !refusal || request.accept?.includes(refusal.code) ||
        request.accept?.includes(refusal.status);
      if (!accepted) throw errorOf(refusal, asked);
      return { ...outcome, attempt };
    }
  }

  /** One attempt, when there is room for it. */
  async #admitted(request: S3Request, asked: Asked, attempt: number): Promise<Outcome> {
    const weight = request.body?.length ??
      (request.operation === "HeadObject" ? 0 : request.longest ?? MAX_VALUE_LENGTH);
    await this.#requests.take(1);
    await this.#bytes.take(weight);
    const started = performance.now();
    const report = { status: undefined as number | undefined, bytes: 0 };
    try {
      return await this.#attempt(request, asked, report);
    } finally {
      this.#bytes.give(weight);
      this.#requests.give(1);
      const ms = performance.now() - started;
      this.#options.onRequest?.({ operation: request.operation, ...report, ms, attempt });
    }
  }

  async #attempt(
    request: S3Request,
    asked: Asked,
    report: { status: number | undefined; bytes: number },
  ): Promise<Outcome> {
    const { body, operation } = request;
    const { url, headers } = await this.#sign(request, asked.time);
    const watchdog = new Watchdog(this.#timeout + (body ? body.length / SLOWEST * 1000 : 0));
    try {
      const init: RequestInit = {
        method: METHODS[operation],
        headers,
        redirect: "manual",
        signal: watchdog.signal,
      };
      if (body) init.body = body;
      const answer = await this.#options.fetch.call(globalThis, url, init);
      report.bytes += body?.length ?? 0;
      const longest = answer.ok ? request.longest ?? MAX_VALUE_LENGTH : LONGEST_TEXT;
      watchdog.patience = this.#timeout;
      const received = await receive(answer, operation === "HeadObject", longest, watchdog);
      report.bytes += received.length;
      const { headers: said, status } = answer;
      report.status = status;
      if (answer.ok) return { status, headers: said, body: received, refusal: undefined };
      const refusal = readRefusal(status, said, received);
      const conflict = refusal.code !== "" && request.accept?.includes(refusal.code);
      if (!mayPass(refusal) || conflict) return { status, headers: said, body: received, refusal };
      return { again: errorOf(refusal, asked), after: Number(said.get("retry-after") ?? 0) * 1000 };
    } catch (error) {
      return { again: this.#unanswered(error, watchdog, asked) };
    } finally {
      watchdog.end();
    }
  }

  /** What broke a connection; throws what is no reason to try again. */
  #unanswered(error: unknown, watchdog: Watchdog, { failed }: Asked): RemoteError {
    const { address } = this;
    if (error instanceof CutError) {
      return new RemoteError(address, `${failed}: ${error.message}`, { cause: error });
    }
    if (watchdog.signal.aborted) {
      const text = `${failed}: nothing came for ${Math.round(watchdog.patience / 1000)} s`;
      return new RemoteError(address, text, { cause: error });
    }
    // Platforms have many errors for a network that fails; these are none.
    if (error instanceof LimitError || /^(NotCapable|PermissionDenied)$/.test((error as Error).name)) {
      throw error;
    }
    const text =
      `${failed}: ${this.#url} cannot be reached, or the connection broke (${(error as Error).message}); ` +
      "is it up, and is the endpoint right?";
    return new RemoteError(address, text, { cause: error });
  }

  async #sign(request: S3Request, time: Date): Promise<{ url: string; headers: Headers }> {
    const { object, query, body } = request;
    const { region, credentials } = this.#options;
    const known = this.#known ??= Promise.resolve(
      typeof credentials === "function" ? credentials() : credentials,
    );
    known.catch(() => this.#known = undefined);
    const { accessKeyId, secretAccessKey, sessionToken } = await known;
    const path = object === undefined ? "" : "/" + object.split("/").map(encodeInUrl).join("/");
    const search = Object.entries(query ?? {}).map(([name, value]) => `${name}=${encodeInUrl(value)}`).join(
      "&",
    );
    const url = this.#url + (path || "/") + (search && "?" + search);
    const signer = new AwsV4Signer({
      ...{ url, method: METHODS[request.operation], service: "s3", region, cache: this.#signingKeys },
      ...{ accessKeyId, secretAccessKey, sessionToken },
      // The body is signed, so one that changed on its way is refused.
      headers: { ...request.headers, "x-amz-content-sha256": body ? await sha256(body) : NO_BODY },
      datetime: time.toISOString().replace(/[:-]|\.\d{3}/g, ""),
    });
    const { headers } = await signer.sign();
    // These are not signed, as browsers and proxies have their own mind about them.
    headers.set("accept-encoding", "identity");
    if (body) headers.set("content-type", "application/octet-stream");
    if (this.#signingKeys.size > 4) this.#signingKeys.clear();
    return { url, headers };
  }
}

const NO_BODY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

async function sha256(body: Bytes): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", body)).toHex();
}

/** Waits before the next attempt, at least as long as the server wishes. */
async function pause(attempt: number, after = 0): Promise<void> {
  const most = Math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ** (attempt - 1));
  const wished = Number.isFinite(after) ? Math.min(Math.max(after, 0), LONGEST_PAUSE_MS) : 0;
  await new Promise((resolve) => setTimeout(resolve, wished + Math.random() * most));
}
