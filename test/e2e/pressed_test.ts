/**
 * Pressed NARs before those who read them: both versions of nix, the `zstd` tool, and libarchive. Everything arrives as it was
 * sent, also when a download is cut and resumed, or the server was started again.
 */
import assert from "node:assert/strict";
import { toReadable } from "../../src/bytes/streams.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { tool, zstd } from "../needs.ts";
import { hashPart } from "./cache_folder.ts";
import { debianClosure, sampler } from "./closures.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer } from "./server.ts";
import { Tap } from "./tap.ts";

const PRESSING = ["--nar-compression", "zstd"];
const bsdcat = tool("bsdcat", "libarchive-tools");

/** A field of the narinfo of a path. */
async function field(url: string, path: string, name: string): Promise<string> {
  const text = await (await fetch(`${url}/${hashPart(path)}.narinfo`)).text();
  return new RegExp(`^${name}: (.*)$`, "m").exec(text)![1];
}

/** A proxy that cuts the first answer for each NAR in the middle, and notes the ranges of pressed ones that are asked for. */
class Cutting implements AsyncDisposable {
  readonly ranges: (string | null)[] = [];
  readonly #seen = new Set<string>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(readonly target: string) {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => this.#pass(request)) as Deno.HttpServer<Deno.NetAddr>;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  async #pass(request: Request): Promise<Response> {
    const { pathname, search } = new URL(request.url);
    const answer = await fetch(this.target + pathname + search, { headers: request.headers });
    if (!pathname.startsWith("/nar/")) return answer;
    if (pathname.endsWith(".nar.zst")) this.ranges.push(request.headers.get("range"));
    const first = !this.#seen.has(pathname);
    this.#seen.add(pathname);
    const bytes = await answer.bytes();
    const { status, headers } = answer;
    return new Response(first ? toReadable(half(bytes)) : bytes, { status, headers });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

async function* half(bytes: Bytes): AsyncGenerator<Bytes, void, void> {
  yield bytes.slice(0, bytes.length >> 1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  throw new Error("cut");
}

for (const name of ["old", "new"] as const) {
  nixTest(
    "pressed: nix copy of Debian packages there and back",
    name,
    async (nix, folder) => {
      const closure = await debianClosure(`${folder}/builder`, "git");
      await using server = await FirnServer.start(`${folder}/store`, ...PRESSING);
      await using tap = new Tap(server.url);
      await new User(nix, `${folder}/pusher`).push(`${server.url}?compression=none`, closure.root);
      await pull(new User(nix, `${folder}/puller`), tap.url, closure, `${folder}/pulled`);
      const nars = tap.sent("GET", /^\/nar\//);
      assert.equal(nars.length, closure.paths.length);
      const pressed = nars.filter(({ path }) => /\.nar\.zst\?narsize=/.test(path));
      assert.ok(pressed.length > closure.paths.length / 2, `${pressed.length} of ${nars.length} are pressed`);
    },
    tool("git", "git"),
    tool("dpkg-query", "dpkg"),
  );

  nixTest("pressed: a download cut in the middle is resumed", name, async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    await using server = await FirnServer.start(`${folder}/store`, ...PRESSING);
    await new User(nix, `${folder}/pusher`).push(`${server.url}?compression=zstd`, closure.root);
    await using proxy = new Cutting(server.url);
    await pull(new User(nix, `${folder}/puller`), proxy.url, closure, `${folder}/pulled`);
    assert.ok(proxy.ranges.some((range) => /^bytes=[1-9]\d*-/.test(range ?? "")), String(proxy.ranges));
  });
}

nixTest(
  "pressed: zstd and libarchive read the files, also of a server that was killed",
  "old",
  async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    const files = new Map<string, string>();
    const check = async (server: FirnServer) => {
      for (const path of closure.paths) {
        const url = await field(server.url, path, "URL");
        // What a frame does not make shorter is offered plain, and there all the same.
        const file = `${server.url}/${/\.nar\.zst\?/.test(url) ? url : url.replace("?", ".nar.zst?")}`;
        for (const command of ["zstd -dc", "bsdcat"]) {
          const script = `set -o pipefail; curl -sSf "$1" | ${command} | sha256sum`;
          const child = new Deno.Command("bash", { args: ["-c", script, "bash", file] });
          const { stdout, stderr, success } = await child.output();
          assert.ok(success, new TextDecoder().decode(stderr));
          const user = new User(nix, `${folder}/hasher`);
          const [hash] = new TextDecoder().decode(stdout).split(" ");
          const want = await user.attempt("nix", "hash", "to-base16", closure.narHashes.get(path)!);
          assert.equal(hash, want.stdout.trim(), `${path} by ${command}`);
        }
        const etag = (await fetch(file, { method: "HEAD" })).headers.get("etag")!;
        assert.equal(files.get(path) ?? etag, etag, "the same file as before");
        files.set(path, etag);
      }
    };
    {
      await using server = await FirnServer.start(`${folder}/store`, ...PRESSING);
      await new User(nix, `${folder}/pusher`).push(`${server.url}?compression=none`, closure.root);
      await check(server);
    } // killed
    await using server = await FirnServer.start(`${folder}/store`);
    await check(server);
  },
  zstd,
  bsdcat,
  tool("curl", "curl"),
);

nixTest(
  "pressed: a server that is killed while it presses leaves nothing wrong",
  "old",
  async (nix, folder) => {
    const closure = await sampler(`${folder}/builder`);
    {
      await using server = await FirnServer.start(`${folder}/store`, ...PRESSING);
      await new User(nix, `${folder}/pusher`).push(`${server.url}?compression=none`, closure.root);
    } // killed, at once
    await using server = await FirnServer.start(`${folder}/store`, ...PRESSING);
    await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
    assert.equal(await server.stop(), 0);
  },
);
