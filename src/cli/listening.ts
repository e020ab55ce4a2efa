/**
 * The addresses a server answers at, and how it stops: nobody who is being answered is cut off.
 */
import {
  type Accept,
  type Listening as Listener,
  listenTcp,
  listenTls,
  listenUnix,
} from "../adapters/http2/listen.ts";
import type { Duplex } from "../adapters/http2/duplex.ts";
import { Http2Server } from "../adapters/http2/server.ts";
import type { Peer, Rpc, Server } from "../server/app.ts";
import type { UpgradeWebSocket } from "../server/context.ts";
import { isHealthPath } from "../server/readiness.ts";
import { isLoopback, UNIX } from "../server/peer.ts";
import type { Operator } from "./operator.ts";
import type { ServeOptions, TcpAddress } from "./serve_options.ts";
import { UsageError } from "./usage.ts";

/** Milliseconds that native calls under way have to end when the server stops. */
const GRACE_MS = 10 * 60_000;

/** A server that answers at an address. */
export interface Listening {
  /** As clients want it. */
  readonly address: string;
  /** Resolves when it has stopped. */
  readonly finished: Promise<void>;
  /** Takes nothing new, and stops once what is under way has been answered. */
  stop(): void;
}

/** What is under way at an HTTP address: requests, and WebSockets, which outlast theirs. */
export class UnderWay {
  #count = 0;
  #idle = Promise.withResolvers<void>();
  #stopping = false;

  /** Whether nothing new is taken. */
  get stopping(): boolean {
    return this.#stopping;
  }

  /** Resolves once the server is stopping and nothing is under way. */
  get idle(): Promise<void> {
    return this.#idle.promise;
  }

  begin(): void {
    this.#count++;
  }

  end(): void {
    this.#count--;
    this.#look();
  }

  stop(): void {
    this.#stopping = true;
    this.#look();
  }

  #look(): void {
    if (this.#stopping && this.#count === 0) this.#idle.resolve();
  }

  /** The platform's WebSockets, each under way until it is closed. */
  readonly upgradeWebSocket: UpgradeWebSocket = (request, protocol) => {
    const upgraded = Deno.upgradeWebSocket(request, { protocol });
    this.begin();
    upgraded.socket.addEventListener("close", () => this.end(), { once: true });
    return upgraded;
  };
}

/** Serves HTTP, until it is stopped. Throws {@link UsageError} for an address that cannot be had. */
export function listenHttp(
  { hostname, port }: TcpAddress,
  fetch: Server["fetch"],
  underWay: UnderWay,
  log: (line: string) => void,
): Listening {
  // The platform's own shutdown() cuts the bodies of uploads, so it is called when no handler is at work any more.
  const handle = (
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Response | Promise<Response> => {
    if (underWay.stopping && !isHealthPath(request.url)) {
      return new Response("The server is stopping; ask again later\n", {
        status: 503,
        headers: { "content-type": "text/plain; charset=utf-8", "retry-after": "5", connection: "close" },
      });
    }
    const response = fetch(request, new HttpPeer(info, onLoopback));
    return response instanceof Response ? response : finish(response);
  };
  const finish = async (response: Promise<Response>) => {
    underWay.begin();
    try {
      return await response;
    } finally {
      underWay.end();
    }
  };
  const open = (port: number) =>
    Deno.serve({ hostname, port, onListen() {}, onError: toldAlready }, handle) as Deno.HttpServer<
      Deno.NetAddr
    >;
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = open(port);
  } catch (cause) {
    throw new UsageError(`Cannot listen on ${hostname}:${port}: ${(cause as Error).message}`);
  }
  const { addr } = server;
  const onLoopback = isLoopback(addr.hostname);
  const host = addr.hostname.includes(":") ? `[${addr.hostname}]` : addr.hostname;
  const address = `http://${host}:${addr.port}`;
  underWay.idle.then(() => server.shutdown());
  const serving = async () => {
    while (true) {
      try {
        return await server.finished;
      } catch (error) {
        // There were too many open files, usually. The platform gives up then; it has closed all connections, which is a way out.
        if (underWay.stopping) return;
        log(
          `Cannot accept connections on ${address}: ${
            (error as Error).message
          }; closed all, and listening again`,
        );
        server = await listenAgain(() => open(addr.port), log);
      }
    }
  };
  return { address, finished: serving(), stop: () => underWay.stop() };
}

/** Milliseconds until it is tried to listen again. */
const AGAIN_MS = 200;

async function listenAgain<T>(open: () => T, log: (line: string) => void): Promise<T> {
  for (let told = false;; told = true) {
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    try {
      return open();
    } catch (error) {
      if (!told) log(`Cannot listen again, and going on to try: ${(error as Error).message}`);
    }
  }
}

/** Answers what a handler throws. It told so itself, as of bodies that break, of which the platform would print each. */
function toldAlready(): Response {
  return new Response("The server failed; its log says why\n", { status: 500 });
}

/** Who sent a request, asked of the platform when somebody wants to know. */
class HttpPeer implements Peer {
  #info: Deno.ServeHandlerInfo<Deno.NetAddr>;
  #onLoopback: boolean;
  #address: string | undefined;

  constructor(info: Deno.ServeHandlerInfo<Deno.NetAddr>, onLoopback: boolean) {
    this.#info = info;
    this.#onLoopback = onLoopback;
  }

  get address(): string {
    return this.#address ??= this.#info.remoteAddr.hostname;
  }

  get local(): boolean {
    return this.#onLoopback && isLoopback(this.address);
  }
}

/** Serves native gRPC. Throws {@link UsageError} for an address that cannot be had, or TLS files that cannot be used. */
export async function listenGrpc(
  { grpcListen, grpcTls: tls, watching: { stallMs } }: Pick<
    ServeOptions,
    "grpcListen" | "grpcTls" | "watching"
  >,
  rpc: Rpc,
  { log, connections }: Pick<Operator, "log" | "connections">,
): Promise<Listening> {
  const where = grpcListen!;
  const server = new Http2Server((request) => rpc(request, peerAt(request.address)), { log, stallMs });
  const accept = async (duplex: Duplex) => {
    const leave = connections.enter(duplex.address);
    if (!leave) return duplex.close();
    await server.handleConnection(duplex).finally(leave);
  };
  let listener: Listener;
  try {
    listener = await openListener(where, tls, accept, log);
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(`${(error as Error).message} (--grpc-listen)`);
  }
  const onLoopback = isLoopback("path" in where ? UNIX : hostOf(listener.address));
  const peerAt = (address: string | undefined): Peer => {
    return { address, local: onLoopback && address !== undefined && isLoopback(address) };
  };
  const finished = Promise.withResolvers<void>();
  const scheme = "path" in where ? "grpc+unix:" : tls ? "grpc+https://" : "grpc+http://";
  return {
    address: scheme + listener.address,
    finished: finished.promise,
    stop() {
      Promise.all([listener.close(), server.stop(GRACE_MS)]).then(() => finished.resolve(), finished.reject);
    },
  };
}

/** The host of `127.0.0.1:4000` or `[::1]:4000`. */
function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}

async function openListener(
  where: NonNullable<ServeOptions["grpcListen"]>,
  tls: ServeOptions["grpcTls"],
  accept: Accept,
  log: (line: string) => void,
): Promise<Listener> {
  if ("path" in where) {
    if (tls) throw new UsageError(`Cannot serve gRPC over TLS on unix:${where.path}: want HOST:PORT`);
    return await listenUnix({ ...where, log }, accept);
  }
  if (!tls) return listenTcp({ ...where, log }, accept);
  const [cert, key] = await Promise.all([readPem(tls.cert), readPem(tls.key)]);
  return await listenTls({ ...where, cert, key, log }, accept);
}

async function readPem(path: string): Promise<string> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw new UsageError(`Cannot read ${path}: ${(cause as Error).message}`);
  }
  if (text.includes("-----BEGIN ")) return text;
  throw new UsageError(`Cannot use ${path} for TLS: it is not in PEM`);
}
