/** Connections to HTTP/2 servers: over TCP, a Unix socket, or TLS with ALPN. One call is one connection. */
import { ConnDuplex } from "./conn_duplex.ts";
import type { Duplex } from "./duplex.ts";
import { startTls } from "./tls_duplex.ts";

/** Milliseconds until a connection must be there. */
const CONNECT_MS = 10_000;

export interface DialTcp {
  /** A name, or an address; one of IPv6 may be in brackets, as in a URL. */
  hostname: string;
  port: number;
  /** Milliseconds until the connection must be there, and again for its handshake. [10 s] */
  connectMs?: number;
}

export interface DialTls extends DialTcp {
  /** PEM: the roots to trust, instead of those of the platform. */
  ca?: string;
}

/** Connects over TCP. Rejects with an `Error` whose cause says why it cannot. */
export async function dialTcp(options: DialTcp): Promise<Duplex> {
  return new ConnDuplex(await open(options));
}

/** Connects to the server of a Unix socket. */
export async function dialUnix(path: string): Promise<Duplex> {
  try {
    return new ConnDuplex(await Deno.connect({ transport: "unix", path }));
  } catch (error) {
    throw cannotConnect(path, error);
  }
}

/** Connects over TLS. Rejects also when the certificate is not to be trusted, or the server does not select `h2`. */
export async function dialTls(options: DialTls): Promise<Duplex> {
  const { hostname, port, ca, connectMs = CONNECT_MS } = options;
  const conn = await open(options);
  try {
    return await startTls(conn, { host: bare(hostname), ca }, { within: connectMs });
  } catch (error) {
    throw cannotConnect(`${hostname}:${port}`, error);
  }
}

async function open({ hostname, port, connectMs = CONNECT_MS }: DialTcp): Promise<Deno.TcpConn> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(new Error(`no answer in ${connectMs} ms`)), connectMs);
  try {
    const conn = await Deno.connect({ hostname: bare(hostname), port, signal: late.signal });
    conn.setNoDelay(true);
    return conn;
  } catch (error) {
    throw cannotConnect(`${hostname}:${port}`, late.signal.aborted ? late.signal.reason : error);
  } finally {
    clearTimeout(timer);
  }
}

function bare(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}

function cannotConnect(address: string, error: unknown): Error {
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(`Cannot connect to ${address}: ${reason}`, { cause: error });
}
