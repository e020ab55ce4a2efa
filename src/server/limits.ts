/**
 * How much there may be at once: requests under way, and bytes of uploads under way, of one client and of all together.
 *
 * A client is a token; without one an address, and of IPv6 the network of 64 bits that one customer has. Who is on this machine
 * is not counted by the address. A request over a client's limit is answered 429, one over the server's 503, both with
 * `retry-after` and before anything of its body is read.
 *
 * An upload counts as long as it says it is, or else as it comes. One by itself is let in however long it is, or it would be
 * refused for ever; how long one may be is another bound.
 */
import type { Asking, Caller, Limits, Room } from "./door.ts";
import { HttpError } from "./http_error.ts";
import { isLoopback, plainAddress } from "./peer.ts";

export interface LimitNumbers {
  /** Requests under way: of all, and of one client. */
  readonly requests: number;
  readonly requestsPerClient: number;
  /** Bytes of uploads under way: of all, and of one client. */
  readonly uploadBytes: number;
  readonly uploadBytesPerClient: number;
}

export const DEFAULT_LIMITS: LimitNumbers = {
  requests: 8192,
  requestsPerClient: 1024,
  uploadBytes: 1024 ** 4,
  uploadBytesPerClient: 256 * 1024 ** 3,
};

/** Which limit it was, and whose. */
export type Refused = (limit: "requests" | "bytes", whose: "client" | "server") => void;

/** Seconds until a client should ask again. Nix asks up to five times within a few seconds. */
const RETRY_AFTER = "2";

interface Share {
  requests: number;
  bytes: number;
}

export class RequestLimits implements Limits {
  #numbers: LimitNumbers;
  #refused: Refused;
  #all: Share = { requests: 0, bytes: 0 };
  /** Of those who have requests under way, so there are no more than of those. */
  #clients = new Map<string, Share>();

  constructor(numbers: Partial<LimitNumbers> = {}, refused: Refused = () => {}) {
    this.#numbers = { ...DEFAULT_LIMITS, ...numbers };
    this.#refused = refused;
  }

  /** Clients that have requests under way. */
  get clientCount(): number {
    return this.#clients.size;
  }

  /** Bytes of uploads under way. */
  get uploadBytes(): number {
    return this.#all.bytes;
  }

  enter(asking: Asking, caller: Caller): Room {
    if (asking.path === "/metrics") return NO_ROOM; // asked for all the more when there is no room
    const key = keyOf(asking, caller);
    const client = key === undefined ? undefined : this.#clients.get(key) ?? { requests: 0, bytes: 0 };
    const { requests, requestsPerClient } = this.#numbers;
    if (client && client.requests >= requestsPerClient) {
      throw this.#refusal("requests", "client", `${requestsPerClient} requests`);
    }
    if (this.#all.requests >= requests) throw this.#refusal("requests", "server", `${requests} requests`);
    const declared = declaredLength(asking);
    const shares = client ? [client, this.#all] : [this.#all];
    this.#checkBytes(client, declared ?? 0, 0);
    if (key !== undefined) this.#clients.set(key, client!);
    for (const share of shares) {
      share.requests++;
      share.bytes += declared ?? 0;
    }
    return this.#room(key, client, declared);
  }

  #room(key: string | undefined, client: Share | undefined, declared: number | undefined): Room {
    let held = declared ?? 0;
    const shares = client ? [client, this.#all] : [this.#all];
    return {
      received: declared !== undefined ? undefined : (bytes) => {
        this.#checkBytes(client, bytes, held);
        held += bytes;
        for (const share of shares) share.bytes += bytes;
      },
      leave: () => {
        for (const share of shares) {
          share.requests--;
          share.bytes -= held;
        }
        if (client?.requests === 0) this.#clients.delete(key!);
      },
    };
  }

  /** Throws when there is no room for so many bytes more. @param own those that the upload holds already */
  #checkBytes(client: Share | undefined, bytes: number, own: number): void {
    if (bytes === 0) return;
    const { uploadBytes, uploadBytesPerClient } = this.#numbers;
    const over = (share: Share, most: number) => share.bytes > own && share.bytes + bytes > most;
    if (client && over(client, uploadBytesPerClient)) {
      throw this.#refusal("bytes", "client", `${uploadBytesPerClient} bytes of uploads`);
    }
    if (over(this.#all, uploadBytes)) {
      throw this.#refusal("bytes", "server", `${uploadBytes} bytes of uploads`);
    }
  }

  #refusal(limit: "requests" | "bytes", whose: "client" | "server", what: string): HttpError {
    this.#refused(limit, whose);
    const [status, who] = whose === "client" ? [429, "this client"] : [503, "this server"];
    return new HttpError(status, `Cannot take this now: ${who} has ${what} under way; ask again later`, {
      "retry-after": RETRY_AFTER,
    });
  }
}

const NO_ROOM: Room = { leave() {} };

function keyOf(asking: Asking, { token }: Caller): string | undefined {
  if (token !== undefined) return `token ${token}`;
  const { address } = asking;
  if (address === undefined || (isLoopback(address) && asking.local)) return undefined;
  return clientNetwork(address);
}

/** What of an address stands for one client: all of IPv4, the first 64 bits of IPv6. */
export function clientNetwork(address: string): string {
  const plain = plainAddress(address);
  if (!plain.includes(":")) return plain;
  const [front, back] = plain.split("::");
  const groups = front === "" ? [] : front.split(":");
  if (back !== undefined) {
    const behind = back === "" ? 0 : back.split(":").length;
    while (groups.length + behind < 8) groups.push("0");
    if (behind > 0) groups.push(...back.split(":"));
  }
  return groups.slice(0, 4).map((group) => group.replace(/^0+(?=.)/, "")).join(":") + "::/64";
}

/** The length a body is said to have; of none, 0. */
function declaredLength({ method, header, protocol }: Asking): number | undefined {
  if (protocol === "http" && (method === "GET" || method === "HEAD" || method === "OPTIONS")) return 0;
  const text = header.get("content-length");
  return text !== null && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** How many connections there may be, of all and of one client. */
export class ConnectionLimits {
  #count = 0;
  #clients = new Map<string, number>();

  constructor(
    readonly most: number,
    readonly mostPerClient: number,
    readonly isExempt: (address: string) => boolean,
  ) {}

  /** Connections there are. */
  get count(): number {
    return this.#count;
  }

  /** Counts a connection; returns how to end that, or nothing when there is no room. */
  enter(address: string | undefined): (() => void) | undefined {
    const key = address === undefined || this.isExempt(address) ? undefined : clientNetwork(address);
    const own = key === undefined ? 0 : this.#clients.get(key) ?? 0;
    if (this.#count >= this.most || own >= this.mostPerClient) return undefined;
    this.#count++;
    if (key !== undefined) this.#clients.set(key, own + 1);
    return () => {
      this.#count--;
      if (key === undefined) return;
      const left = this.#clients.get(key)! - 1;
      if (left > 0) this.#clients.set(key, left);
      else this.#clients.delete(key);
    };
  }
}
