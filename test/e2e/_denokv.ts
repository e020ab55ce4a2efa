/**
 * A real server of Deno KV (`denokv`, SQLite inside) on a free port of loopback, as a child process: stopped, killed, and started
 * again at the same place over the same file. It is looked for as FIRN_DENOKV says, where `install_denokv.sh` puts
 * it, and on PATH.
 */
import { type Need, permissions, permitted } from "../needs.ts";
import { pause, within } from "./server.ts";

/** What every one of them lets in; `Deno.openKv` takes it from the environment. */
const TOKEN = "firn-tests-may-come-in";
/** How long a start may take on a loaded machine, in milliseconds. */
const PATIENCE = 30_000;

const found = permitted ? find() : undefined;
if (found) Deno.env.set("DENO_KV_ACCESS_TOKEN", TOKEN);

/** The server, which `install_denokv.sh` installs. */
export const denokv: Need = () =>
  permissions() ?? (found ? undefined : "needs denokv, run test/e2e/install_denokv.sh");

function find(): string | undefined {
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
  const onPath = (Deno.env.get("PATH") ?? "").split(":").map((folder) => `${folder}/denokv`);
  return [Deno.env.get("FIRN_DENOKV"), `${cache}/firn/bin/denokv`, ...onPath].find((path) => {
    try {
      return path && Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** A server that runs. Leaving its scope kills it. */
export class DenokvServer implements AsyncDisposable {
  #child: Deno.ChildProcess | undefined;
  #ended: Promise<unknown> = Promise.resolve();

  private constructor(readonly file: string, readonly port: number) {}

  /** Starts one over a file, which is made when missing. */
  static async start(file: string): Promise<DenokvServer> {
    for (let attempt = 1;; attempt++) {
      const server = new DenokvServer(file, freePort());
      try {
        await server.restart();
        return server;
      } catch (error) {
        if (attempt === 5) throw error; // somebody may have taken the port in between
      }
    }
  }

  /** Where it answers: what `Deno.openKv` takes. */
  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The address of a store in it. */
  get store(): string {
    return `kv+${this.url}`;
  }

  /** Starts it again after it was killed, and waits until it answers. */
  async restart(): Promise<void> {
    const child = new Deno.Command(found!, {
      args: [
        ...["--sqlite-path", this.file, "serve"],
        ...["--access-token", TOKEN, "--addr", `127.0.0.1:${this.port}`],
      ],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    let log = "";
    const drained = drain(child.stderr, (text) => log += text);
    this.#ended = Promise.all([child.status, drained]);
    const listening = async () => {
      while (!/Listening on/.test(log)) await pause(5);
      return true;
    };
    const ended = this.#ended.then(() => undefined);
    if (await within(PATIENCE, Promise.race([listening(), ended]))) return;
    await this.kill();
    throw new Error(`Cannot start denokv: it printed ${log}`);
  }

  /** Ends it as a crash does. */
  async kill(): Promise<void> {
    try {
      this.#child?.kill("SIGKILL");
    } catch {
      // It had ended.
    }
    await this.#ended;
  }

  /** Lets it stand still: it takes connections and answers nobody. */
  stop(): void {
    this.#child!.kill("SIGSTOP");
  }

  /** Lets it go on. */
  resume(): void {
    this.#child!.kill("SIGCONT");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function drain(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of stream) take(decoder.decode(bytes, { stream: true }));
}
