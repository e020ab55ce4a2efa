/**
 * Who is at the other end of a connection: its address, and whether it is this very machine.
 */

/** Who is at the other end, as the platform tells it. */
export interface Peer {
  /** `192.0.2.1`, `2001:db8::1`; `unix` for a Unix socket; `undefined` where the platform does not tell. */
  readonly address?: string;
  /** Whether both ends are on loopback, or the connection is a Unix socket: nobody can listen in, or come from elsewhere. */
  readonly local: boolean;
}

/** A peer of which nothing is known: that of a platform that does not tell. */
export const UNKNOWN_PEER: Peer = { local: false };

/** The address of a Unix socket's other end. */
export const UNIX = "unix";

/** An address as it is compared: IPv4 the same whether or not it came by an IPv6 socket, and no zone. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "").replace(/%.*$/, "").toLowerCase();
}

/** Whether an address is one that only this machine reaches. */
export function isLoopback(address: string): boolean {
  const plain = plainAddress(address);
  return plain === "::1" || plain === UNIX || /^127(?:\.\d{1,3}){3}$/.test(plain);
}

/** Whether a name or address, as in a Host header but without its port, means this machine wherever it is looked up. */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase();
  return name === "localhost" || name.endsWith(".localhost") || isLoopback(name.replace(/^\[(.*)\]$/, "$1"));
}
