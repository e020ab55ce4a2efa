/**
 * What every request passes, of all protocols, in this order: Watch begins; Access says who asks and whether they may; Limits say
 * whether there is room; the application answers. When the answer's body has ended, was left or broke, Limits leave and Watch ends.
 *
 * A door without any of the three costs nothing: who makes one is told so by `isOpen`.
 */
import { getPath } from "hono/utils/url";
import { type Need, needOf } from "./access/needs.ts";
import { networksTest } from "./networks.ts";
import { isForThisMachine, type Peer, seenThrough } from "./peer.ts";

/** What is asked, before anything of it was read but its header. */
export interface Asking {
  /** `grpc`: a remote call, in whichever protocol it came. */
  readonly protocol: "http" | "grpc";
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  /** Of a call: its metadata. */
  readonly header: Headers;
  /** Of the client, not of a trusted proxy between. */
  readonly address?: string;
  /** Whether the client is on this machine, and no other stands behind it. */
  readonly local: boolean;
  /** Which right it needs. */
  readonly needs: Need;
}

/** What one may have leave to do. */
export type Right = "read" | "write" | "admin";

/** Who asks, once that is known. */
export interface Caller {
  readonly address?: string;
  /** The id of the token they came with. */
  readonly token?: string;
  /** What to call them in a sentence: `token ci (4f2a…)`, `anybody`. */
  readonly name: string;
  readonly rights: ReadonlySet<Right>;
  /** Whether they may read a store path of this name (what follows the hash); `undefined`: all there are. */
  readonly reads?: (name: string) => boolean;
  /** Whether they may write one; `undefined`: all. */
  readonly writes?: (name: string) => boolean;
}

/** Who may do what. */
export interface Access {
  /** Whether everybody may read: then what is answered from memory need not be asked about. */
  readonly opensReads: boolean;
  /** Whether nobody writes without a token that was verified. */
  readonly writesNeedToken: boolean;
  /**
   * Who asks, if they may. Throws an `HttpError` of status 401 or 403, or 503 where that cannot be known now. A promise only
   * where something has to be looked up.
   */
  admit(asking: Asking): Caller | Promise<Caller>;
  /** Told of a token that was revoked through this server, which takes it no more from now on. */
  revoked?(id: string): void;
}

/** How much there may be at once. */
export interface Limits {
  /** Takes room for a request. Throws an `HttpError` of status 429 or 503, with `retry-after`. */
  enter(asking: Asking, caller: Caller): Room | Promise<Room>;
}

/** The room of one request. */
export interface Room {
  /** Bytes of its body that were read. May throw an `HttpError`, which ends the request. */
  received?(bytes: number): void;
  /** Bytes of the answer's body that were handed on. */
  sent?(bytes: number): void;
  /** Called once, when all is over. */
  leave(): void;
}

/** Who is told of every request. Nothing here may throw. */
export interface Watch {
  /** Whether it tells the operator of every request, and with it why one was refused and what one stored. */
  readonly tells?: boolean;
  begin(asking: Asking): Watched;
  /** A request that was answered at once: instead of `begin` and `end`. */
  answered?(asking: Asking, route: string, status: number, sent: number): void;
  /** Something was stored: of a file of a NAR its length, of a path the length of its NAR. */
  stored?(what: "nar" | "path" | "blob" | "directory", bytes: number): void;
}

/** One request that is watched. */
export interface Watched {
  admitted?(caller: Caller): void;
  received?(bytes: number): void;
  sent?(bytes: number): void;
  /** What it stored, in words. */
  noted?(what: string): void;
  /** Why it is refused, or fails. */
  failed?(error: unknown): void;
  /** Called once, when all is over. */
  end(outcome: Outcome): void;
}

/** How a request ended. */
export interface Outcome {
  /** Of HTTP. */
  readonly status: number;
  /** Of a call that was let in: its code, 0 for OK; `undefined` where it broke off before there was one. */
  readonly code?: number;
  /** What became of the answer's body: all was handed on, the client left, or it broke. */
  readonly body: "whole" | "left" | "broken";
  /** What the door refused it for. */
  readonly refused?: unknown;
}

/** Everybody, where nobody is asked who they are. */
export const ANYBODY: Caller = { name: "anybody", rights: new Set(["read", "write", "admin"]) };

/** Everybody may do everything: for a store that only this program reaches. */
export const OPEN_ACCESS: Access = {
  opensReads: true,
  writesNeedToken: false,
  admit: ({ address }) => address === undefined ? ANYBODY : { ...ANYBODY, address },
};

/** Who stands at the door. */
export interface DoorOptions {
  /** Who may read and write; default everybody: give one where others than this program reach the server. */
  readonly access?: Access;
  /** How much there may be at once; default as much as there comes. */
  readonly limits?: Limits;
  /** Told of every request; default nobody. */
  readonly watch?: Watch;
  /** Addresses of proxies that are believed when they say whom they ask for: as `192.0.2.1` or `10.0.0.0/8`. */
  readonly trustedProxies?: readonly string[];
}

export class Door {
  readonly access: Access;
  readonly watch: Watch | undefined;
  /** Whether an address is that of a proxy that is believed. */
  readonly isTrusted: (address: string) => boolean;
  /** Whether a path is one of the page's own files. */
  readonly isPage: (path: string) => boolean;
  #limits: Limits | undefined;
  /** Whether nobody is asked anything here, and nobody is told. */
  readonly isOpen: boolean;

  /** @param isPage which paths are files of the page, that everybody may read */
  constructor(
    { access, limits, watch, trustedProxies = [] }: DoorOptions,
    isPage: (path: string) => boolean = () => false,
  ) {
    this.isTrusted = networksTest(trustedProxies);
    this.isPage = isPage;
    this.access = access ?? OPEN_ACCESS;
    this.#limits = limits;
    this.watch = watch;
    this.isOpen = !limits && !watch && this.access === OPEN_ACCESS;
  }

  /** Whether reads that are answered from memory may go by without entering. */
  get opensReads(): boolean {
    return this.access.opensReads;
  }

  /** Tells who watches of a request that is not let in, before anybody was asked. Returns the error. */
  turnAway<E>(asking: Asking, error: E): E {
    const status = (error as { status?: number }).status ?? 500;
    this.watch?.begin(asking).end({ status, body: "whole", refused: error });
    return error;
  }

  /** Tells who watches of a request that was answered at once. */
  answered(asking: Asking, route: string, status: number, sent: number): void {
    const { watch } = this;
    if (watch?.answered) return watch.answered(asking, route, status, sent);
    const watched = watch?.begin(asking);
    watched?.sent?.(sent);
    watched?.end({ status, body: "whole" });
  }

  /** Lets a request in. Throws what Access and Limits throw; Watch has been told then. */
  async enter(asking: Asking): Promise<Visit> {
    const watched = this.watch?.begin(asking);
    try {
      const admitted = this.access.admit(asking);
      const caller = admitted instanceof Promise ? await admitted : admitted;
      watched?.admitted?.(caller);
      const room = this.#limits && await this.#limits.enter(asking, caller);
      return new Visit(caller, watched, room);
    } catch (error) {
      const status = (error as { status?: number }).status ?? 500;
      watched?.end({ status, body: "whole", refused: error });
      throw error;
    }
  }
}

/** A request that was let in. */
export class Visit {
  #ended = false;
  #code: number | undefined;

  constructor(
    readonly caller: Caller,
    readonly watched: Watched | undefined,
    readonly room: Room | undefined,
  ) {}

  /** Whether anybody wants to know of its bytes and its end. */
  get matters(): boolean {
    return this.watched !== undefined || this.room !== undefined;
  }

  /** Bytes of the request's body that were read. Throws what Limits throw. */
  received(bytes: number): void {
    this.watched?.received?.(bytes);
    this.room?.received?.(bytes);
  }

  /** Bytes of the answer's body that were handed on. */
  sent(bytes: number): void {
    this.watched?.sent?.(bytes);
    this.room?.sent?.(bytes);
  }

  /** The code of a call, known before its end, and why it is not 0. */
  told(code: number, error?: unknown): void {
    this.#code = code;
    if (error !== undefined) this.failed(error);
  }

  /** What it stored, in words. */
  noted(what: string): void {
    this.watched?.noted?.(what);
  }

  /** Why it is refused, or fails. */
  failed(error: unknown): void {
    this.watched?.failed?.(error);
  }

  /** The call went well, unless something else was told. */
  succeeded(): void {
    this.#code ??= 0;
  }

  /** Ends it; later calls do nothing. */
  end(status: number, body: Outcome["body"]): void {
    if (this.#ended) return;
    this.#ended = true;
    this.room?.leave();
    this.watched?.end({ status, body, ...(this.#code !== undefined && { code: this.#code }) });
  }
}

/** A request of HTTP, as it is asked. What costs is worked out when somebody wants it. */
export class HttpAsking implements Asking {
  readonly protocol = "http";
  #door: Door;
  #peer: Peer;
  #path: string | undefined;
  #seen: Peer | undefined;

  constructor(readonly request: Request, peer: Peer, door: Door) {
    this.#peer = peer;
    this.#door = door;
  }

  get method(): string {
    return this.request.method;
  }

  /** As the routes see it: one that is written in another way is no other path. */
  get path(): string {
    return this.#path ??= getPath(this.request);
  }

  get header(): Headers {
    return this.request.headers;
  }

  get address(): string | undefined {
    return this.#through.address;
  }

  get local(): boolean {
    return this.#through.local && isForThisMachine(this.request);
  }

  get needs(): Need {
    return needOf(this.method, this.path, this.#door.isPage);
  }

  get #through(): Peer {
    return this.#seen ??= seenThrough(this.#peer, this.header, this.#door.isTrusted);
  }
}
