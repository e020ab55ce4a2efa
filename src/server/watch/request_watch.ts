/**
 * Watches requests: counts them, and tells each in a line of the log. A refusal stands in the line of its request, so nobody else
 * tells it (`tells`).
 */
import type { Asking, Caller, Outcome, Watch, Watched } from "../door.ts";
import type { Ending, RequestFigures } from "./request_figures.ts";
import type { RequestEntry } from "./request_log.ts";
import { routeKind } from "./route_kinds.ts";

export interface WatchOptions {
  readonly figures?: RequestFigures;
  /** Told of each request that is not of a kind in `quiet`. */
  readonly log?: (entry: RequestEntry) => void;
  /** Whether it is told of requests that were answered at once, too; default true. */
  readonly logAnswered?: boolean;
  /** Kinds of routes that are not told as long as they succeed; default scrapes. */
  readonly quiet?: ReadonlySet<string>;
}

const QUIET: ReadonlySet<string> = new Set(["metrics"]);
/** Texts of what one request did, at most. */
const MOST_NOTES = 20;

export class RequestWatch implements Watch {
  readonly tells: boolean;
  readonly figures: RequestFigures | undefined;
  #log: ((entry: RequestEntry) => void) | undefined;
  #logAnswered: boolean;
  #quiet: ReadonlySet<string>;

  constructor({ figures, log, logAnswered = true, quiet = QUIET }: WatchOptions) {
    this.figures = figures;
    this.#log = log;
    this.#quiet = quiet;
    this.#logAnswered = logAnswered;
    this.tells = log !== undefined;
  }

  begin(asking: Asking): Watched {
    if (this.figures) this.figures.inFlight++;
    return new WatchedRequest(asking, this);
  }

  answered(asking: Asking, route: string, status: number, sent: number): void {
    const ending = { status, ms: 0, received: 0, sent, left: false };
    this.figures?.ended(route, asking, ending);
    if (this.#log && this.#logAnswered) this.#log(entryOf(asking, ending));
  }

  stored(kind: string, bytes: number): void {
    this.figures?.stored(kind, bytes);
  }

  /** A request that was begun has ended. */
  ended(asking: Asking, ending: Ending, more: Partial<RequestEntry>): void {
    const route = routeKind(asking.path);
    if (this.figures) {
      this.figures.inFlight--;
      this.figures.ended(route, asking, ending);
    }
    if (this.#log && (more.error || !this.#quiet.has(route))) {
      this.#log({ ...entryOf(asking, ending), ...more });
    }
  }
}

function entryOf(asking: Asking, { status, code, ms, received, sent }: Ending): RequestEntry {
  const { protocol, method, path, address } = asking;
  return { at: new Date(), protocol, method, path, status, code, received, sent, ms, address };
}

class WatchedRequest implements Watched {
  #asking: Asking;
  #watch: RequestWatch;
  #begun = performance.now();
  /** Now, for a platform does not tell any more when the request is over. */
  #address: string | undefined;
  #received = 0;
  #sent = 0;
  #token: string | undefined;
  #notes: string[] = [];
  #failure: unknown;

  constructor(asking: Asking, watch: RequestWatch) {
    this.#asking = asking;
    this.#watch = watch;
    if (watch.tells) this.#address = asking.address;
  }

  admitted({ token }: Caller): void {
    this.#token = token;
  }

  received(bytes: number): void {
    this.#received += bytes;
  }

  sent(bytes: number): void {
    this.#sent += bytes;
  }

  noted(what: string): void {
    if (this.#notes.length < MOST_NOTES) this.#notes.push(what);
  }

  failed(error: unknown): void {
    this.#failure ??= error;
  }

  end({ status, code, body, refused }: Outcome): void {
    const error = refused ?? this.#failure;
    if (error !== undefined) this.#watch.figures?.failed(error);
    const ending: Ending = {
      status,
      code,
      ms: performance.now() - this.#begun,
      received: this.#received,
      sent: this.#sent,
      left: body === "left",
    };
    this.#watch.ended(this.#asking, ending, {
      address: this.#address,
      token: this.#token,
      ended: body === "whole" ? undefined : body,
      did: this.#notes.length > 0 ? this.#notes.join("; ") : undefined,
      error: error === undefined ? undefined : errorOf(error, status, code),
    });
  }
}

/** What an operator reads of an error: of a fault of the server, where it was. */
function errorOf(error: unknown, status: number, code: number | undefined): RequestEntry["error"] {
  if (!(error instanceof Error)) return { kind: "Error", message: String(error) };
  const { cause } = error;
  const inside = status === 500 || code === INTERNAL || code === UNKNOWN;
  const fault = inside && cause instanceof Error ? cause : error;
  return { kind: fault.name, message: inside ? fault.stack ?? fault.message : fault.message };
}

/** Codes of gRPC. */
const UNKNOWN = 2;
const INTERNAL = 13;
