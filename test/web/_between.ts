/**
 * A real HTTP server that stands between a page and firn: it passes on what it is asked, remembers it, and can be told to want a
 * token, to become slow in the middle of an answer, to lead elsewhere, and to go down and come up again where it was.
 */
import { pause } from "../e2e/server.ts";

/** What was asked, and how much of the answer was sent so far. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  readonly range: string | null;
  sent: number;
  /** Whether who asked went away before the end. */
  left: boolean;
}

interface Hold {
  readonly of: RegExp;
  /** Bytes in all that the answers it is of may have before they are slow. */
  left: number;
  readonly released: PromiseWithResolvers<void>;
}

/** Milliseconds that a piece takes where answers are slow. */
const SLOW = 500;
/** Sent at once: small, so that it becomes slow where it was said. */
const PIECE = 64 * 1024;

export class Between implements AsyncDisposable {
  readonly asked: Asked[] = [];
  /** Answers in the place of firn, if it gives something. Not asked for preflights. */
  guard: (request: Request, path: string) => Response | undefined = () => undefined;
  #server: Deno.HttpServer<Deno.NetAddr>;
  #aborts = new AbortController();
  #hold: Hold | undefined;

  constructor(readonly target: string, port = 0) {
    this.#server = this.#serve(port);
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** Where it answers, as long as it is up. */
  readonly url: string;

  /** Those of the requests whose method and path match. */
  of(pattern: RegExp): Asked[] {
    return this.asked.filter(({ method, path }) => pattern.test(`${method} ${path}`));
  }

  /** Bytes of answers to requests that match. */
  sent(pattern: RegExp): number {
    return this.of(pattern).reduce((sum, { sent }) => sum + sent, 0);
  }

  /** From now on answers to what matches come very slowly, after so many bytes in all. */
  slowDown(of: RegExp, after: number): void {
    this.release();
    this.#hold = { of, left: after, released: Promise.withResolvers() };
  }

  /** Lets all go on as fast as it can. */
  release(): void {
    this.#hold?.released.resolve();
    this.#hold = undefined;
  }

  /** Resolves when something is seen at this server, such as that it became slow. */
  async until(seen: () => boolean): Promise<void> {
    for (let waited = 0; !seen(); waited += 10) {
      if (waited > 60_000) throw new Error(`Cannot see it: ${JSON.stringify(this.asked.slice(-20))}`);
      await pause(10);
    }
  }

  /** Whether it has become slow. */
  get slow(): boolean {
    return this.#hold !== undefined && this.#hold.left <= 0;
  }

  async down(): Promise<void> {
    this.release();
    await this.#server.shutdown();
  }

  /** Goes down as a crash does: connections break in the middle of what they carry. */
  async cut(): Promise<void> {
    this.#aborts.abort();
    await this.down();
  }

  up(): void {
    this.#server = this.#serve(Number(new URL(this.url).port));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down();
  }

  #serve(port: number): Deno.HttpServer<Deno.NetAddr> {
    this.#aborts = new AbortController();
    const { signal } = this.#aborts;
    const options = { hostname: "127.0.0.1", port, signal, onListen() {} };
    return Deno.serve(options, (request) => this.#answer(request));
  }

  async #answer(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const { method, headers } = request;
    const [authorization, range] = ["authorization", "range"].map((name) => headers.get(name));
    const asked: Asked = { method, path: pathname, authorization, range, sent: 0, left: false };
    this.asked.push(asked);
    const guarded = method === "OPTIONS" ? undefined : this.guard(request, pathname);
    if (guarded) {
      await request.body?.cancel();
      return guarded;
    }
    const passed = new Headers(headers);
    passed.delete("host");
    passed.set("accept-encoding", "identity"); // so that bytes are counted as they are
    if (passed.get("origin") === this.url) passed.delete("origin"); // its own pages are firn's own
    const answer = await fetch(this.target + pathname + search, {
      method,
      headers: passed,
      body: request.body,
      redirect: "manual",
    });
    const { status } = answer;
    const body = answer.body && ReadableStream.from(this.#counted(answer.body, asked));
    return new Response(body, { status, headers: answer.headers });
  }

  async *#counted(body: ReadableStream<Uint8Array>, asked: Asked): AsyncGenerator<Uint8Array, void, void> {
    let ended = false;
    try {
      for await (const bytes of body) {
        for (let at = 0; at < bytes.length; at += PIECE) {
          const piece = bytes.subarray(at, at + PIECE);
          const hold = this.#hold;
          if (hold?.of.test(`${asked.method} ${asked.path}`)) {
            if (hold.left <= 0) await Promise.race([hold.released.promise, pause(SLOW)]);
            hold.left -= piece.length;
          }
          yield piece;
          asked.sent += piece.length;
        }
      }
      ended = true;
    } finally {
      asked.left = !ended;
    }
  }
}
