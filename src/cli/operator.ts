/**
 * What a server's operator sees and sets: the log, the figures, and the limits, put together for one process. What the store does
 * is heard of by its adapters' hooks (`storeOperation`).
 */
import type { PackedStore } from "../combinators/packed.ts";
import type { HashPool } from "../hash/hash_pool.ts";
import type { Server } from "../server/app.ts";
import { ConnectionLimits, RequestLimits } from "../server/limits.ts";
import { isLoopback } from "../server/peer.ts";
import { LineWriter } from "../server/watch/line_writer.ts";
import { type Histogram, Metrics, type Series } from "../server/watch/metrics.ts";
import { RequestFigures } from "../server/watch/request_figures.ts";
import { plainLine, requestLine } from "../server/watch/request_log.ts";
import { RequestWatch } from "../server/watch/request_watch.ts";
import type { StoreHooks } from "./open_home.ts";
import { VERSION } from "./version.ts";
import type { WatchOptions } from "./watch_options.ts";

/** How long the last lines may take to be written when a process ends, in milliseconds. */
const LAST_LINES_MS = 1000;

/** Bounds of what a store is asked, in seconds. */
const OPERATIONS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Something a store was asked to do. */
export interface StoreOperation {
  /** A word of a short list, such as `get`. */
  readonly operation: string;
  readonly ms: number;
  readonly ok: boolean;
}

export class Operator implements AsyncDisposable {
  readonly metrics = new Metrics();
  readonly watch: RequestWatch;
  readonly limits: RequestLimits;
  readonly connections: ConnectionLimits;
  #writer = new LineWriter(writeAll);
  #format: "text" | "json";
  #operations: Series<Histogram>;
  #writeNow = () => {
    const bytes = this.#writer.take();
    for (let at = 0; at < bytes.length;) at += Deno.stderr.writeSync(bytes.subarray(at));
  };

  constructor({ log, logNarInfos, limits, connections }: WatchOptions) {
    const { metrics } = this;
    const format = this.#format = log === "json" ? "json" : "text";
    this.watch = new RequestWatch({
      figures: new RequestFigures(metrics),
      log: log === "off" ? undefined : (entry) => this.#writer.line(requestLine(entry, format)),
      logAnswered: logNarInfos,
    });
    const refused = metrics.counters("limited_total", "Requests refused for a limit: which, and whose.", [
      "limit",
      "whose",
    ]);
    this.limits = new RequestLimits(limits, (limit, whose) => refused.of(limit, whose).add());
    this.connections = new ConnectionLimits(connections.most, connections.mostPerClient, isLoopback);
    this.#operations = metrics.histograms(
      "store_operation_duration_seconds",
      "What the store was asked: of which part, what, and whether that failed.",
      ["part", "operation", "outcome"],
      OPERATIONS,
    );
    metrics.read(
      "gauge",
      "upload_bytes_in_flight",
      "Bytes of uploads under way.",
      () => this.limits.uploadBytes,
    );
    metrics.read(
      "gauge",
      "clients",
      "Tokens and addresses with requests under way.",
      () => this.limits.clientCount,
    );
    metrics.read("gauge", "grpc_connections", "Connections of native gRPC.", () => this.connections.count);
    readProcess(metrics);
    globalThis.addEventListener("unload", this.#writeNow);
  }

  /** Writes a line of the log that is of no request. */
  readonly log = (line: string): void => {
    this.#writer.line(plainLine(new Date(), line, this.#format));
  };

  /** What hears of operations of a part of the store: `kv`, `s3`. */
  storeOperation(part: string): (operation: StoreOperation) => void {
    return ({ operation, ms, ok }) => {
      this.#operations.of(part, operation, ok ? "ok" : "failed").observe(ms / 1000);
    };
  }

  /** What hears of all that a store asks of Deno KV and S3, in the form that opening one takes. */
  get storeHooks(): StoreHooks {
    const s3 = this.storeOperation("s3");
    return {
      onOperation: this.storeOperation("kv"),
      // That something is not there, or was written by somebody else, is an answer.
      onRequest: ({ operation, ms, status }) =>
        s3({ operation, ms, ok: status !== undefined && status < 500 }),
    };
  }

  /** Adds figures of a store and of the hash workers. */
  readStore(packs: PackedStore | undefined, pool: Pick<HashPool, "waiting">): void {
    const { metrics } = this;
    metrics.read(
      "counter",
      "store_offered_bytes_total",
      "Bytes of chunks, lists and Directories that were to be stored.",
      () => packs?.taken.offered,
    );
    metrics.read(
      "counter",
      "store_added_bytes_total",
      "Bytes of those that were not there yet; the others are what sharing saves.",
      () => packs?.taken.added,
    );
    metrics.read("gauge", "hash_queue", "Pieces of work that hash workers have.", () => pool.waiting);
  }

  /** What a server does behind requests. */
  readServer(server: Pick<Server, "pressing">): void {
    this.metrics.read(
      "gauge",
      "nars_to_press",
      "NARs that are being laid out in zstd frames, or wait for that.",
      () => server.pressing,
    );
  }

  /** Writes what waits to be written, if it is taken. */
  async [Symbol.asyncDispose](): Promise<void> {
    let timer: ReturnType<typeof setTimeout>;
    const late = new Promise<void>((resolve) => timer = setTimeout(resolve, LAST_LINES_MS));
    await Promise.race([this.#writer.drained(), late]).finally(() => clearTimeout(timer));
    globalThis.removeEventListener("unload", this.#writeNow);
  }
}

function readProcess(metrics: Metrics): void {
  metrics.info("build_info", "Which firn this is, on what.", {
    version: VERSION,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
  });
  const memory = () => Deno.memoryUsage();
  metrics.read("gauge", "process_resident_memory_bytes", "Resident memory.", () => memory().rss);
  metrics.read("gauge", "heap_used_bytes", "Objects of JavaScript.", () => memory().heapUsed);
  metrics.read("gauge", "external_memory_bytes", "Buffers of JavaScript.", () => memory().external);
  const started = (Date.now() - performance.now()) / 1000;
  metrics.read("gauge", "process_start_time_seconds", "When this process began, since 1970.", () => started);
}

async function writeAll(bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await Deno.stderr.write(bytes.subarray(at));
}
