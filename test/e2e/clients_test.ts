/** Clients and operators that are not alone, or not polite: at the same time, cut off, or stopping the server. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { type CachedPath, CacheFolder, field, hashPart, put } from "./cache_folder.ts";
import { manyPaths, sampler } from "./closures.ts";
import { nixTest, outcomeOf, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { FirnServer, pause, spawnServe, within } from "./server.ts";

for (const name of ["old", "new"] as const) {
  nixTest("three clients copy the same closure at the same time", name, async (nix, folder) => {
    const closure = await manyPaths(`${folder}/builder`, 200, 20_000);
    await using server = await FirnServer.start(`${folder}/store`);
    const copies = await Promise.all(
      ["zstd", "zstd", "none"].map((compression, index) =>
        new User(nix, `${folder}/pusher ${index}`).attempt(
          ...["nix", "copy", "--to", `${server.url}?compression=${compression}`, closure.root] as const,
        )
      ),
    );
    for (const { code, stderr } of copies) assert.equal(code, 0, stderr);
    await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
  });
}

/** A PUT over a bare connection, whose body is sent when the test likes. */
class SlowPut implements AsyncDisposable {
  private constructor(readonly connection: Deno.TcpConn, readonly body: Uint8Array) {}

  /** Send the head, which promises the whole body. */
  static async begin(server: FirnServer, path: string, body: Uint8Array): Promise<SlowPut> {
    const { hostname, port } = new URL(server.url);
    const upload = new SlowPut(await Deno.connect({ hostname, port: Number(port) }), body);
    await upload.#write(new TextEncoder().encode(
      `PUT /${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nContent-Length: ${body.length}\r\n\r\n`,
    ));
    return upload;
  }

  /** Send these bytes of the body. */
  async send(from: number, to: number): Promise<void> {
    await this.#write(this.body.subarray(from, to));
  }

  async #write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) sent += await this.connection.write(bytes.subarray(sent));
  }

  /** The status of the answer. @throws {Error} if the connection ends before one */
  async status(): Promise<number> {
    const buffer = new Uint8Array(4096);
    let answer = "";
    while (!answer.includes("\r\n\r\n")) {
      const size = await this.connection.read(buffer);
      if (size === null) {
        throw new Error(`Cannot read an answer: the connection ended after ${JSON.stringify(answer)}`);
      }
      answer += new TextDecoder().decode(buffer.subarray(0, size));
    }
    return Number(answer.split(" ", 2)[1]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.connection.close();
    return Promise.resolve();
  }
}

/** The path of the sampler with the largest NAR. */
function largest(cache: CacheFolder): CachedPath {
  return cache.paths.find((path) => path.storePath.endsWith("sampler-large"))!;
}

nixTest("a client that hangs up in the middle of an upload leaves nothing", "new", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "none");
  const path = largest(cache);
  const nar = await cache.nar(path);
  await using server = await FirnServer.start(`${folder}/store`);
  const status = async (name: string) => (await fetch(`${server.url}/${name}`, { method: "HEAD" })).status;

  for (const share of [0, 0.001, 0.5, 0.999]) {
    {
      await using upload = await SlowPut.begin(server, path.url, nar);
      await upload.send(0, Math.floor(nar.length * share));
      await pause(50);
    }
    await pause(50);
    assert.equal(await status(path.url), 404, `after ${share} of the NAR`);
    const early = await put(`${server.url}/${path.narInfoName}`, path.narInfo);
    assert.ok(early.status >= 400 && early.status < 500, `${early.status} ${early.text}`);
  }
  assert.ok((await put(`${server.url}/${path.url}`, nar)).status < 300);
  assert.equal(await status(path.url), 200);
  assert.ok((await put(`${server.url}/${path.narInfoName}`, path.narInfo)).status < 300);
  assert.equal(await server.stop(), 0, server.log);
});

nixTest("SIGTERM and SIGINT finish an upload under way, then end with 0", "new", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  const cache = await CacheFolder.write(nix, closure, `${folder}/cache`, "none");
  const path = largest(cache);
  const nar = await cache.nar(path);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    const store = `${folder}/store ${signal}`;
    await using server = await FirnServer.start(store);
    // A connection that is kept alive and idle holds nothing up.
    await (await fetch(`${server.url}/nix-cache-info`)).text();
    await using upload = await SlowPut.begin(server, path.url, nar);
    await upload.send(0, nar.length / 2);
    await pause(200);
    const code = server.stop(signal);
    await pause(500);
    await upload.send(nar.length / 2, nar.length);
    const status = await upload.status();
    assert.ok(status < 300, `${status} ${server.log}`);
    assert.equal(await code, 0, server.log);

    await using again = await FirnServer.start(store);
    assert.equal((await fetch(`${again.url}/${path.url}`, { method: "HEAD" })).status, 200);
    assert.ok((await put(`${again.url}/${path.narInfoName}`, path.narInfo)).status < 300);
  }
});

nixTest("SIGTERM finishes a download under way, then ends with 0", "new", async (nix, folder) => {
  // More than the buffers between the two ends hold.
  const closure = await manyPaths(`${folder}/builder`, 1, 40_000_000);
  await using server = await FirnServer.start(`${folder}/store`);
  await new User(nix, `${folder}/pusher`).push(`${server.url}?compression=none`, closure.root);
  const narInfo = await (await fetch(`${server.url}/${hashPart(closure.paths[0])}.narinfo`)).text();
  const download = await fetch(`${server.url}/${field(narInfo, "URL")}`);
  const digest = createHash("sha256");
  let code: Promise<number> | undefined;
  for await (const bytes of download.body!) {
    digest.update(bytes);
    if (!code) {
      code = server.stop();
      await pause(500);
    }
  }
  const hash = await new User(nix, `${folder}/reader`).nixCommand(
    ...["hash", "to-base32", "--type", "sha256", digest.digest("hex")],
  );
  assert.equal(`sha256:${hash.trim()}`, closure.narHashes.get(closure.paths[0]));
  assert.equal(await code, 0, server.log);
});

nixTest("a second server on the same store says so and ends", "new", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  const store = `${folder}/store`;
  await using server = await FirnServer.start(store);
  const child = spawnServe(store);
  const outcome = await within(20_000, outcomeOf(child));
  if (!outcome) child.kill("SIGKILL");
  assert.ok(outcome, "the second server ends");
  assert.notEqual(outcome.code, 0);
  assert.ok(outcome.stderr.includes(store), `the message names the store: ${outcome.stderr}`);
  assert.doesNotMatch(outcome.stderr, /^\s+at /m, "a message, not a stack");
  assert.doesNotMatch(outcome.stdout, /http:/);

  await new User(nix, `${folder}/pusher`).push(`${server.url}?compression=none`, closure.root);
  await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
  assert.equal(await server.stop(), 0, server.log);
  await using next = await FirnServer.start(store);
  await pull(new User(nix, `${folder}/second puller`), next.url, closure, `${folder}/pulled again`);
});
