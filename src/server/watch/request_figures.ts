/**
 * What is counted of requests. What all of them cost is a few additions: the series of a kind of route are looked up once.
 */
import type { Asking } from "../door.ts";
import type { Counter, Histogram, Metrics, Series } from "./metrics.ts";

/** Bounds of durations, in seconds: from an answer out of memory to an upload of gigabytes. */
export const DURATIONS = [
  0.0005,
  0.001,
  0.0025,
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  30,
  60,
  300,
];

/** Names of errors that are counted by them; all others together. */
const ERRORS = new Set([
  "FormatError",
  "ClaimError",
  "MissingError",
  "LimitError",
  "ConflictError",
  "DamageError",
  "StoreFullError",
  "StoreBusyError",
  "StoreGoneError",
  "StoreVersionError",
  "RemoteError",
  "UnsupportedError",
  "HttpError",
  "ConnectError",
]);

/** How a request ended, for figures and log. */
export interface Ending {
  readonly status: number;
  readonly code?: number;
  readonly ms: number;
  readonly received: number;
  readonly sent: number;
  readonly left: boolean;
}

/** The series of one kind of route in one protocol. */
interface RouteSeries {
  readonly durations: Histogram;
  readonly requests: Map<string, Counter>;
  readonly received: Counter;
  readonly sent: Counter;
}

export class RequestFigures {
  inFlight = 0;
  #requests: Series<Counter>;
  #durations: Series<Histogram>;
  #received: Series<Counter>;
  #sent: Series<Counter>;
  #left: Counter;
  #errors: Series<Counter>;
  #stored: Series<Counter>;
  #storedBytes: Series<Counter>;
  #routes = { http: new Map<string, RouteSeries>(), grpc: new Map<string, RouteSeries>() };

  constructor(metrics: Metrics) {
    const labels = ["route", "protocol"];
    this.#requests = metrics.counters(
      "requests_total",
      "Requests that ended, by what they asked for, method and status; of calls the status is the gRPC code.",
      [...labels, "method", "status"],
    );
    this.#durations = metrics.histograms(
      "request_duration_seconds",
      "From a request's header to the end of its answer.",
      labels,
      DURATIONS,
    );
    this.#received = metrics.counters("received_bytes_total", "Bytes of bodies of requests.", labels);
    this.#sent = metrics.counters("sent_bytes_total", "Bytes of bodies of answers.", labels);
    this.#left = metrics.counter("left_total", "Requests whose client left before all was answered.");
    this.#errors = metrics.counters(
      "errors_total",
      "Requests that were refused or failed, by kind of error.",
      [
        "kind",
      ],
    );
    this.#stored = metrics.counters("stored_total", "What clients had stored, new or not.", ["kind"]);
    this.#storedBytes = metrics.counters(
      "stored_bytes_total",
      "Its bytes: of a nar as it was uploaded, of a path those of its NAR.",
      ["kind"],
    );
    metrics.read("gauge", "requests_in_flight", "Requests under way.", () => this.inFlight);
  }

  ended(route: string, { protocol, method }: Asking, ending: Ending): void {
    let series = this.#routes[protocol].get(route);
    if (!series) this.#routes[protocol].set(route, series = this.#seriesOf(route, protocol));
    const { status, code, ms, received, sent, left } = ending;
    const key = `${method} ${code ?? status}`;
    let requests = series.requests.get(key);
    if (!requests) {
      requests = this.#requests.of(route, protocol, knownMethod(method), String(code ?? status));
      if (series.requests.size < 100) series.requests.set(key, requests); // methods are whatever clients say
    }
    requests.add();
    series.durations.observe(ms / 1000);
    series.received.add(received);
    series.sent.add(sent);
    if (left) this.#left.add();
  }

  failed(error: unknown): void {
    const { name } = error as { name?: unknown };
    this.#errors.of(typeof name === "string" && ERRORS.has(name) ? name : "other").add();
  }

  stored(kind: string, bytes: number): void {
    this.#stored.of(kind).add();
    this.#storedBytes.of(kind).add(bytes);
  }

  #seriesOf(route: string, protocol: string): RouteSeries {
    return {
      durations: this.#durations.of(route, protocol),
      requests: new Map(),
      received: this.#received.of(route, protocol),
      sent: this.#sent.of(route, protocol),
    };
  }
}

function knownMethod(method: string): string {
  return /^(?:GET|HEAD|PUT|POST|OPTIONS|DELETE)$/.test(method) ? method : "other";
}
