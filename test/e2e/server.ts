/**
 * firn's server as a child process, as a user starts it: `deno run -A mod.ts serve` on a free port over a store of
 * the test's own. Stopped politely, killed, started again over the same store.
 */
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../mod.ts", import.meta.url));

/** How long a start or a polite stop may take on a loaded machine, in milliseconds. */
const PATIENCE = 60_000;

/** A running server. Leaving its scope kills it, if it still runs. */
export class FirnServer implements AsyncDisposable {
  #log = "";
  #drained: Promise<unknown>;

  private constructor(readonly child: Deno.ChildProcess, readonly store: string) {
    this.#drained = Promise.all([this.#collect(child.stdout), this.#collect(child.stderr)]);
  }

  #url = "";
  /** Where it answers, without a slash at the end. */
  get url(): string {
    return this.#url;
  }

  /** Where it answers native gRPC: HOST:PORT, or unix:PATH. */
  get grpc(): string {
    const found = /^firn serves native gRPC on (?:grpc\+https?:\/\/(\S+)|grpc\+(unix:\S+))$/m.exec(this.#log);
    if (!found) throw new Error(`Cannot tell where firn serves gRPC; it printed:\n${this.log}`);
    return found[1] ?? found[2];
  }

  /** Everything it has printed, stdout and stderr in the order they were read. */
  get log(): string {
    return this.#log;
  }

  /**
   * Start a server and wait for the line that says it answers.
   * @param options further options of `serve`
   * @throws {Error} with what it printed, if it ends or stays silent instead
   */
  static async start(store: string, ...options: string[]): Promise<FirnServer> {
    return await FirnServer.#started(new FirnServer(spawnServe(store, options), store));
  }

  /** As `start`, with variables besides those of this process. */
  static async startWith(
    env: Record<string, string>,
    store: string,
    ...options: string[]
  ): Promise<FirnServer> {
    return await FirnServer.#started(new FirnServer(spawnServe(store, options, env), store));
  }

  /**
   * As `start`, as a platform runs an endpoint: `deno serve mod.ts`, with no permission but the network, the environment and its own
   * source, and no variable but these and what Deno KV and S3 let in.
   */
  static async startEdge(store: string, env: Record<string, string> = {}): Promise<FirnServer> {
    return await FirnServer.#started(new FirnServer(spawnEdge({ FIRN_STORE: store, ...env }), store));
  }

  static async #started(server: FirnServer): Promise<FirnServer> {
    const ended = server.child.status.then(() => server.#drained).then(() => "ended");
    const address = server.#address();
    const first = await within(PATIENCE, Promise.race([address, ended]));
    if (first === undefined || first === "ended") {
      await server.kill();
      throw new Error(`Cannot start firn: it ${first ?? "stays silent"}, and printed:\n${server.log}`);
    }
    server.#url = first;
    return server;
  }

  async #address(): Promise<string> {
    for (;;) {
      const found = /^firn serves on (http:\/\/[^\s/]+)$/m.exec(this.#log);
      if (found) return found[1];
      await pause(10);
    }
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const bytes of stream) this.#log += decoder.decode(bytes, { stream: true });
  }

  /** Ask it to end. @returns its exit code @throws {Error} if it does not end */
  async stop(signal: "SIGTERM" | "SIGINT" = "SIGTERM"): Promise<number> {
    this.child.kill(signal);
    return await this.ended();
  }

  /** Wait until it has ended by itself. @returns its exit code @throws {Error} if it does not end */
  async ended(): Promise<number> {
    const status = await within(PATIENCE, this.child.status);
    if (!status) throw new Error(`Cannot stop firn: it still runs, and printed:\n${this.log}`);
    await this.#drained;
    return status.code;
  }

  /** End it as a crash does: no handler runs. */
  async kill(): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It had ended.
    }
    await this.child.status;
    await this.#drained;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
  }

  /** Resident memory in bytes: `now`, and the `peak` since the start. */
  memory(): { now: number; peak: number } {
    const status = Deno.readTextFileSync(`/proc/${this.child.pid}/status`);
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)![1]) * 1024;
    return { now: field("VmRSS"), peak: field("VmHWM") };
  }
}

/** Start `serve` and return at once; for tests in which it should not come up. */
export function spawnServe(
  store: string,
  options: string[] = [],
  env: Record<string, string> = {},
): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", MAIN, "serve", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0"],
      ...["--store", store, ...options],
    ],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Start an endpoint and return at once. What `deno` needs itself is in its cache, and nothing may be asked of a user. */
export function spawnEdge(env: Record<string, string>, module = MAIN): Deno.ChildProcess {
  const own = ["HOME", "PATH", "DENO_DIR", "XDG_CACHE_HOME", "DENO_KV_ACCESS_TOKEN"]
    .concat("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY");
  const kept = own.flatMap((name) => Deno.env.has(name) ? [[name, Deno.env.get(name)!]] : []);
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["serve", "--no-prompt", "--cached-only", "--host", "127.0.0.1", "--port", "0"],
      ...[
        "--allow-net",
        "--allow-env",
        `--allow-read=${fileURLToPath(new URL("../..", import.meta.url))}`,
        module,
      ],
    ],
    clearEnv: true,
    env: { ...Object.fromEntries(kept), NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** A promise's value, or nothing if it takes longer than so many milliseconds. */
export async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  return await Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Let so many milliseconds pass. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
