/** The server under the eyes of others: a conformance suite, and two clients. */
import assert from "node:assert/strict";
import { fromText } from "../../../src/bytes/bytes.ts";
import { collect } from "../../../src/bytes/streams.ts";
import { listenTcp } from "../../../src/adapters/http2/listen.ts";
import { type Http2Handler, Http2Server } from "../../../src/adapters/http2/server.ts";
import { type Need, permissions, permitted, testNeeding, tool } from "../../needs.ts";

/** On PATH, or where tools are kept that no package has. */
const H2SPEC = permitted ? find("h2spec") : undefined;
const h2spec: Need = () =>
  permissions() ?? (H2SPEC ? undefined : "needs h2spec, in a folder of PATH or in ~/.cache/firn/bin");
const nghttp = tool("nghttp", "nghttp2-client");
const h2load = tool("h2load", "nghttp2-client");
const curl = tool("curl", "curl");

function find(command: string): string | undefined {
  const folders = [...(Deno.env.get("PATH") ?? "").split(":"), `${Deno.env.get("HOME")}/.cache/firn/bin`];
  return folders.map((folder) => `${folder}/${command}`).find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });
}

/** Reads the request, then answers with what it read. */
const echo: Http2Handler = async ({ body, url }) => {
  const bytes = await collect(body);
  const answer = bytes.length > 0 ? bytes : fromText(`you asked for ${new URL(url).pathname}\n`);
  return {
    status: 200,
    header: new Headers({ "x-length": String(bytes.length) }),
    body: pieces(answer),
    trailer: new Headers({ "x-trailer": "after" }),
  };
};

async function* pieces(...parts: Uint8Array[]): AsyncGenerator<Uint8Array, void, void> {
  yield* parts;
}

function serve(handler: Http2Handler) {
  const logged: string[] = [];
  const server = new Http2Server(handler, { log: (line) => logged.push(line) });
  const listening = listenTcp({ hostname: "127.0.0.1", port: 0 }, (duplex) => {
    void server.handleConnection(duplex);
  });
  return {
    server,
    logged,
    port: String(listening.port),
    url: `http://127.0.0.1:${listening.port}`,
    async [Symbol.asyncDispose]() {
      await listening.close();
      await server.stop(1000);
    },
  };
}

async function run(command: string, args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const text = new TextDecoder().decode(stdout);
  assert.ok(success, `${text.slice(-5000)}\n${new TextDecoder().decode(stderr).slice(-2000)}`);
  return text;
}

testNeeding(h2spec)("http2: all of h2spec passes, and nothing of it is skipped", async () => {
  await using serving = serve(echo);
  const text = await run(H2SPEC!, ["-h", "127.0.0.1", "-p", serving.port, "-o", "2"]);
  // 145 cases in the newest version that is released, 146 in what came after it.
  assert.match(text, /\n(14[56]) tests, \1 passed, 0 skipped, 0 failed/);
  assert.deepEqual(serving.logged, []);
  assert.equal(serving.server.heldBytes, 0);
});

testNeeding(curl)("http2: curl sends 20 MiB and gets them back", async () => {
  await using serving = serve(echo);
  const file = await Deno.makeTempFile();
  const sent = new Uint8Array(20 * 1024 * 1024);
  for (let i = 0; i < sent.length; i++) sent[i] = (i * 7 + (i >> 9)) & 0xff;
  await Deno.writeFile(file, sent);
  const plain = ["--http2-prior-knowledge", "--silent", "--show-error", "--fail"];
  const got = await Deno.makeTempFile();
  await run("curl", [...plain, "--data-binary", `@${file}`, "--output", got, serving.url]);
  assert.deepEqual(await Deno.readFile(got), sent);
  const shown = await run("curl", [...plain, "--include", `${serving.url}/a/path`]);
  assert.match(shown, /^HTTP\/2 200/);
  assert.match(shown, /you asked for \/a\/path/);
  await Deno.remove(file);
  await Deno.remove(got);
});

testNeeding(nghttp)("http2: nghttp sees head, body and trailers", async () => {
  await using serving = serve(echo);
  const text = await run("nghttp", ["-v", "--no-dep", `${serving.url}/one`, `${serving.url}/two`]);
  for (const part of ["you asked for /one", "you asked for /two", "x-trailer: after", ":status: 200"]) {
    assert.ok(text.includes(part), part);
  }
  assert.ok(!text.includes("RST_STREAM"));
});

testNeeding(h2load)("http2: h2load makes 20,000 calls on 20 connections, and none fails", async () => {
  await using serving = serve(echo);
  const file = await Deno.makeTempFile();
  await Deno.writeFile(file, new Uint8Array(100));
  const text = await run("h2load", ["-n", "20000", "-c", "20", "-m", "32", "-d", file, serving.url]);
  assert.match(text, /20000 succeeded, 0 failed, 0 errored, 0 timeout/);
  assert.deepEqual(serving.logged, []);
  await Deno.remove(file);
});
