/** A server behind nginx, configured as the README says, with TLS: everything passes, whole, and who asks is not taken for near. */
import assert from "node:assert/strict";
import { tool } from "../needs.ts";
import { sampler } from "./closures.ts";
import { client, clientPath, curl, makeCertificate, openssl, run } from "./grpc_clients.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer, pause, within } from "./server.ts";
import { TOKEN_ENV, WRITER, writer } from "./tokens.ts";

const README = new URL("../../README.md", import.meta.url);

/** The README's configuration, for these ports and files. */
async function configuration(folder: string, port: number, firn: FirnServer): Promise<string> {
  const block = /```nginx\n([\s\S]*?)```/.exec(await Deno.readTextFile(README))![1];
  const changed = [
    ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
    ["/etc/ssl/cache.example.pem", `${folder}/cert.pem`],
    ["/etc/ssl/private/cache.example.key", `${folder}/key.pem`],
    ["http://127.0.0.1:8080", firn.url],
    ["127.0.0.1:8000", firn.grpc],
  ].reduce((text, [from, to]) => {
    assert.ok(text.includes(from), from);
    return text.replace(from, to);
  }, block);
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((of) => `${of}_temp_path ${folder}/${of};`);
  return `daemon off; user root; pid ${folder}/pid; error_log stderr warn; events {}\n` +
    `http { access_log off; ${temporary.join(" ")}\n${changed}}\n`;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

/** Starts nginx on a free port. */
async function startNginx(folder: string, firn: FirnServer): Promise<{ url: string } & AsyncDisposable> {
  await makeCertificate(folder);
  const port = freePort();
  await Deno.writeTextFile(`${folder}/nginx.conf`, await configuration(folder, port, firn));
  const child = new Deno.Command("nginx", {
    args: ["-e", "stderr", "-c", `${folder}/nginx.conf`],
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  const listening = async () => {
    while (!ended) {
      try {
        (await Deno.connect({ hostname: "127.0.0.1", port })).close();
        return true;
      } catch {
        await pause(20);
      }
    }
  };
  const url = `https://127.0.0.1:${port}`;
  const stop = async () => {
    if (!ended) child.kill("SIGTERM");
    await child.status;
  };
  if (await within(30_000, listening())) return { url, [Symbol.asyncDispose]: stop };
  await stop();
  throw new Error("Cannot start nginx: see above");
}

nixTest(
  "behind nginx with TLS, as the README says",
  "new",
  async (nix, folder, t) => {
    const closure = await sampler(`${folder}/builder`);
    await using firn = await FirnServer.startWith(
      { ...TOKEN_ENV, FIRN_TRUST_PROXY: "127.0.0.1" },
      `${folder}/store`,
    );
    await using nginx = await startNginx(folder, firn);
    const trust = `ssl-cert-file = ${folder}/cert.pem`;
    const ask = async (...args: string[]) =>
      await run("curl", ["--silent", "--show-error", "--cacert", `${folder}/cert.pem`, ...args]);

    await t.step("in and out by nix", async () => {
      const pusher = await writer(nix, `${folder}/pusher`, trust);
      await pusher.push(nginx.url, closure.root);
      await pull(new User(nix, `${folder}/puller`, [trust]), nginx.url, closure, `${folder}/pulled`);
    });

    await t.step("an upload of more than nginx would hold, as it comes", async () => {
      const upload = `${folder}/upload`;
      await Deno.writeFile(upload, new Uint8Array(64 * 1024 * 1024));
      const token = ["--header", `Authorization: Bearer ${WRITER}`];
      const { stdout } = await ask(...token, "--upload-file", upload, `${nginx.url}/blob`);
      assert.match(stdout, /"size":67108864/);
    });

    await t.step("who asks through it is not on this machine", async () => {
      const answer = await ask(
        "--write-out",
        "%{http_code}",
        "--request",
        "PUT",
        "--data",
        "x",
        `${nginx.url}/blob`,
      );
      assert.match(answer.stdout, /401$/);
    });

    await t.step("native gRPC, and Connect, on the same port", async () => {
      const address = nginx.url.replace("https://", "");
      const health = "grpc.health.v1.Health";
      const native = await run(clientPath("grpcurl"), [
        "-cacert",
        `${folder}/cert.pem`,
        address,
        `${health}/Check`,
      ]);
      assert.match(native.stdout, /"SERVING"/);
      const json = ["--header", "Content-Type: application/json", "--data", "{}"];
      assert.match((await ask(...json, `${nginx.url}/${health}/Check`)).stdout, /"SERVING"/);
    });

    await t.step("a WebSocket is made", async () => {
      const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
        .concat("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: grpc-websockets")
        .flatMap((header) => ["--header", header]);
      const path = "tvix.castore.v1.BlobService/Read";
      const { stdout } = await ask(
        "--http1.1",
        "--include",
        "--max-time",
        "3",
        ...upgrade,
        `${nginx.url}/${path}`,
      );
      assert.match(stdout, /^HTTP\/1\.1 101 /);
    });
  },
  tool("nginx", "nginx-light"),
  curl,
  openssl,
  client("grpcurl"),
);
