/** Real nginx in front of a server, as people put it there: it refuses bodies over 1 MiB unless it is told otherwise. */
import { pause } from "./server.ts";

/** A running nginx. Disposing stops it. */
export class Nginx implements AsyncDisposable {
  private constructor(readonly child: Deno.ChildProcess, readonly url: string, readonly folder: string) {}

  /** Starts one whose files are in a folder. @param settings lines for the server's block */
  static async start(target: string, folder: string, settings = ""): Promise<Nginx> {
    await Deno.mkdir(folder);
    const port = freePort();
    const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
      .map((name) => `${name}_temp_path ${folder}/${name};`).join("\n");
    const config = `
      daemon off; pid ${folder}/pid; error_log ${folder}/error.log; worker_processes 1; user root;
      events { worker_connections 256; }
      http {
        ${paths}
        log_format bodies '$request_method $request_uri $status $content_length';
        access_log ${folder}/access.log bodies;
        server {
          listen 127.0.0.1:${port};
          ${settings}
          location / { proxy_pass ${target}; }
        }
      }`;
    await Deno.writeTextFile(`${folder}/nginx.conf`, config);
    const child = new Deno.Command("nginx", {
      args: ["-p", folder, "-c", `${folder}/nginx.conf`, "-e", `${folder}/error.log`],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const nginx = new Nginx(child, `http://127.0.0.1:${port}`, folder);
    let ended: Deno.CommandStatus | undefined;
    child.status.then((status) => ended = status);
    for (let tries = 0;; tries++) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return nginx;
      } catch (error) {
        if (!ended && tries < 500) {
          await pause(20);
          continue;
        }
        const said = await new Response(child.stderr).text();
        throw new Error(`Cannot start nginx: ${said}`, { cause: error });
      }
    }
  }

  /** A line for each request: method, path, status and Content-Length. */
  async requests(): Promise<{ method: string; path: string; status: number; length: number }[]> {
    const log = await Deno.readTextFile(`${this.folder}/access.log`);
    return log.split("\n").filter((line) => line !== "").map((line) => {
      const [method, path, status, length] = line.split(" ");
      return { method, path, status: Number(status), length: Number(length) || 0 };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGTERM");
    await this.child.status;
    await this.child.stderr.cancel();
  }
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return (listener.addr as Deno.NetAddr).port;
}
