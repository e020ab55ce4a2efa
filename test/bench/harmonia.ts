/**
 * A peer for downloads: harmonia, which serves the paths of a nix store from the file system, without unpacking or checking
 * anything. The environment variable `FIRN_HARMONIA` tells its binary; without it there are no rows beside it.
 */
import { pause } from "../e2e/server.ts";
import type { Corpus } from "./corpora.ts";

/** How long its start may take, in milliseconds. */
const PATIENCE = 20_000;

/** Harmonia over the nix store of a corpus, running. */
export class Harmonia implements AsyncDisposable {
  private constructor(readonly child: Deno.ChildProcess, readonly url: string, readonly folder: string) {}

  /** Starts it, if there is one. */
  static async start({ store }: Corpus): Promise<Harmonia | undefined> {
    const binary = Deno.env.get("FIRN_HARMONIA");
    if (!binary) return undefined;
    const folder = await Deno.makeTempDir({ prefix: "firn-bench-" });
    const port = freePort();
    const config = `${folder}/harmonia.toml`;
    await Deno.writeTextFile(config, `bind = "127.0.0.1:${port}"\nreal_nix_store = "${store}/nix/store"\n`);
    const child = new Deno.Command(binary, {
      env: { CONFIG_FILE: config },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const harmonia = new Harmonia(child, `http://127.0.0.1:${port}`, folder);
    const end = performance.now() + PATIENCE;
    while (!await harmonia.#answers()) {
      if (performance.now() < end) await pause(50);
      else {
        await harmonia[Symbol.asyncDispose]();
        throw new Error(`Cannot start ${binary}`);
      }
    }
    return harmonia;
  }

  async #answers(): Promise<boolean> {
    try {
      const response = await fetch(`${this.url}/nix-cache-info`);
      await response.body?.cancel();
      return true;
    } catch {
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.status;
    await Deno.remove(this.folder, { recursive: true });
  }
}

/** A port nobody listens on now: harmonia does not say which one it took. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
