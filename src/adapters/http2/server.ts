/** HTTP/2 for a handler, over any number of connections (RFC 9113; prior knowledge, no upgrade from HTTP/1.1). */
import type { Duplex } from "./duplex.ts";
import { HeldBytes } from "./held_bytes.ts";
import { ErrorCode } from "./http2_error.ts";
import { DEFAULT_OPTIONS, type Http2Options, roundMs } from "./options.ts";
import { Rounds } from "./rounds.ts";
import { type Http2Handler, ServerConnection } from "./server_connection.ts";
import type { Shared } from "./endpoint.ts";

export type { Http2Handler, Http2Request, Http2Response } from "./server_connection.ts";

export interface Http2ServerOptions extends Http2Options {
  /** Bytes that all connections may have received and handlers not consumed; over it the greedy ones wait. [64 MiB] */
  readonly maxHeldBytes: number;
}

const MAX_HELD_BYTES = 64 * 1024 * 1024;

export class Http2Server {
  #handler: Http2Handler;
  #shared: Shared;
  #connections = new Map<ServerConnection, Promise<void>>();
  #stopping = false;

  constructor(handler: Http2Handler, options: Partial<Http2ServerOptions> = {}) {
    this.#handler = handler;
    const all = { ...DEFAULT_OPTIONS, ...options };
    this.#shared = {
      options: all,
      rounds: new Rounds(roundMs(all)),
      held: new HeldBytes(options.maxHeldBytes ?? MAX_HELD_BYTES),
    };
  }

  /** Connections that are open. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /** Streams that are open, of all connections. */
  get streamCount(): number {
    let count = 0;
    for (const connection of this.#connections.keys()) count += connection.streamCount;
    return count;
  }

  /** Bytes that were received and not consumed yet. */
  get heldBytes(): number {
    return this.#shared.held.used;
  }

  /** Serves a connection until it ends. Closes it in the end, and never rejects. */
  async handleConnection(duplex: Duplex): Promise<void> {
    if (this.#stopping) return duplex.close();
    const connection = new ServerConnection(duplex, this.#handler, this.#shared);
    const run = connection.run();
    this.#connections.set(connection, run);
    await run;
    this.#connections.delete(connection);
  }

  /**
   * Takes no more requests, waits for those that are under way, and closes all connections.
   *
   * @param graceMs milliseconds after which what is still under way is broken off
   */
  async stop(graceMs = 30_000): Promise<void> {
    this.#stopping = true;
    const connections = [...this.#connections];
    for (const [connection] of connections) connection.shutdown();
    const timer = setTimeout(() => {
      for (const [connection] of connections) connection.destroy(ErrorCode.NO_ERROR, "the server stops");
    }, graceMs);
    await Promise.all(connections.map(([, run]) => run));
    clearTimeout(timer);
  }
}

/** Serves one connection until it ends, with limits of its own. */
export function serveHttp2(
  duplex: Duplex,
  handler: Http2Handler,
  options: Partial<Http2ServerOptions> = {},
): Promise<void> {
  return new Http2Server(handler, options).handleConnection(duplex);
}
