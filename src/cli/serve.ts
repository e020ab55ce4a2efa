/** `firn serve`: a store over HTTP. */
import { parseArgs } from "node:util";
import { openCodecs } from "../adapters/codecs/codecs.ts";
import { nativeHashes } from "../adapters/native/hashes.ts";
import { parseSecretKey, type SecretKey } from "../nix/signature.ts";
import { createApp } from "../server/app.ts";
import { servicesOver } from "../store/services.ts";
import { openHome } from "./home.ts";
import { UsageError } from "./usage.ts";

export const SERVE_HELP = `firn serve: serve a Nix store over HTTP

usage: firn serve [options]

  --listen HOST:PORT        where to listen; port 0 takes a free one      [127.0.0.1:8080]  FIRN_LISTEN
  --store ADDRESS           where the store lives: a folder, or memory:   [./firn-store]    FIRN_STORE
  --secret-key FILE         sign what is served with this Nix secret key;
                            may be given several times                                      FIRN_SECRET_KEY (FILE:FILE…)
  --priority N              in nix-cache-info; lower is asked first       [40]              FIRN_PRIORITY
  --no-mass-query           do not offer mass queries in nix-cache-info                     FIRN_NO_MASS_QUERY=1
  --references warn|strict  what to do with a path whose contents mention
                            paths it does not list: note it or refuse it  [warn]            FIRN_REFERENCES
  --directory-sizes documented|snix
                            how Directories written here count their
                            entries; snix: as running snix stores do      [documented]      FIRN_DIRECTORY_SIZES
  --help                    show this

examples:
  firn serve                                              a store in ./firn-store on http://127.0.0.1:8080
  firn serve --listen 0.0.0.0:8080 --store /srv/firn      for other machines
  nix key generate-secret --key-name cache-1 > key; firn serve --secret-key key

  nix copy --to http://127.0.0.1:8080 ./result
  nix copy --from http://127.0.0.1:8080 --no-check-sigs /nix/store/…

One line on stdout tells the address once it answers; stderr is the log. SIGTERM and SIGINT finish what is under way.
`;

interface ServeOptions {
  readonly hostname: string;
  readonly port: number;
  readonly store: string;
  readonly secretKeys: readonly string[];
  readonly priority: number;
  readonly wantMassQuery: boolean;
  readonly strictReferences: boolean;
  readonly sizes: "documented" | "snix";
}

/** Serves until a signal comes. */
export async function serve(args: readonly string[]): Promise<void> {
  const options = readOptions(args, (name) => Deno.env.get(name));
  if (!options) {
    console.log(SERVE_HELP);
    return;
  }
  const log = (line: string) => console.error(`${new Date().toISOString()} ${line}`);
  const secretKeys = await Promise.all(options.secretKeys.map(readSecretKey));
  await using home = await openHome(options.store, log);
  const app = createApp({
    ...servicesOver(home),
    ...options,
    secretKeys,
    codec: openCodecs(),
    hashes: nativeHashes,
    log,
  });
  const server = listen(options, app.fetch);
  stopOnSignal(server, log);
  await server.finished;
  log("stopped");
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
        store: { type: "string" },
        "secret-key": { type: "string", multiple: true },
        priority: { type: "string" },
        "no-mass-query": { type: "boolean" },
        references: { type: "string" },
        "directory-sizes": { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }));
  } catch (error) {
    throw new UsageError((error as Error).message.split("\n")[0]);
  }
  if (values.help) return undefined;
  return {
    ...parseListen(values.listen ?? env("FIRN_LISTEN") ?? "127.0.0.1:8080"),
    store: values.store ?? env("FIRN_STORE") ?? "./firn-store",
    secretKeys: values["secret-key"] ?? env("FIRN_SECRET_KEY")?.split(":").filter((path) => path !== "") ??
      [],
    priority: parsePriority(values.priority ?? env("FIRN_PRIORITY") ?? "40"),
    wantMassQuery: !(values["no-mass-query"] ?? parseYes("FIRN_NO_MASS_QUERY", env("FIRN_NO_MASS_QUERY"))),
    strictReferences: oneOf(
      "--references",
      values.references ?? env("FIRN_REFERENCES") ?? "warn",
      ["warn", "strict"] as const,
    ) ===
      "strict",
    sizes: oneOf(
      "--directory-sizes",
      values["directory-sizes"] ?? env("FIRN_DIRECTORY_SIZES") ?? "documented",
      ["documented", "snix"] as const,
    ),
  };
}

function parseListen(text: string): { hostname: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text);
  if (!match || Number(match[3]) > 65535) {
    throw new UsageError(`Cannot listen on ${text}: want HOST:PORT, such as 127.0.0.1:8080 or [::]:8080`);
  }
  return { hostname: match[1] ?? match[2], port: Number(match[3]) };
}

function parsePriority(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new UsageError(`Cannot use --priority ${text}: want a whole number`);
  return Number(text);
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

async function readSecretKey(path: string): Promise<SecretKey> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw new UsageError(`Cannot read the secret key ${path}: ${(cause as Error).message}`);
  }
  try {
    return await parseSecretKey(text);
  } catch (cause) {
    throw new UsageError(`Cannot use the secret key ${path}: ${(cause as Error).message}`);
  }
}

/** A server that can be stopped without cutting anybody off. */
interface Listening {
  readonly finished: Promise<void>;
  /** Takes no new requests, and stops once those under way have been answered. */
  stop(): void;
}

function listen(
  { hostname, port }: ServeOptions,
  fetch: (request: Request) => Response | Promise<Response>,
): Listening {
  let underWay = 0;
  let stopping = false;
  let server: Deno.HttpServer;
  // The platform's own shutdown() cuts the bodies of uploads, so it is called when no handler is at work any more.
  const handle = async (request: Request) => {
    if (stopping) {
      return new Response("The server is stopping; ask again later\n", {
        status: 503,
        headers: { "content-type": "text/plain; charset=utf-8", "retry-after": "5", connection: "close" },
      });
    }
    underWay++;
    try {
      return await fetch(request);
    } finally {
      if (--underWay === 0 && stopping) server.shutdown();
    }
  };
  try {
    server = Deno.serve({
      hostname,
      port,
      onListen(address) {
        const host = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
        console.log(`firn serves on http://${host}:${address.port}`);
      },
    }, handle);
  } catch (cause) {
    throw new UsageError(`Cannot listen on ${hostname}:${port}: ${(cause as Error).message}`);
  }
  return {
    finished: server.finished,
    stop() {
      stopping = true;
      if (underWay === 0) server.shutdown();
    },
  };
}

function stopOnSignal(server: Listening, log: (line: string) => void): void {
  let told = false;
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    Deno.addSignalListener(signal, () => {
      if (told) return;
      told = true;
      log(`${signal}: finishing what is under way`);
      server.stop();
    });
  }
}
