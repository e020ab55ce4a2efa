/** HTTP/2 for requests to one peer, over one connection at a time (RFC 9113; prior knowledge, or TLS that agreed on it). */
import { ClientConnection, type Http2ClientRequest, type Http2ClientResponse } from "./client_connection.ts";
import type { Shared } from "./endpoint.ts";
import type { Duplex } from "./duplex.ts";
import { HeldBytes } from "./held_bytes.ts";
import { ErrorCode, Http2Error } from "./http2_error.ts";
import { DEFAULT_OPTIONS, type Http2Options, roundMs } from "./options.ts";
import { Rounds } from "./rounds.ts";

export type { Http2ClientRequest, Http2ClientResponse } from "./client_connection.ts";

/** Connections that may end before one request gets its turn on them. */
const MAX_LOST = 3;

/**
 * Connects when there is a request and no connection that takes it; a connection without streams is closed after `idleMs`.
 * A connection the peer is leaving finishes its streams while a new one takes requests.
 */
export class Http2Client implements AsyncDisposable {
  #open: () => Promise<Duplex>;
  #shared: Shared;
  #current: Promise<ClientConnection> | undefined;
  #connections = new Map<ClientConnection, Promise<void>>();
  #closed = false;

  /** @param open makes a connection to the peer */
  constructor(open: () => Promise<Duplex>, options: Partial<Http2Options> = {}) {
    const all = { ...DEFAULT_OPTIONS, ...options };
    this.#open = open;
    this.#shared = { options: all, rounds: new Rounds(roundMs(all)), held: new HeldBytes(Infinity) };
  }

  /**
   * Sends a request and resolves when the head of its response is there. Waits while the peer allows no more streams.
   * Throws {@link Http2Error}, `retryable` where the peer surely did not begin with it: no connection could be made, it
   * was refused, or the peer left before; the reason of the signal if that was aborted before it was sent.
   */
  async request(request: Http2ClientRequest): Promise<Http2ClientResponse> {
    request.signal?.throwIfAborted();
    for (let lost = 0; lost < MAX_LOST;) {
      const connection = await this.#connection();
      const slot = connection.slot(request.signal);
      // While it waits another request may take the slot, or the peer leave.
      if (slot) await slot;
      else if (connection.usable) return await connection.request(request);
      else lost++;
    }
    throw new Http2Error(
      ErrorCode.REFUSED_STREAM,
      "Cannot send HTTP/2 request: the peer ends every connection at once",
      { retryable: true },
    );
  }

  /** Ends all connections; requests under way fail. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const connection of this.#connections.keys()) {
      connection.destroy(ErrorCode.NO_ERROR, "the client was closed");
    }
    await Promise.all(this.#connections.values());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A connection that takes requests. */
  async #connection(): Promise<ClientConnection> {
    if (this.#closed) {
      throw new Http2Error(ErrorCode.CANCEL, "Cannot send HTTP/2 request: the client was closed");
    }
    const current = this.#current;
    if (current) {
      const connection = await current;
      if (connection.usable) return connection;
      if (this.#current === current) this.#current = undefined;
      return this.#connection();
    }
    const opening = this.#connect();
    this.#current = opening;
    opening.catch(() => {
      if (this.#current === opening) this.#current = undefined;
    });
    return await opening;
  }

  async #connect(): Promise<ClientConnection> {
    let duplex: Duplex;
    try {
      duplex = await this.#open();
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new Http2Error(ErrorCode.CONNECT_ERROR, `Cannot connect: ${why}`, { cause, retryable: true });
    }
    const connection = new ClientConnection(duplex, this.#shared);
    const run = connection.run().then(() => {
      this.#connections.delete(connection);
    });
    this.#connections.set(connection, run);
    if (this.#closed) connection.destroy(ErrorCode.NO_ERROR, "the client was closed");
    return connection;
  }
}
