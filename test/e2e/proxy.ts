/**
 * A proxy between firn push and the server, which knows what passes: every request with its body, its answer, and the blobs in it. What it
 * is told to do to a request happens before or after the server has it.
 */
import { zstdDecompressSync } from "node:zlib";
import { toHex } from "../../src/bytes/hex.ts";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { readDelimited } from "../../src/bytes/delimited.ts";
import { iterate } from "../../src/bytes/streams.ts";
import { blake3 } from "../../src/hash/blake3.ts";

/** A request that passed. */
export interface Passed {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | null;
  /** Bytes in the body as it was sent. */
  readonly length: number;
  /** Digests of the blobs in it, where it is one that writes blobs. */
  readonly blobs: readonly string[];
  /** What the server answered; 0 as long as it has not. */
  status: number;
}

export class Proxy implements AsyncDisposable {
  readonly passed: Passed[] = [];
  /** Called before the server has a request; may answer instead of it. */
  before: (request: Passed) => Response | void | Promise<Response | void> = () => {};
  /** Called when the server has answered, before the client has the answer. */
  after: (request: Passed) => void | Promise<void> = () => {};
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  /** @param target the server's address; may be set anew after a restart */
  constructor(public target: string) {
    this.#server = Deno.serve(
      {
        hostname: "127.0.0.1",
        port: 0,
        onListen: () => {},
        onError: () => new Response(null, { status: 502 }),
      },
      (request) => this.#pass(request),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** The requests of one method whose path matches. */
  sent(method: string, path = /(?:)/): Passed[] {
    return this.passed.filter((request) => request.method === method && path.test(request.path));
  }

  /** Digests of blobs that were sent; `acknowledged`: only those that the server has taken. */
  blobs(from = 0, acknowledged = false): Set<string> {
    const requests = this.passed.slice(from).filter(({ status }) => !acknowledged || status === 200);
    return new Set(requests.flatMap(({ blobs }) => blobs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #pass(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const body = new Uint8Array(await request.arrayBuffer());
    const passed: Passed = {
      method: request.method,
      path: pathname + search,
      authorization: request.headers.get("authorization"),
      length: body.length,
      blobs: pathname === "/blob/write" ? await blobsIn(body, request.headers.get("content-encoding")) : [],
      status: 0,
    };
    this.passed.push(passed);
    const instead = await this.before(passed);
    if (instead) return instead;
    const answer = await fetch(this.target + passed.path, {
      method: request.method,
      headers: request.headers,
      body: request.method === "GET" ? undefined : body,
    });
    const answered = await answer.arrayBuffer();
    passed.status = answer.status;
    await this.after(passed);
    const headers = new Headers(answer.headers);
    headers.delete("content-encoding");
    headers.delete("content-length");
    return new Response(answered, { status: answer.status, headers });
  }
}

async function blobsIn(body: Bytes, encoding: string | null): Promise<string[]> {
  const plain = encoding === "zstd" ? new Uint8Array(zstdDecompressSync(body)) : body;
  const blobs = await Array.fromAsync(readDelimited(iterate([plain]), 4 * 2 ** 20, "blob"));
  return blobs.map((blob) => toHex(blake3(concat([blob]))));
}
