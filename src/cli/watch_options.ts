/** The options of `serve` for its operator: the log, figures, and how much there may be at once. */
import { DEFAULT_LIMITS, type LimitNumbers } from "../server/limits.ts";
import { UsageError } from "./usage.ts";

export const WATCH_HELP = `
  --log text|json|off       a line on stderr for each request, off: only
                            uploads, refusals and failures          [text]            FIRN_LOG
  --no-log-narinfos         no line for a narinfo that is answered from
                            memory: there may be thousands a second                   FIRN_NO_LOG_NARINFOS=1
  --metrics-listen HOST:PORT
                            where to serve /metrics, /healthz and /readyz
                            and nothing else, to whoever asks                         FIRN_METRICS_LISTEN
  --stall SECONDS           how long a client may send or read nothing
                            while it is waited for                  [300]             FIRN_STALL
  --limit-requests N        requests under way at once              [8192]            FIRN_LIMIT_REQUESTS
  --limit-client-requests N those of one token or address           [1024]            FIRN_LIMIT_CLIENT_REQUESTS
  --limit-uploads BYTES     bytes of uploads under way at once      [1T]              FIRN_LIMIT_UPLOADS
  --limit-client-uploads BYTES
                            those of one token or address           [256G]            FIRN_LIMIT_CLIENT_UPLOADS
  --limit-connections N     connections of native gRPC              [10000]           FIRN_LIMIT_CONNECTIONS
  --limit-client-connections N
                            those of one address                    [1000]            FIRN_LIMIT_CLIENT_CONNECTIONS
`.slice(1);

export const WATCH_FLAGS = {
  log: { type: "string" },
  "no-log-narinfos": { type: "boolean" },
  "metrics-listen": { type: "string" },
  stall: { type: "string" },
  "limit-requests": { type: "string" },
  "limit-client-requests": { type: "string" },
  "limit-uploads": { type: "string" },
  "limit-client-uploads": { type: "string" },
  "limit-connections": { type: "string" },
  "limit-client-connections": { type: "string" },
} as const;

export interface WatchOptions {
  readonly log: "text" | "json" | "off";
  readonly logNarInfos: boolean;
  /** As it was given; `undefined`: figures are told where everything else is. */
  readonly metricsListen: string | undefined;
  readonly stallMs: number;
  readonly limits: LimitNumbers;
  readonly connections: { readonly most: number; readonly mostPerClient: number };
}

type Given = Readonly<Partial<Record<keyof typeof WATCH_FLAGS, string | boolean>>>;

/** Reads them from a command line that was parsed, and its environment. */
export function readWatchOptions(given: Given, env: (name: string) => string | undefined): WatchOptions {
  const text = (flag: keyof typeof WATCH_FLAGS) =>
    (given[flag] as string | undefined) ?? env(`FIRN_${flag.toUpperCase().replaceAll("-", "_")}`);
  const count = (flag: keyof typeof WATCH_FLAGS, otherwise: number) =>
    parseCount(`--${flag}`, text(flag), otherwise);
  const bytes = (flag: keyof typeof WATCH_FLAGS, otherwise: number) =>
    parseBytes(`--${flag}`, text(flag), otherwise);
  return {
    log: parseLog(text("log") ?? "text"),
    logNarInfos: !(given["no-log-narinfos"] ?? parseYes(env("FIRN_NO_LOG_NARINFOS"))),
    metricsListen: parseListen(text("metrics-listen")),
    stallMs: 1000 * count("stall", 300),
    limits: {
      requests: count("limit-requests", DEFAULT_LIMITS.requests),
      requestsPerClient: count("limit-client-requests", DEFAULT_LIMITS.requestsPerClient),
      uploadBytes: bytes("limit-uploads", DEFAULT_LIMITS.uploadBytes),
      uploadBytesPerClient: bytes("limit-client-uploads", DEFAULT_LIMITS.uploadBytesPerClient),
    },
    connections: {
      most: count("limit-connections", 10_000),
      mostPerClient: count("limit-client-connections", 1000),
    },
  };
}

/** Told early, before a store is opened. */
function parseListen(text: string | undefined): string | undefined {
  if (text === undefined || /^(?:\[[0-9a-fA-F:.]+\]|[^:\s]+):\d{1,5}$/.test(text)) return text;
  throw new UsageError(`Cannot use --metrics-listen ${text}: want HOST:PORT, such as 127.0.0.1:9100`);
}

function parseLog(text: string): WatchOptions["log"] {
  if (text === "text" || text === "json" || text === "off") return text;
  throw new UsageError(`Cannot use --log ${text}: want text, json or off`);
}

function parseCount(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^[1-9]\d{0,6}$/.test(text)) return Number(text);
  throw new UsageError(`Cannot use ${option} ${text}: want a number, 1 to 9999999`);
}

const UNITS: Record<string, number> = { "": 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4 };

function parseBytes(option: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  const [, number, unit] = /^([1-9]\d{0,14})([KMGT]?)$/.exec(text) ?? [];
  const bytes = Number(number) * UNITS[unit];
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new UsageError(`Cannot use ${option} ${text}: want a number of bytes, such as 1048576 or 20G`);
}

function parseYes(text: string | undefined): boolean {
  if (text === undefined || text === "" || text === "0" || text === "false") return false;
  if (text === "1" || text === "true") return true;
  throw new UsageError(`Cannot use FIRN_NO_LOG_NARINFOS=${text}: want 1 or 0`);
}
