/**
 * A proxy in front of an HTTP service that does what networks and busy services do, by a seed: answers 503 and 429 by itself, cuts
 * connections before, in the middle of and after a body, both ways, and takes its time. Each request has a connection of its own.
 */

/** What may become of a request. */
const FAULTS = [
  "busy", // 503 with S3's SlowDown
  "throttled", // 429
  "cut before", // nothing reaches the service
  "cut in the request", // half the body reaches the service
  "cut after", // carried out, and the answer is lost
  "cut in the answer", // carried out, and half the answer comes
  "late",
] as const;

export type Fault = typeof FAULTS[number];

export interface FaultProxy extends AsyncDisposable {
  readonly url: string;
  /** How often each fault was done. */
  readonly done: Map<Fault, number>;
  /** The share of requests that get a fault, 0 to 1. */
  rate: number;
}

/** Starts a proxy. @param target such as `http://127.0.0.1:7480` @param faults which ones; default all */
export function startFaultProxy(
  target: string,
  options: { seed: number; rate: number; faults?: readonly Fault[] },
): FaultProxy {
  return new Proxying(new URL(target), options);
}

class Proxying implements FaultProxy {
  readonly url: string;
  readonly done = new Map<Fault, number>();
  rate: number;
  #target: URL;
  #random: () => number;
  #faults: readonly Fault[];
  #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  #open = new Set<Deno.Conn>();
  #running = new Set<Promise<void>>();

  constructor(target: URL, options: { seed: number; rate: number; faults?: readonly Fault[] }) {
    this.#target = target;
    this.rate = options.rate;
    this.#faults = options.faults ?? FAULTS;
    this.#random = randomFrom(options.seed);
    this.url = `http://127.0.0.1:${(this.#listener.addr as Deno.NetAddr).port}`;
    this.#follow(this.#accept());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    for (const connection of this.#open) close(connection);
    await Promise.all(this.#running);
  }

  #follow(work: Promise<void>): void {
    const followed = work.finally(() => this.#running.delete(followed));
    this.#running.add(followed);
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      client.setNoDelay();
      this.#open.add(client);
      this.#follow(
        this.#serve(client).catch(() => {}).finally(() => { // whichever side went away: the other sees it
          this.#open.delete(client);
          close(client);
        }),
      );
    }
  }

  #draw(): Fault | undefined {
    const faulty = this.#random() < this.rate;
    const which = this.#faults[Math.floor(this.#random() * this.#faults.length)];
    if (!faulty) return undefined;
    this.done.set(which, (this.done.get(which) ?? 0) + 1);
    return which;
  }

  async #serve(client: Deno.Conn): Promise<void> {
    const request = await readHead(client);
    if (!request) return;
    const fault = this.#draw();
    if (fault === "cut before") return;
    if (fault === "busy" || fault === "throttled") {
      await discard(client, request.length - request.begun.length);
      return await writeAll(client, refusal(fault));
    }
    if (fault === "late") await new Promise((resolve) => setTimeout(resolve, this.#random() * 300));
    const service = await Deno.connect({ hostname: this.#target.hostname, port: Number(this.#target.port) });
    this.#open.add(service);
    try {
      service.setNoDelay();
      await writeAll(service, new TextEncoder().encode(request.head));
      const half = fault === "cut in the request" ? Math.floor(request.length / 2) : undefined;
      await copy(client, service, half ?? request.length, request.begun);
      if (half !== undefined) return;
      await this.#answer(client, service, fault);
    } finally {
      this.#open.delete(service);
      close(service);
    }
  }

  async #answer(client: Deno.Conn, service: Deno.Conn, fault: Fault | undefined): Promise<void> {
    if (fault !== "cut after" && fault !== "cut in the answer") return await copy(service, client, Infinity);
    const answer: Uint8Array[] = [];
    for await (const piece of pieces(service)) answer.push(piece);
    if (fault === "cut after") return;
    const whole = new Uint8Array(await new Blob(answer as Uint8Array<ArrayBuffer>[]).arrayBuffer());
    await writeAll(client, whole.subarray(0, Math.floor(whole.length / 2)));
  }
}

interface Head {
  /** With `Connection: close`, so that the end of the answer is the end of the connection. */
  readonly head: string;
  /** Bytes of the body, and those of it that have come. */
  readonly length: number;
  readonly begun: Uint8Array;
}

async function readHead(connection: Deno.Conn): Promise<Head | undefined> {
  let text = "";
  for await (const piece of pieces(connection)) {
    text += Array.from(piece, (byte) => String.fromCharCode(byte)).join("");
    const end = text.indexOf("\r\n\r\n");
    if (end < 0) continue;
    const lines = text.slice(0, end).split("\r\n").filter((line) => !/^connection:/i.test(line));
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
    const begun = Uint8Array.from(text.slice(end + 4), (character) => character.charCodeAt(0));
    return { head: [...lines, "Connection: close", "", ""].join("\r\n"), length, begun };
  }
  return undefined;
}

function refusal(fault: "busy" | "throttled"): Uint8Array {
  const body = "<Error><Code>SlowDown</Code><Message>by the proxy</Message></Error>";
  const status = fault === "busy" ? "503 Slow Down" : "429 Too Many Requests";
  const head = `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/xml\r\n`;
  return new TextEncoder().encode(`${head}Content-Length: ${body.length}\r\n\r\n${body}`);
}

/** What comes, until the other side ends; it is not closed then. */
async function* pieces(connection: Deno.Conn): AsyncGenerator<Uint8Array, void, void> {
  for (;;) {
    const buffer = new Uint8Array(64 * 1024);
    const count = await connection.read(buffer);
    if (count === null) return;
    yield buffer.subarray(0, count);
  }
}

/** Passes so many bytes on, of which some have been read already. */
async function copy(
  from: Deno.Conn,
  to: Deno.Conn,
  length: number,
  begun: Uint8Array = new Uint8Array(0),
): Promise<void> {
  await writeAll(to, begun.subarray(0, Math.min(begun.length, length)));
  let left = length - begun.length;
  if (left <= 0) return;
  for await (const piece of pieces(from)) {
    await writeAll(to, piece.subarray(0, Math.min(piece.length, left)));
    left -= piece.length;
    if (left <= 0) return;
  }
}

async function discard(from: Deno.Conn, length: number): Promise<void> {
  let left = length;
  if (left <= 0) return;
  for await (const piece of pieces(from)) {
    left -= piece.length;
    if (left <= 0) return;
  }
}

async function writeAll(connection: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
}

function close(connection: Deno.Conn): void {
  try {
    connection.close();
  } catch {
    // It was closed.
  }
}

/** Numbers from 0 to 1 that a seed gives (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
