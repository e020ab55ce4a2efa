/** The options of `firn serve`: what they are called, what they may be, and what they are when nothing is said. */
import { parseArgs } from "node:util";
import { ACCESS_FLAGS, ACCESS_HELP, type AccessOptions, parseAccess } from "./access_options.ts";
import {
  COMPRESS_HELP,
  type CompressOptions,
  NAR_COMPRESSION_HELP,
  parseCompress,
  parseNarCompression,
} from "./compression_options.ts";
import { parseKvTimeout, parsePacks } from "./kv_options.ts";
import { type SigningKeyOptions, splitSigningKeys } from "./signing_keys.ts";
import { readWatchOptions, WATCH_FLAGS, WATCH_HELP, type WatchOptions } from "./watch_options.ts";
import type { NarForm } from "../store/nar_url.ts";
import { UsageError } from "./usage.ts";

export const SERVE_HELP = `firn serve: serve a Nix store over HTTP and gRPC

usage: firn serve [options]

  --listen HOST:PORT        where to listen for HTTP, gRPC-Web and Connect;
                            port 0 takes a free one                       [127.0.0.1:8080]  FIRN_LISTEN
  --content-listen HOST:PORT
                            where to serve /nix/store/… with scripts: an
                            origin that has nothing else; off unless given                  FIRN_CONTENT_LISTEN
  --content-origin ORIGIN   what pages find that at, if it is not the
                            address it listens on                                           FIRN_CONTENT_ORIGIN
  --grpc-listen ADDRESS     where to listen for native gRPC: HOST:PORT,
                            unix:PATH or off                              [127.0.0.1:8000]  FIRN_GRPC_LISTEN
  --grpc-tls-cert FILE      a certificate chain (PEM): native gRPC over TLS                 FIRN_GRPC_TLS_CERT
  --grpc-tls-key FILE       its private key (PEM)                                           FIRN_GRPC_TLS_KEY
  --max-message BYTES       the longest gRPC message taken                [4194304]         FIRN_MAX_MESSAGE
  --store ADDRESS           where the store lives: a folder, memory:,
                            Deno KV: kv:, kv:PATH, kv+http://HOST:PORT,
                            kv+https://HOST (DENO_KV_ACCESS_TOKEN), or
                            another server: grpc+http://HOST:PORT,
                            grpc+https://HOST:PORT, grpc+unix:/PATH       [./firn-store]    FIRN_STORE
  --packs ADDRESS           where packs are, with a store in Deno KV: a folder,
                            or s3://BUCKET/PREFIX?endpoint=URL&region=NAME;
                            with the rest unless given                                      FIRN_PACKS
  --kv-timeout SECONDS      how long a server of Deno KV may take to answer
                            before a client is told to come again         [30]              FIRN_KV_TIMEOUT
  --store-token-file FILE   with another server as the store: the token it
                            wants, or the token itself in the variable                      FIRN_STORE_TOKEN
  --near ADDRESS            with another server as the store: a folder or
                            memory: that keeps here what is read there    [./firn-near]     FIRN_NEAR
  --secret-key FILE         sign what is served with this Nix secret key;
                            may be given several times                                      FIRN_SECRET_KEY (FILE:FILE…)
                            the keys themselves, not in files                               FIRN_SIGNING_KEYS (KEY KEY…)
  --priority N              in nix-cache-info; lower is asked first       [40]              FIRN_PRIORITY
  --no-mass-query           do not offer mass queries in nix-cache-info                     FIRN_NO_MASS_QUERY=1
  --references warn|strict  what to do with a path whose contents mention
                            paths it does not list: note it or refuse it  [warn]            FIRN_REFERENCES
  --allow-origin ORIGIN     let pages of this origin write, * for all; the
                            server's own may, and all may read;
                            may be given several times                                      FIRN_ALLOW_ORIGIN (A B…)
${ACCESS_HELP}
${WATCH_HELP}${COMPRESS_HELP}${NAR_COMPRESSION_HELP}  --directory-sizes documented|snix
                            how Directories written here count their
                            entries; snix: as running snix stores do      [documented]      FIRN_DIRECTORY_SIZES
  --hash-workers N          threads that hash and compress beside the main
                            one; 0 for none               [cores less one, at most 4]       FIRN_HASH_WORKERS
  --help                    show this

examples:
  firn serve                                              a store in ./firn-store on http://127.0.0.1:8080
  firn serve --listen 0.0.0.0:8080 --store /srv/firn      for other machines
  firn serve --store grpc+http://store.example:8000       a binary cache in front of another firn, or a snix
  nix key generate-secret --key-name cache-1 > key; firn serve --secret-key key

  nix copy --to http://127.0.0.1:8080 ./result
  nix copy --from http://127.0.0.1:8080 --no-check-sigs /nix/store/…
  grpcurl -plaintext 127.0.0.1:8000 list

Lines on stdout tell the addresses once they answer; stderr is the log. SIGTERM and SIGINT finish what is under way.
`;

/** A TCP address; port 0 is any that is free. */
export interface TcpAddress {
  readonly hostname: string;
  readonly port: number;
}

export interface ServeOptions extends SigningKeyOptions {
  readonly access: AccessOptions;
  readonly watching: WatchOptions;
  readonly listen: TcpAddress;
  /** `undefined`: contents of store paths are served without scripts only. */
  readonly contentListen: TcpAddress | undefined;
  /** What pages find that at; `undefined`: the address it listens on. */
  readonly contentOrigin: string | undefined;
  /** `undefined`: native gRPC is not served. */
  readonly grpcListen: TcpAddress | { readonly path: string } | undefined;
  /** Files with the certificate chain and the private key. */
  readonly grpcTls: { readonly cert: string; readonly key: string } | undefined;
  readonly maxMessageBytes: number;
  readonly store: string;
  /** Only with a store in Deno KV. */
  readonly packs: string | undefined;
  readonly kvTimeoutMs: number;
  /** Only with a store that is another server. */
  readonly near: string | undefined;
  /** A file with a token for a store that is another server. */
  readonly storeTokenFile: string | undefined;
  readonly priority: number;
  readonly wantMassQuery: boolean;
  readonly strictReferences: boolean;
  readonly writingOrigins: readonly string[];
  readonly sizes: "documented" | "snix";
  readonly hashWorkers: number;
  /** `undefined`: chunks are stored plain. */
  readonly compress: CompressOptions | undefined;
  readonly narCompression: NarForm;
}

/** The options of a command line and its environment; `undefined` when help was asked for. */
export function readOptions(
  args: readonly string[],
  env: (name: string) => string | undefined,
): ServeOptions | undefined {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...args],
      options: {
        listen: { type: "string" },
        "content-listen": { type: "string" },
        "content-origin": { type: "string" },
        "grpc-listen": { type: "string" },
        "grpc-tls-cert": { type: "string" },
        "grpc-tls-key": { type: "string" },
        "max-message": { type: "string" },
        store: { type: "string" },
        packs: { type: "string" },
        "kv-timeout": { type: "string" },
        near: { type: "string" },
        "store-token-file": { type: "string" },
        "secret-key": { type: "string", multiple: true },
        priority: { type: "string" },
        "no-mass-query": { type: "boolean" },
        references: { type: "string" },
        "allow-origin": { type: "string", multiple: true },
        ...ACCESS_FLAGS,
        ...WATCH_FLAGS,
        "directory-sizes": { type: "string" },
        "hash-workers": { type: "string" },
        compress: { type: "string" },
        "nar-compression": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message.split("\n")[0]);
  }
  if (values.help) return undefined;
  const store = values.store ?? env("FIRN_STORE") ?? "./firn-store";
  const compress = parseCompress(values.compress ?? env("FIRN_COMPRESS") ?? "zstd");
  const listen = parseTcp(values.listen ?? env("FIRN_LISTEN") ?? "127.0.0.1:8080");
  return {
    listen,
    ...parseContent(
      values["content-listen"] ?? env("FIRN_CONTENT_LISTEN"),
      values["content-origin"] ?? env("FIRN_CONTENT_ORIGIN"),
    ),
    grpcListen: parseGrpcListen(values["grpc-listen"] ?? env("FIRN_GRPC_LISTEN") ?? "127.0.0.1:8000"),
    grpcTls: parseTls(
      values["grpc-tls-cert"] ?? env("FIRN_GRPC_TLS_CERT"),
      values["grpc-tls-key"] ?? env("FIRN_GRPC_TLS_KEY"),
    ),
    maxMessageBytes: parseMaxMessage(values["max-message"] ?? env("FIRN_MAX_MESSAGE") ?? "4194304"),
    store,
    packs: parsePacks(values.packs ?? env("FIRN_PACKS"), store),
    kvTimeoutMs: parseKvTimeout(values["kv-timeout"] ?? env("FIRN_KV_TIMEOUT") ?? "30"),
    near: parseNear(values.near ?? env("FIRN_NEAR"), store),
    storeTokenFile: parseStoreTokenFile(values["store-token-file"], store),
    secretKeys: values["secret-key"] ?? env("FIRN_SECRET_KEY")?.split(":").filter((path) => path !== "") ??
      [],
    signingKeys: splitSigningKeys(env("FIRN_SIGNING_KEYS")),
    priority: parsePriority(values.priority ?? env("FIRN_PRIORITY") ?? "40"),
    wantMassQuery: !(values["no-mass-query"] ?? parseYes("FIRN_NO_MASS_QUERY", env("FIRN_NO_MASS_QUERY"))),
    strictReferences: oneOf(
      "--references",
      values.references ?? env("FIRN_REFERENCES") ?? "warn",
      ["warn", "strict"] as const,
    ) ===
      "strict",
    writingOrigins: (values["allow-origin"] ?? env("FIRN_ALLOW_ORIGIN")?.split(/\s+/).filter(Boolean) ?? [])
      .map(
        parseAllowed,
      ),
    access: parseAccess(values, env),
    watching: readWatchOptions(values as Record<string, string | boolean>, env),
    sizes: oneOf(
      "--directory-sizes",
      values["directory-sizes"] ?? env("FIRN_DIRECTORY_SIZES") ?? "documented",
      ["documented", "snix"] as const,
    ),
    hashWorkers: parseHashWorkers(values["hash-workers"] ?? env("FIRN_HASH_WORKERS")),
    compress,
    narCompression: parseNarCompression(
      values["nar-compression"] ?? env("FIRN_NAR_COMPRESSION"),
      listen.hostname,
      compress,
    ),
  };
}

export function parseTcp(text: string, alternatives = ""): TcpAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  if (!match || Number(match[3]) > 65535) {
    throw new UsageError(
      `Cannot listen on ${text}: want HOST:PORT, such as 127.0.0.1:8080 or [::]:8080${alternatives}`,
    );
  }
  return { hostname: match[1] ?? match[2], port: Number(match[3]) };
}

function parseContent(
  listen: string | undefined,
  origin: string | undefined,
): Pick<ServeOptions, "contentListen" | "contentOrigin"> {
  const contentOrigin = origin === undefined ? undefined : parseOrigin(origin, "--content-origin");
  if (listen === undefined) {
    if (origin === undefined) return { contentListen: undefined, contentOrigin };
    throw new UsageError("Cannot use --content-origin without --content-listen");
  }
  const contentListen = parseTcp(listen);
  if (contentOrigin === undefined && /^(0\.0\.0\.0|::)$/.test(contentListen.hostname)) {
    throw new UsageError(
      `Cannot tell pages where --content-listen ${listen} is: add --content-origin, such as http://contents.example`,
    );
  }
  return { contentListen, contentOrigin };
}

function parseGrpcListen(text: string): ServeOptions["grpcListen"] {
  if (text === "off") return undefined;
  if (!text.startsWith("unix:")) return parseTcp(text, ", or unix:PATH or off");
  const path = text.slice("unix:".length).replace(/^\/\/(?=\/)/, ""); // unix:///run/firn as well
  if (path === "") {
    throw new UsageError(`Cannot listen on ${text}: want unix:PATH, such as unix:/run/firn.sock`);
  }
  return { path };
}

function parseTls(cert: string | undefined, key: string | undefined): ServeOptions["grpcTls"] {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new UsageError("Cannot serve gRPC over TLS: want both --grpc-tls-cert and --grpc-tls-key");
  }
  return { cert, key };
}

/** Connect's own bound on messages. */
const MOST_MESSAGE = 2 ** 32 - 1;

function parseMaxMessage(text: string): number {
  const bytes = Number(text);
  if (!/^\d+$/.test(text) || bytes < 1024 || bytes > MOST_MESSAGE) {
    throw new UsageError(`Cannot use --max-message ${text}: want a number of bytes, 1024 to ${MOST_MESSAGE}`);
  }
  return bytes;
}

function parseStoreTokenFile(file: string | undefined, store: string): string | undefined {
  if (file === undefined || isRemote(store)) return file;
  throw new UsageError(
    `Cannot use --store-token-file with the store ${store}: it is for a store that is another server`,
  );
}

function parseNear(near: string | undefined, store: string): string | undefined {
  if (isRemote(store)) return near ?? "./firn-near";
  if (near === undefined) return undefined;
  throw new UsageError(`Cannot use --near with the store ${store}: it is for a store that is another server`);
}

/** Whether the address of a store is that of another server. */
export function isRemote(store: string): boolean {
  return store.startsWith("grpc+");
}

function parsePriority(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new UsageError(`Cannot use --priority ${text}: want a whole number`);
  return Number(text);
}

/** More keep no more work from the main thread than these do: it feeds them. */
const MOST_WORKERS_UNTOLD = 4;
const MOST_WORKERS = 64;

function parseHashWorkers(text: string | undefined): number {
  if (text === undefined) return Math.min(navigator.hardwareConcurrency - 1, MOST_WORKERS_UNTOLD);
  if (/^\d{1,2}$/.test(text) && Number(text) <= MOST_WORKERS) return Number(text);
  throw new UsageError(`Cannot use --hash-workers ${text}: want a number, 0 to ${MOST_WORKERS}`);
}

function parseAllowed(text: string): string {
  return text === "*" ? text : parseOrigin(text, "--allow-origin", "*, or ");
}

function parseOrigin(text: string, option: string, alternatives = ""): string {
  if (URL.canParse(text) && new URL(text).origin === text) return text;
  throw new UsageError(
    `Cannot use ${option} ${text}: want ${alternatives}an origin such as https://example.org`,
  );
}

function parseYes(name: string, text: string | undefined): boolean {
  if (text === undefined || text === "" || text === "0" || text === "false") return false;
  if (text === "1" || text === "true") return true;
  throw new UsageError(`Cannot use ${name}=${text}: want 1 or 0`);
}

function oneOf<T extends string>(option: string, text: string, choices: readonly T[]): T {
  const choice = choices.find((known) => known === text);
  if (choice === undefined) {
    throw new UsageError(`Cannot use ${option} ${text}: want ${choices.join(" or ")}`);
  }
  return choice;
}
