/**
 * A server that answers each request as the test says, byte by byte if it likes: for what a sound service does not do.
 */

export interface Asked {
  readonly method: string;
  readonly target: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** The whole answer, or "nothing" to stay silent. */
export type Answer = string | "nothing";

export interface AnsweringServer extends AsyncDisposable {
  readonly url: string;
  readonly asked: Asked[];
}

/** Starts a server. @param answer to the request of this number, from 0; the connection is closed after it */
export function startAnswering(answer: (number: number, asked: Asked) => Answer): AnsweringServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const asked: Asked[] = [];
  const open = new Set<Deno.Conn>();
  const serving = (async () => {
    for await (const connection of listener) {
      open.add(connection);
      serve(connection).catch(() => {}); // the client went away, as some tests want
    }
  })();
  async function serve(connection: Deno.Conn): Promise<void> {
    const request = await readRequest(connection);
    if (!request) return;
    asked.push(request);
    const text = answer(asked.length - 1, request);
    if (text === "nothing") return;
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
    open.delete(connection);
    connection.close();
  }
  return {
    url: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`,
    asked,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of open) connection.close();
      await serving;
    },
  };
}

/** The text of an answer with a length. */
export function answer(status: number, body = "", headers: Record<string, string> = {}): Answer {
  const all = { "Content-Length": `${body.length}`, ...headers, Connection: "close" };
  return [
    `HTTP/1.1 ${status} Said`,
    ...Object.entries(all).map(([name, value]) => `${name}: ${value}`),
    "",
    body,
  ].join(
    "\r\n",
  );
}

async function readRequest(connection: Deno.Conn): Promise<Asked | undefined> {
  let text = "";
  const buffer = new Uint8Array(64 * 1024);
  for (;;) {
    const end = text.indexOf("\r\n\r\n");
    if (end >= 0) {
      const [first, ...lines] = text.slice(0, end).split("\r\n");
      const headers = new Headers(
        lines.map((line): [string, string] => [line.split(":")[0], line.slice(line.indexOf(":") + 1).trim()]),
      );
      const length = Number(headers.get("content-length") ?? 0);
      if (text.length >= end + 4 + length) {
        const [method, target] = first.split(" ");
        return {
          method,
          target,
          headers,
          body: Uint8Array.from(text.slice(end + 4), (c) => c.charCodeAt(0)),
        };
      }
    }
    const count = await connection.read(buffer);
    if (count === null) return undefined;
    text += Array.from(buffer.subarray(0, count), (byte) => String.fromCharCode(byte)).join("");
  }
}
