// A server with a door on a real socket, whose clients come from wherever a test says: by the header `x-test-from`, for all of them
// are on this machine.
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import { createServer, type Server, type ServerOptions } from "../../src/server/app.ts";
import { RequestWatch } from "../../src/server/watch/request_watch.ts";
import type { RequestEntry } from "../../src/server/watch/request_log.ts";
import { Metrics } from "../../src/server/watch/metrics.ts";
import { RequestFigures } from "../../src/server/watch/request_figures.ts";
import { type Services, servicesOver } from "../../src/store/services.ts";

export class DoorSite implements AsyncDisposable {
  readonly url: string;
  readonly entries: RequestEntry[] = [];
  readonly log: string[] = [];
  readonly metrics = new Metrics();
  readonly services: Services;
  readonly server: Server;
  #http: Deno.HttpServer<Deno.NetAddr>;

  constructor(options: Partial<ServerOptions> = {}) {
    this.services = servicesOver({ names: openMemory(), bytes: openMemory() });
    this.server = createServer({
      ...this.services,
      codec: openCodecs(),
      hashes: nativeHashes,
      alone: true,
      watch: new RequestWatch({
        figures: new RequestFigures(this.metrics),
        log: (entry) => this.entries.push(entry),
      }),
      metrics: () => this.metrics.text(),
      log: (line) => this.log.push(line),
      ...options,
    });
    const onError = () => new Response(null, { status: 500 });
    this.#http = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {}, onError }, (request) => {
      const address = request.headers.get("x-test-from") ?? "192.0.2.1";
      return this.server.fetch(request, { address, local: false });
    });
    this.url = `http://127.0.0.1:${this.#http.addr.port}`;
  }

  /** Connects and sends the head of a PUT that promises so many bytes, or of a chunked one. */
  async put(path: string, length: number | "chunked", from?: string): Promise<Deno.TcpConn> {
    const lines = [
      `PUT /${path} HTTP/1.1`,
      "host: firn.test",
      length === "chunked" ? "transfer-encoding: chunked" : `content-length: ${length}`,
      ...(from === undefined ? [] : [`x-test-from: ${from}`]),
    ];
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: this.#http.addr.port });
    await conn.write(new TextEncoder().encode(lines.join("\r\n") + "\r\n\r\n"));
    return conn;
  }

  async get(path: string, from?: string): Promise<Response> {
    return await fetch(`${this.url}/${path}`, { headers: from === undefined ? {} : { "x-test-from": from } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#http.shutdown();
  }
}

/** The status of what a connection answers. */
export async function statusOn(conn: Deno.TcpConn): Promise<number> {
  const buffer = new Uint8Array(4096);
  const length = await conn.read(buffer);
  return Number(new TextDecoder().decode(buffer.subarray(0, length ?? 0)).split(" ")[1]);
}
