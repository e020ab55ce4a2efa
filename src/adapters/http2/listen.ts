/**
 * Where HTTP/2 connections come from: a TCP port, a Unix socket, a TLS port with ALPN. Without TLS clients begin HTTP/2 at once
 * ("prior knowledge").
 *
 * A listener only accepts. How many connections there may be is up to whoever is called with them, and closing a listener
 * leaves them alone.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { Duplex } from "./duplex.ts";
import { ConnDuplex } from "./conn_duplex.ts";
import { acceptTls } from "./tls_duplex.ts";

/** Milliseconds after which a failed accept is tried again: there were too many open files, usually. */
const PAUSE_MS = 100;

/** Milliseconds a client may take for the TLS handshake. */
const HANDSHAKE_MS = 10_000;

/** Clients in the midst of a TLS handshake at once; one more is turned away. */
const MAX_HANDSHAKES = 1000;

/** Takes over a connection. Must not throw. */
export type Accept = (duplex: Duplex) => void;

export interface ListenTcp {
  /** A name or an address of this machine; `0.0.0.0` for all. */
  hostname: string;
  /** 0 for one that is free. */
  port: number;
  /** Told of what goes wrong with accepting. */
  log?: (line: string) => void;
}

export interface ListenTls extends ListenTcp {
  /** PEM: the private key, and its certificate with those that lead to a root. */
  key: string;
  cert: string;
  /** Milliseconds a client may take for the handshake. [10 s] */
  handshakeMs?: number;
}

export interface ListenUnix {
  path: string;
  log?: (line: string) => void;
}

/** Something that accepts connections, until it is closed. */
export interface Listening extends AsyncDisposable {
  /** As `127.0.0.1:4000`, `[::1]:4000`, or the path of a socket. */
  readonly address: string;
  /** The port; 0 for a Unix socket. */
  readonly port: number;
  /** Accepts no more. Resolves when the address is free. May be called again. */
  close(): Promise<void>;
}

/** Listens on a TCP port. Throws `Deno.errors.AddrInUse` when it is taken. */
export function listenTcp({ hostname, port, log = () => {} }: ListenTcp, accept: Accept): Listening {
  const listener = bindTcp(hostname, port);
  const accepting = new Accepting(listener, log, (conn) => {
    conn.setNoDelay(true);
    accept(new ConnDuplex(conn));
  });
  return listening(listener, () => accepting.close());
}

/**
 * Listens on a Unix socket. The file of a server that died is replaced. Throws `Deno.errors.AddrInUse` when a server is
 * alive there, and `Deno.errors.AlreadyExists` when the file is no socket. Closing removes the file.
 */
export async function listenUnix({ path, log = () => {} }: ListenUnix, accept: Accept): Promise<Listening> {
  await removeStaleSocket(path);
  let listener: Deno.UnixListener;
  try {
    listener = Deno.listen({ transport: "unix", path });
  } catch (error) {
    throw cannotListen(path, error);
  }
  const accepting = new Accepting(listener, log, (conn) => accept(new ConnDuplex(conn)));
  // The platform removes the file with the listener.
  return listening(listener, () => accepting.close());
}

/**
 * Listens on a TLS port for clients that select `h2` by ALPN; others are turned away. Throws as {@link listenTcp} does, and
 * an `Error` when key and certificate cannot be read or do not belong together.
 */
export function listenTls(options: ListenTls, accept: Accept): Listening {
  const { hostname, port, key, cert, log = () => {}, handshakeMs: within = HANDSHAKE_MS } = options;
  checkIdentity(key, cert);
  const secureContext = createSecureContext({ key, cert });
  let handshakes = 0;
  const closing = new AbortController();
  const { signal } = closing;
  const listener = bindTcp(hostname, port);
  const accepting = new Accepting(listener, log, (conn) => {
    if (handshakes === MAX_HANDSHAKES) return conn.close();
    conn.setNoDelay(true);
    handshakes++;
    // Strangers try all sorts of things: that is no news.
    acceptTls(conn, secureContext, { within, signal }).finally(() => handshakes--).then(accept, () => {});
  });
  return listening(listener, async () => {
    closing.abort();
    await accepting.close();
  });
}

/** TLS itself would only tell clients, one by one. */
function checkIdentity(key: string, cert: string): void {
  let matching: boolean;
  try {
    matching = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw new Error(`Cannot listen with TLS: key or certificate are no PEM (${messageOf(error)})`, {
      cause: error,
    });
  }
  if (!matching) throw new Error("Cannot listen with TLS: the key is not that of the certificate");
}

function bindTcp(hostname: string, port: number): Deno.TcpListener {
  try {
    return Deno.listen({ hostname, port });
  } catch (error) {
    throw cannotListen(textOf(hostname, port), error);
  }
}

/** Accepts connections of a listener until it is closed. */
class Accepting<C extends Deno.Conn> {
  #closed = false;
  #listener: Deno.Listener<C>;
  #done: Promise<void>;

  constructor(listener: Deno.Listener<C>, log: (line: string) => void, accept: (conn: C) => void) {
    this.#listener = listener;
    this.#done = this.#run(log, accept);
  }

  async #run(log: (line: string) => void, accept: (conn: C) => void): Promise<void> {
    while (!this.#closed) {
      try {
        accept(await this.#listener.accept());
      } catch (error) {
        if (this.#closed) return;
        log(`Cannot accept connections: ${messageOf(error)}`);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#listener.close();
    await this.#done;
  }
}

/** Removes a socket on which nobody listens. */
async function removeStaleSocket(path: string): Promise<void> {
  const there = await Deno.lstat(path).catch(missing);
  if (!there) return;
  if (!there.isSocket) {
    throw new Deno.errors.AlreadyExists(
      `Cannot listen on ${path}: there is something that is no socket; remove it, or choose another path`,
    );
  }
  try {
    (await Deno.connect({ transport: "unix", path })).close();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    if (!(error instanceof Deno.errors.ConnectionRefused)) throw cannotListen(path, error);
    await Deno.remove(path).catch(missing);
    return;
  }
  throw cannotListen(
    path,
    new Deno.errors.AddrInUse("a server is alive there; stop it, or choose another path"),
  );
}

function missing(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

function listening(
  { addr }: Deno.TcpListener | Deno.UnixListener,
  end: () => Promise<void>,
): Listening {
  const [address, port] = "path" in addr ? [addr.path, 0] : [textOf(addr.hostname, addr.port), addr.port];
  let ended: Promise<void> | undefined;
  const close = () => ended ??= end();
  return { address, port, close, [Symbol.asyncDispose]: close };
}

/** An address in use stays that class of error, with a message that says what failed. */
function cannotListen(address: string, error: unknown): Error {
  const message = `Cannot listen on ${address}: ${messageOf(error)}`;
  const Class = error instanceof Deno.errors.AddrInUse ? Deno.errors.AddrInUse : Error;
  return new Class(message, { cause: error });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function textOf(hostname: string, port: number): string {
  return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
