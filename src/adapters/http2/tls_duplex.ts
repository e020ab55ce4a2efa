/**
 * TLS with ALPN `h2` over a TCP connection, as a {@link Duplex}, for both ends.
 *
 * `node:tls` and not Deno's own TLS, whose sockets cannot be told to send small writes at once: a call would wait some 40 ms
 * for an acknowledgement. And not over the sockets of `node:net`: under TLS they go on reading whether anybody takes what
 * they read or not, until a peer that sends and sends has filled the memory. So the bytes below TLS pass through a stream of
 * ours, which reads only when there is room.
 */
import { Duplex as Stream } from "node:stream";
import { connect, type ConnectionOptions, type SecureContext, TLSSocket } from "node:tls";
import type { Bytes } from "../../bytes/bytes.ts";
import { addressOf } from "./conn_duplex.ts";
import type { Duplex } from "./duplex.ts";

/** Decrypted bytes that may wait for a reader. */
const READ_AHEAD = 64 * 1024;

/** Bytes read from the connection at once: two records of TLS. */
const PIECE = 32 * 1024;

/** Milliseconds a peer may take for the end of what was written. */
const CLOSE_MS = 1000;

const ALPN = { ALPNProtocols: ["h2"] };

export interface Handshake {
  /** Milliseconds until it must be done. */
  within: number;
  /** Gives up. */
  signal?: AbortSignal;
}

/** Answers the handshake of a client. Takes over the connection, and closes it where it rejects. */
export function acceptTls(
  conn: Deno.TcpConn,
  secureContext: SecureContext,
  handshake: Handshake,
): Promise<Duplex> {
  const below = new ConnStream(conn);
  const socket = new TLSSocket(below, { isServer: true, secureContext, ...ALPN });
  return shakeHands(socket, below, "secure", handshake);
}

/**
 * Begins a handshake with a server, whose certificate must be for the host. Takes over the connection, and closes it where
 * it rejects.
 */
export function startTls(
  conn: Deno.TcpConn,
  server: Pick<ConnectionOptions, "host" | "ca">,
  handshake: Handshake,
): Promise<Duplex> {
  const below = new ConnStream(conn);
  const socket = connect({ ...server, socket: below, ...ALPN });
  return shakeHands(socket, below, "secureConnect", handshake);
}

async function shakeHands(
  socket: TLSSocket,
  below: ConnStream,
  event: string,
  { within, signal }: Handshake,
): Promise<Duplex> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(`no handshake in ${within} ms`)), within);
  const giveUp = () => late.abort(new Error("it was given up"));
  signal?.addEventListener("abort", giveUp);
  if (signal?.aborted) giveUp();
  try {
    await new Promise<void>((resolve, reject) => {
      late.signal.addEventListener("abort", () => reject(late.signal.reason));
      late.signal.throwIfAborted();
      socket.once(event, resolve);
      // These stay: what fails after the handshake failed has nobody to tell.
      socket.on("error", reject);
      below.on("error", reject);
      socket.once("close", () => reject(new Error("the peer closed the connection")));
      below.once("close", () => reject(new Error("the peer closed the connection")));
    });
    if (socket.alpnProtocol !== "h2") throw new Error("the peer does not speak HTTP/2 (ALPN h2)");
    return new TlsDuplex(socket, below, below.address);
  } catch (error) {
    socket.destroy();
    below.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}

/** A connection as a stream of Node's, that reads only while nobody has had enough. */
class ConnStream extends Stream {
  /** Whether to wait before reading on. */
  enough: () => boolean = () => false;
  readonly address: string;
  #conn: Deno.TcpConn;
  #piece = new Uint8Array(PIECE);
  #wake = () => {};

  constructor(conn: Deno.TcpConn) {
    super({ allowHalfOpen: true });
    this.#conn = conn;
    this.address = addressOf(conn.remoteAddr);
  }

  /** To be called when there is no longer enough. */
  readOn(): void {
    this.#wake();
  }

  override async _read(): Promise<void> {
    try {
      while (this.enough()) await new Promise<void>((wake) => this.#wake = wake);
      const length = await this.#conn.read(this.#piece);
      this.push(length === null ? null : this.#piece.slice(0, length));
    } catch (error) {
      this.destroy(error as Error);
    }
  }

  override async _write(bytes: Bytes, _encoding: string, done: (error?: Error) => void): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    } catch (error) {
      return done(error as Error);
    }
    done();
  }

  override _final(done: (error?: Error) => void): void {
    this.#conn.closeWrite().then(() => done(), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#conn.close();
    this.#wake();
    done(error);
  }
}

class TlsDuplex implements Duplex {
  #socket: TLSSocket;
  #below: ConnStream;
  /** Taken from the socket and not yet asked for. */
  #rest: Bytes | undefined;
  #ended = false;
  #closed = false;
  #failure: Error | undefined;
  #wakeReader = () => {};
  #failWriter: (error: Error) => void = () => {};

  constructor(socket: TLSSocket, below: ConnStream, readonly address: string) {
    this.#socket = socket;
    this.#below = below;
    below.enough = () => socket.readableLength >= READ_AHEAD;
    socket.on("readable", () => this.#wakeReader());
    socket.on("end", () => {
      this.#ended = true;
      this.#wakeReader();
    });
    for (const stream of [socket, below]) {
      stream.on("error", (error: Error) => this.#fail(error));
      stream.on("close", () => this.#fail(new Error("Cannot use this connection: it was closed")));
    }
  }

  async read(into: Bytes): Promise<number | null> {
    while (!this.#closed) {
      const chunk: Bytes | null = this.#rest ?? this.#socket.read();
      if (chunk) return this.#take(chunk, into);
      if (this.#ended) return null;
      if (this.#failure) throw this.#failure;
      await new Promise<void>((wake) => this.#wakeReader = wake);
    }
    throw new Error("Cannot read: this connection was closed");
  }

  #take(chunk: Bytes, into: Bytes): number {
    this.#below.readOn();
    const length = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, length));
    this.#rest = length < chunk.length ? chunk.subarray(length) : undefined;
    return length;
  }

  /** Writes all of the bytes. Waits until the connection has taken them, so that nothing piles up before a slow peer. */
  write(bytes: Bytes): Promise<number> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new Error("Cannot write: this connection was closed"));
      if (this.#failure) return reject(this.#failure);
      this.#failWriter = reject;
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length));
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#rest = undefined;
    this.#fail(new Error("Cannot use this connection: it was closed"));
    const destroy = () => {
      clearTimeout(late);
      this.#socket.destroy();
      this.#below.destroy();
    };
    const late = setTimeout(destroy, CLOSE_MS);
    if (this.#socket.destroyed || this.#below.destroyed) destroy();
    else this.#socket.end(destroy);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wakeReader();
    this.#failWriter(this.#failure);
  }
}
