/**
 * A client that sends bytes as it likes: half a request, slowly, or none of the rest. And a listening server for what needs a
 * real connection.
 */
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import type { Site } from "./_site.ts";

/** A server on a free port of this machine, over a site. Disposing ends it. */
export class Listening implements AsyncDisposable {
  readonly url: string;
  #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(site: Site) {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => site.app.fetch(request)) as Deno.HttpServer<Deno.NetAddr>;
    this.url = `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** One request on a connection of its own. */
export class RawRequest implements Disposable {
  #connection: Deno.TcpConn;
  #open = true;

  private constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
  }

  /** Connects and sends the head of a PUT that promises `length` bytes. */
  static async put(url: string, path: string, length: number): Promise<RawRequest> {
    const { hostname, port, host } = new URL(url);
    const request = new RawRequest(await Deno.connect({ hostname, port: Number(port) }));
    await request.send(
      fromText(`PUT /${path} HTTP/1.1\r\nhost: ${host}\r\ncontent-length: ${length}\r\n\r\n`),
    );
    return request;
  }

  async send(bytes: Bytes): Promise<void> {
    for (let at = 0; at < bytes.length;) at += await this.#connection.write(bytes.subarray(at));
  }

  /** Everything the server says until it closes, or until the response is complete. */
  async response(): Promise<{ status: number; body: string }> {
    const parts: Bytes[] = [];
    const buffer = new Uint8Array(65_536);
    while (true) {
      const length = await this.#connection.read(buffer);
      if (length === null) break;
      parts.push(buffer.slice(0, length));
      const answer = parse(new TextDecoder().decode(concat(parts)));
      if (answer?.complete) return answer;
    }
    const answer = parse(new TextDecoder().decode(concat(parts)));
    if (!answer) throw new Error("Cannot read the response: the connection ended without one");
    return answer;
  }

  /** Goes away without a word. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    this.#connection.close();
  }
}

function parse(text: string): { status: number; body: string; complete: boolean } | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const head = text.slice(0, end);
  const body = text.slice(end + 4);
  const length = /^content-length: (\d+)$/im.exec(head);
  return {
    status: Number(head.split(" ")[1]),
    body,
    complete: length !== null && body.length >= Number(length[1]),
  };
}

/** Waits until something holds, which must be within so many milliseconds. */
export async function until(what: string, holds: () => boolean, milliseconds = 10_000): Promise<void> {
  const end = performance.now() + milliseconds;
  while (!holds()) {
    if (performance.now() > end) throw new Error(`Waited ${milliseconds} ms in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
