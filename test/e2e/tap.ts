/**
 * A tap on the wire between a client and the server: a TCP relay that changes no byte and notes the head of every
 * HTTP/1.1 request that passes. It has one address for good, so a client does not see that the server behind it was
 * killed and came back elsewhere.
 *
 * Left unchecked: chunked request bodies (nix sends a length with every body).
 */

/** The first line of a request. */
export interface Request {
  readonly method: string;
  /** With the query, as sent. */
  readonly path: string;
}

/** The relay. Disposing closes it and every connection through it. */
export class Tap implements AsyncDisposable {
  readonly requests: Request[] = [];
  /** Called after each request's head was noted, before the head goes on to the server. */
  onRequest: (request: Request) => void = () => {};
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #open = new Set<Deno.Conn>();
  readonly #relays = new Set<Promise<void>>();
  readonly #accepting: Promise<void>;

  /** @param target the server's address; may be set anew after a restart */
  constructor(public target: string) {
    this.#accepting = this.#accept();
  }

  /** What clients use instead of the server's address. */
  get url(): string {
    return `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
  }

  /** The noted requests of one method whose path matches. */
  sent(method: string, path = /(?:)/): Request[] {
    return this.requests.filter((request) => request.method === method && path.test(request.path));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) close(connection);
    await this.#accepting;
    await Promise.all(this.#relays);
  }

  async #accept(): Promise<void> {
    try {
      for await (const client of this.#listener) {
        const relay = this.#relay(client).finally(() => this.#relays.delete(relay));
        this.#relays.add(relay);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }

  async #relay(client: Deno.TcpConn): Promise<void> {
    this.#open.add(client);
    const { hostname, port } = new URL(this.target);
    let server: Deno.TcpConn;
    try {
      server = await Deno.connect({ hostname, port: Number(port) });
    } catch {
      // Nobody listens: to the client it looks like a server that hangs up.
      close(client);
      this.#open.delete(client);
      return;
    }
    this.#open.add(server);
    client.setNoDelay(true);
    server.setNoDelay(true);
    const heads = new Heads((request) => {
      this.requests.push(request);
      this.onRequest(request);
    });
    await Promise.all([pump(client, server, (bytes) => heads.add(bytes)), pump(server, client, () => {})]);
    close(client);
    close(server);
    this.#open.delete(client);
    this.#open.delete(server);
  }
}

/** Copy one direction until it ends or breaks; a break ends both directions. */
async function pump(from: Deno.TcpConn, to: Deno.TcpConn, see: (bytes: Uint8Array) => void): Promise<void> {
  const buffer = new Uint8Array(65536);
  try {
    for (;;) {
      const size = await from.read(buffer);
      if (size === null) break;
      see(buffer.subarray(0, size));
      for (let sent = 0; sent < size;) sent += await to.write(buffer.subarray(sent, size));
    }
    await to.closeWrite();
  } catch {
    close(from);
    close(to);
  }
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // The other direction closed it.
  }
}

/** Finds request heads in the bytes of a connection, stepping over bodies by their Content-Length. */
class Heads {
  #head = "";
  #body = 0;

  constructor(readonly found: (request: Request) => void) {}

  add(bytes: Uint8Array): void {
    let rest = bytes;
    while (rest.length > 0) {
      const skipped = Math.min(this.#body, rest.length);
      this.#body -= skipped;
      rest = rest.subarray(skipped);
      if (rest.length === 0) return;
      const before = this.#head.length;
      this.#head += new TextDecoder("latin1").decode(rest);
      const end = this.#head.indexOf("\r\n\r\n");
      if (end < 0) return;
      rest = rest.subarray(end + 4 - before);
      const [method, path] = this.#head.split(" ", 2);
      this.#body = Number(/^content-length: *(\d+)/im.exec(this.#head.slice(0, end + 2))?.[1] ?? 0);
      this.#head = "";
      this.found({ method, path });
    }
  }
}
