/**
 * Who is at the other end of a connection: its address, and whether it is this very machine.
 */
import { isAddress } from "./networks.ts";

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

/** Headers by which proxies say that they ask for somebody else. */
const FORWARDING = [
  ...["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"],
  ...["x-client-ip", "true-client-ip", "cf-connecting-ip", "fastly-client-ip", "x-envoy-external-address"],
];

/**
 * Who sent a request, looking through proxies that are trusted: the last address they tell that is not theirs. Of others
 * nothing is believed, but what forwards for somebody is not near.
 *
 * A client can send headers of its own along, which a proxy appends to, or, if it uses the other of the two, passes on as it is.
 * Where the two tell of different clients, none is believed and it is the proxy itself.
 */
export function seenThrough(peer: Peer, header: Headers, isTrusted: (address: string) => boolean): Peer {
  const { address } = peer;
  const forwards = FORWARDING.some((name) => header.has(name));
  if (address === undefined || !isTrusted(address)) return forwards ? { address, local: false } : peer;
  const told = [forwardedFor(header.get("x-forwarded-for")), forwarded(header.get("forwarded"))]
    .filter((list) => list !== undefined)
    .map((list) => firstUntrusted(list, isTrusted));
  const agreed = told.length > 0 && told.every((client) => client === told[0]) ? told[0] : undefined;
  return { address: agreed ?? address, local: false };
}

/** From the end, for what comes before was written by who is not known. */
function firstUntrusted(
  addresses: readonly string[],
  isTrusted: (address: string) => boolean,
): string | undefined {
  let last: string | undefined;
  for (const address of addresses.toReversed()) {
    if (!isAddress(address)) return last;
    last = plainAddress(address);
    if (!isTrusted(address)) return last;
  }
  return last;
}

function forwardedFor(text: string | null): string[] | undefined {
  return text?.split(",").map((part) => withoutPort(part.trim()));
}

/** The clients in a header Forwarded (RFC 7239). */
function forwarded(text: string | null): string[] | undefined {
  return text?.split(",").map((element) => {
    const pair = element.split(";").find((pair) => /^\s*for\s*=/i.test(pair));
    return withoutPort(pair?.slice(pair.indexOf("=") + 1).trim().replace(/^"(.*)"$/, "$1") ?? "");
  });
}

/** `192.0.2.1:80` and `[2001:db8::1]:80` without their ports. */
function withoutPort(text: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text;
}

/** Whether a request of HTTP was made for a name of this machine: a page elsewhere whose name leads here has another. */
export function isForThisMachine({ url, headers }: Request): boolean {
  const host = headers.get("host") ?? new URL(url).host;
  return isLoopbackHost(host.replace(/:\d*$/, ""));
}
