/**
 * A link of a fixed rate on loopback: a proxy of TCP connections whose answers go through it one piece after the other, however
 * many connections there are. Requests are not held up, and there is no latency: what is slow is the way of the bytes.
 */

/** A piece: at 1 Gbit/s it takes a millisecond. */
const PIECE = 128 * 1024;
/** Milliseconds of idle time that may be made up for: as much as timers are late on a busy machine. */
const MADE_UP_MS = 25;
/** Shorter waits are added up: timers have no finer grain. */
const LEAST_WAIT_MS = 1;

/** What time it is, and waiting, in milliseconds. */
export interface Clock {
  now(): number;
  sleep(milliseconds: number): Promise<void>;
}

const CLOCK: Clock = {
  now: () => performance.now(),
  sleep: (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds)),
};

/** Lets bytes go at a rate. Over any time it lets through at most the rate's bytes and those of {@link MADE_UP_MS}, besides one piece. */
export class Pace {
  #perMs: number;
  #clock: Clock;
  /** When all that was let go is through. */
  #through: number;

  constructor(bytesPerSecond: number, clock: Clock = CLOCK) {
    this.#perMs = bytesPerSecond / 1000;
    this.#clock = clock;
    this.#through = clock.now();
  }

  /** Resolves when so many bytes more are through. */
  async carry(bytes: number): Promise<void> {
    const now = this.#clock.now();
    this.#through = Math.max(this.#through, now - MADE_UP_MS) + bytes / this.#perMs;
    const wait = this.#through - now;
    if (wait >= LEAST_WAIT_MS) await this.#clock.sleep(wait);
  }
}

/** A server behind such a link. */
export class SlowLink implements AsyncDisposable {
  readonly url: string;
  #listener: Deno.TcpListener;
  #target: { hostname: string; port: number };
  #pace: Pace;
  #connections = new Set<Deno.TcpConn>();
  #serving: Promise<void>;

  /** @param server the URL of a server that is reached without TLS */
  constructor(server: string, bytesPerSecond: number) {
    const { hostname, port } = new URL(server);
    this.#target = { hostname, port: Number(port) };
    this.#pace = new Pace(bytesPerSecond);
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.url = `http://127.0.0.1:${this.#listener.addr.port}`;
    this.#serving = this.#serve();
  }

  async #serve(): Promise<void> {
    const connections = new Set<Promise<void>>();
    for await (const client of this.#listener) {
      const connection = this.#join(client).finally(() => connections.delete(connection));
      connections.add(connection);
    }
    await Promise.all(connections);
  }

  /** One connection. A side that goes away, goes away for the other. */
  async #join(client: Deno.TcpConn): Promise<void> {
    let server: Deno.TcpConn | undefined;
    try {
      this.#connections.add(client);
      server = await Deno.connect(this.#target);
      this.#connections.add(server);
      await Promise.all([this.#pass(client, server), this.#pass(server, client, this.#pace)]);
    } catch (error) {
      if (!(GONE.some((kind) => error instanceof kind))) throw error;
    } finally {
      for (const side of [client, server]) if (side) this.#close(side);
    }
  }

  async #pass(from: Deno.TcpConn, to: Deno.TcpConn, pace?: Pace): Promise<void> {
    const buffer = new Uint8Array(PIECE);
    for (let read = await from.read(buffer); read !== null; read = await from.read(buffer)) {
      await pace?.carry(read);
      for (let at = 0; at < read;) at += await to.write(buffer.subarray(at, read));
    }
    await to.closeWrite();
  }

  #close(side: Deno.TcpConn): void {
    if (this.#connections.delete(side)) side.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const side of [...this.#connections]) this.#close(side);
    await this.#serving;
  }
}

const { errors } = Deno;
/** What reading and writing throw when a side has gone away, or the link was closed. */
const GONE = [
  errors.BrokenPipe,
  errors.ConnectionReset,
  errors.BadResource,
  errors.Interrupted,
  errors.NotConnected,
];
