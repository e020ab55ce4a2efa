// Servers as a person starts them: what their listeners tell of who comes, over HTTP, WebSocket and native gRPC.
import assert from "node:assert/strict";
import { createClient } from "@connectrpc/connect";
import { grpcTransport } from "../../../src/adapters/grpc/transport.ts";
import { Http2Client } from "../../../src/adapters/http2/client.ts";
import { parseRemote } from "../../../src/cli/remote_store.ts";
import { fromText } from "../../../src/bytes/bytes.ts";
import { SNIX } from "../../../src/server/grpc/era.ts";
import { FirnServer } from "../../e2e/server.ts";
import { permissions, testNeeding, tool } from "../../needs.ts";
import { stream } from "../grpc/_calls.ts";
import { frame, headersOf } from "../_grpc_clients.ts";
import { KEY_TEXT, tokenFor, told } from "./_tokens.ts";

function serverTest(title: string, body: (folder: string) => Promise<void>): void {
  testNeeding(permissions, tool("curl", "curl"))({
    name: title,
    // The runtime keeps signal handlers of children for a moment longer than a test takes.
    sanitizeResources: false,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "firn-access-" });
      try {
        await body(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function put(url: string, headers: Record<string, string> = {}, body: BodyInit = "x") {
  return await told(await fetch(`${url}/blob`, { method: "PUT", body, headers }));
}

/** A Put over native gRPC: its message when it fails. */
async function call(address: string, token?: string): Promise<string | undefined> {
  const { baseUrl, open } = parseRemote(address);
  await using client = new Http2Client(open);
  const blobs = createClient(SNIX.blobService, grpcTransport(baseUrl, client.request.bind(client)));
  const headers: HeadersInit = token === undefined ? [] : [["authorization", `Bearer ${token}`]];
  try {
    await blobs.put(stream({ data: new Uint8Array(10) }), { headers });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

serverTest(
  "on loopback without a key this machine writes, by all protocols, and the server says so",
  async (folder) => {
    await using server = await FirnServer.start(`${folder}/store`);
    assert.equal((await put(server.url))[0], 200);
    assert.equal((await put(server.url.replace("127.0.0.1", "localhost")))[0], 200);
    assert.equal(await call(`grpc+http://${server.grpc}`), undefined);
    for (
      const [name, value] of [["host", "evil.example"], ["x-forwarded-for", "192.0.2.1"], [
        "forwarded",
        "for=192.0.2.1",
      ]]
    ) {
      const { code, stdout } = await new Deno.Command("curl", {
        args: ["-s", "-T", "-", "-H", `${name}: ${value}`, "-w", "%{http_code}", `${server.url}/blob`],
        stdin: "null",
      }).output();
      assert.equal(code, 0);
      assert.match(new TextDecoder().decode(stdout), /Cannot let you write: .*\n403$/, name);
    }
    assert.match(
      server.log,
      /Z reading and writing are open to all programs on this machine; behind a proxy give it a token key/,
    );
  },
);

serverTest("on a Unix socket, too", async (folder) => {
  await using _server = await FirnServer.start(`${folder}/store`, "--grpc-listen", `unix:${folder}/socket`);
  assert.equal(await call(`grpc+unix:${folder}/socket`), undefined);
});

serverTest("on all addresses without a key nobody writes, and the server says what to do", async (folder) => {
  await using server = await FirnServer.start(
    `${folder}/store`,
    ...["--listen", "0.0.0.0:0", "--grpc-listen", "0.0.0.0:0"],
  );
  const url = server.url.replace("0.0.0.0", "127.0.0.1");
  const [status, text] = await put(url);
  assert.equal(status, 403);
  assert.match(text, /without a token key/);
  assert.match(
    (await call(`grpc+http://${server.grpc.replace("0.0.0.0", "127.0.0.1")}`))!,
    /permission_denied.*without a token key/,
  );
  assert.equal((await told(await fetch(`${url}/nix-cache-info`)))[0], 200);
  assert.match(
    server.log,
    /Z reading is open to all who reach this server; writing is refused: to let others write, firn token key > /,
  );
});

serverTest(
  "with a key everybody needs a token to write, on loopback as elsewhere, by all protocols",
  async (folder) => {
    await Deno.writeTextFile(`${folder}/key`, KEY_TEXT, { mode: 0o644 });
    await using server = await FirnServer.start(`${folder}/store`, "--token-key", `${folder}/key`);
    const token = await tokenFor({ rights: ["write"] });
    assert.equal((await put(server.url))[0], 401);
    assert.equal((await put(server.url, { authorization: `Bearer ${token}` }))[0], 200);
    assert.equal((await put(server.url, { authorization: `Basic ${btoa(`me:${token}`)}` }))[0], 200);
    assert.match((await call(`grpc+http://${server.grpc}`))!, /unauthenticated.*without a token/);
    assert.equal(await call(`grpc+http://${server.grpc}`, token), undefined);
    assert.match(server.log, /Z reading is open to all who reach this server; writing needs a token/);
    assert.match(server.log, /key can be read by others on this machine/);

    const socket = async (header: string) => {
      const socket = new WebSocket(
        `${server.url.replace("http", "ws")}/snix.castore.v1.BlobService/Put`,
        "grpc-websockets",
      );
      socket.binaryType = "arraybuffer";
      const messages: Uint8Array[] = [];
      socket.onmessage = ({ data }) => messages.push(new Uint8Array(data));
      await new Promise((resolve) => socket.onopen = resolve);
      socket.send(fromText(`content-type: application/grpc-web+proto\r\n${header}`));
      socket.send(Uint8Array.of(0, ...frame(Uint8Array.of(10, 1, 7))));
      socket.send(Uint8Array.of(1));
      await new Promise((resolve) => socket.onclose = resolve);
      return headersOf(messages.at(-1)! as Uint8Array<ArrayBuffer>);
    };
    assert.equal((await socket(`authorization: Bearer ${token}\r\n`)).get("grpc-status"), "0");
    const refused = await socket("");
    assert.equal(refused.get("grpc-status"), "16");
    assert.match(decodeURIComponent(refused.get("grpc-message")!), /^Cannot let you write without a token/);
    const read = await tokenFor({ rights: ["read"] });
    assert.equal((await socket(`authorization: Bearer ${read}\r\n`)).get("grpc-status"), "7");
    for (const one of [token, read]) assert.ok(!server.log.includes(one.split(".")[2]));
  },
);

serverTest("a long upload that is refused can read why", async (folder) => {
  await Deno.writeTextFile(`${folder}/key`, KEY_TEXT, { mode: 0o600 });
  await using server = await FirnServer.start(`${folder}/store`, "--token-key", `${folder}/key`);
  const long = new Uint8Array(64 * 1024 * 1024);
  for (let i = 0; i < 3; i++) {
    const [status, text] = await put(server.url, {}, long);
    assert.equal(status, 401);
    assert.match(text, /without a token/);
  }
  await Deno.writeFile(`${folder}/long`, long);
  for (const expect of ["Expect:", "Expect: 100-continue"]) {
    const { stdout } = await new Deno.Command("curl", {
      args: ["-s", "-T", `${folder}/long`, "-H", expect, "-w", "%{http_code}", `${server.url}/blob`],
    }).output();
    assert.match(new TextDecoder().decode(stdout), /without a token.*\n401$/, expect);
  }
});
