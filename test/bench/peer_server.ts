/**
 * Servers on the same runtime that do as little as can be done, run as a process of their own. Two kinds, by the arguments:
 *
 *   constant LENGTH   answers every request with the same text of that many bytes
 *   forgetful         a binary cache that reads what is uploaded and keeps nothing of it
 */

const CACHE_INFO = "StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n";

function constant(length: number): () => Response {
  const bytes = new Uint8Array(length).fill(0x61);
  const headers = { "content-type": "text/x-nix-narinfo", "content-length": String(length) };
  return () => new Response(bytes, { headers });
}

async function forgetful(request: Request): Promise<Response> {
  for await (const _ of request.body ?? []);
  if (request.method === "PUT") return new Response(null);
  return request.url.endsWith("/nix-cache-info")
    ? new Response(CACHE_INFO)
    : new Response(null, { status: 404 });
}

/** One of these servers, running. */
export class PeerServer implements AsyncDisposable {
  private constructor(readonly child: Deno.ChildProcess, readonly url: string) {}

  static async start(...args: ["constant", string] | ["forgetful"]): Promise<PeerServer> {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-net", import.meta.url, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const { value } = await reader.read();
    await reader.cancel();
    if (value === undefined) throw new Error(`Cannot start the ${args[0]} server`);
    return new PeerServer(child, value.trim());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.status;
  }
}

if (import.meta.main) {
  const [kind, length] = Deno.args;
  const handler = kind === "constant" ? constant(Number(length)) : forgetful;
  const onListen = ({ port }: Deno.NetAddr) => console.log(`http://127.0.0.1:${port}`);
  Deno.serve({ hostname: "127.0.0.1", port: 0, onListen }, handler);
}
