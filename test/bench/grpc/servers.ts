/** The servers of the comparison as processes, and the clients, which are built first. */
import { fileURLToPath } from "node:url";
import { FirnServer } from "../../e2e/server.ts";
import { run } from "../measure.ts";

/** A server that answers native gRPC. */
export interface Target extends AsyncDisposable {
  readonly pid: number;
  /** HOST:PORT of native gRPC. */
  readonly native: string;
  /** HOST:PORT of the protocols over HTTP/1.1. */
  readonly http: string;
}

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** What is built for a run. */
export interface Built {
  /** The client of client/. */
  readonly client: string;
  /** The server on grpc-js. */
  readonly peer: string;
}

/** Build client and peer in a folder, or say what is missing. */
export async function build(folder: string): Promise<Built | { readonly missing: string }> {
  for (const [tool, option] of [["go", "version"], ["node", "--version"], ["h2load", "--version"]]) {
    try {
      await new Deno.Command(tool, { args: [option] }).output();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return { missing: tool };
      throw error;
    }
  }
  await Deno.mkdir(folder, { recursive: true });
  const built = { client: `${folder}/client`, peer: `${folder}/peer.mjs` };
  await run("go", ["build", "-C", here("client"), "-o", built.client, "."]);
  const options = ["--quiet", "--platform", "deno", "--format", "esm"];
  await run(Deno.execPath(), ["bundle", ...options, "--output", built.peer, here("peer.ts")]);
  return built;
}

/** grpc-js on Node. @param place of the store, see store.ts */
export async function startPeer({ peer }: Built, place: string): Promise<Target> {
  return await start("node", [peer, place]);
}

/** firn's HTTP/2 and services over the same store. */
export async function startOwn(place: string): Promise<Target> {
  return await start(Deno.execPath(), ["run", "-A", here("own.ts"), place]);
}

/** firn as it is served. @param folder of its default store */
export async function startServe(folder: string): Promise<Target> {
  const server = await FirnServer.start(folder);
  return {
    pid: server.child.pid,
    native: server.grpc,
    http: new URL(server.url).host,
    [Symbol.asyncDispose]: () => server.kill(),
  };
}

async function start(command: string, args: string[]): Promise<Target> {
  const child = new Deno.Command(command, { args, stdin: "null", stdout: "piped", stderr: "inherit" })
    .spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value } = await reader.read();
  await reader.cancel();
  if (value === undefined) throw new Error(`Cannot start ${command} ${args.join(" ")}`);
  const address = `127.0.0.1:${value.trim()}`;
  return {
    pid: child.pid,
    native: address,
    http: address,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await child.status;
    },
  };
}

/** Let the peak of a process be what is resident now. */
export async function forgetPeak({ pid }: Target): Promise<void> {
  await Deno.writeTextFile(`/proc/${pid}/clear_refs`, "5");
}

/** Its peak since then, in MiB. */
export async function peakOf({ pid }: Target): Promise<number> {
  const found = /^VmHWM:\s+(\d+) kB/m.exec(await Deno.readTextFile(`/proc/${pid}/status`));
  return Number(found![1]) / 1024;
}
