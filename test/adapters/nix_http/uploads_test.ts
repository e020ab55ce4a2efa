// What is written to a firn server: bodies of a bounded length, servers that lie, and failures that pass.
import assert from "node:assert/strict";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { FirnUploads, LEAST_BODY } from "../../../src/adapters/nix_http/firn_uploads.ts";
import { pushPaths } from "../../../src/adapters/nix_http/push_paths.ts";
import { RefusedError } from "../../../src/adapters/nix_http/refused_error.ts";
import type { RemoteOptions } from "../../../src/adapters/nix_http/request.ts";
import { parseRetryAfter, retrying } from "../../../src/adapters/nix_http/retries.ts";
import { type Bytes, concat, fromText } from "../../../src/bytes/bytes.ts";
import { directoryDigest, directoryOf, encodeDirectory } from "../../../src/castore/directory.ts";
import { chunkKey } from "../../../src/castore/layout.ts";
import { FormatError, RemoteError } from "../../../src/errors.ts";
import { blake3 } from "../../../src/hash/blake3.ts";
import type { PathInfo } from "../../../src/store/path_info.ts";
import { servicesOver } from "../../../src/store/services.ts";
import { narFile, noise, pathOf, Site, treeNar } from "../../server/_site.ts";
import { permissions, testNeeding } from "../../needs.ts";

const test = testNeeding(permissions);

type Answer = (request: Request) => Response | Promise<Response>;

interface Asked {
  readonly path: string;
  readonly length: number;
  readonly encoding: string | null;
}

/** A remote that a function answers for, and what it was asked. */
function remoteOf(answer: Answer, options: Partial<RemoteOptions> = {}): RemoteOptions & { asked: Asked[] } {
  const asked: Asked[] = [];
  return {
    address: "http://firn.test",
    asked,
    fetch: async (input, init) => {
      const request = new Request(input as string, init);
      const { pathname, search } = new URL(request.url);
      const length = init?.body instanceof Uint8Array ? init.body.length : 0;
      asked.push({
        path: `${request.method} ${pathname}${search}`,
        length,
        encoding: request.headers.get("content-encoding"),
      });
      return await answer(request);
    },
    ...options,
  };
}

/** Waits that take no time, and how long they would have been. */
function impatient(patienceMs: number): { retry: NonNullable<RemoteOptions["retry"]>; waits: number[] } {
  const waits: number[] = [];
  const retry = { patienceMs, random: () => 1, wait: (ms: number) => Promise.resolve(void waits.push(ms)) };
  return { retry, waits };
}

test("uploads: what is longer than a body goes in pieces, and arrives whole", async () => {
  await using site = await Site.open("memory:", { maxMessageBytes: 1024 * 1024 });
  const remote = remoteOf((request) => site.app.fetch(request));
  const uploads = new FirnUploads(remote, { bodyBytes: LEAST_BODY });
  const links = (from: number) =>
    directoryOf(Array.from({ length: 2000 }, (_, i) => ({
      name: fromText(`link${from}-${i}`),
      node: { type: "symlink", target: fromText("target".repeat(200)) },
    })));
  const [one, two] = [links(1), links(2)];
  const root = directoryOf([one, two].map((below, i) => ({
    name: fromText(`sub${i}`),
    node: { type: "directory", digest: directoryDigest(below), size: 2000n },
  })));
  await uploads.writeClosure([one, two, root].map(encodeDirectory));
  assert.equal(
    (await Array.fromAsync(site.services.directories.getClosure(directoryDigest(root)))).length,
    3,
  );
  assert.equal(remote.asked.at(-1)!.path, "PUT /directory?joined");

  // More chunks than a list in one body names: they are joined in parts first.
  const chunks = Array.from({ length: 30_000 }, (_, i) => fromText(`${i};`));
  for (let at = 0; at < chunks.length; at += 10_000) await uploads.writeBlobs(chunks.slice(at, at + 10_000));
  const whole = concat(chunks);
  await uploads.joinBlob(
    blake3(whole),
    chunks.map((chunk) => ({ digest: blake3(chunk), size: chunk.length })),
  );
  assert.deepEqual(await (await site.services.blobs.open(blake3(whole)))!.bytes(), whole);
  assert.equal(remote.asked.filter(({ path }) => path === "PUT /blob?joined").length, 2);

  const digests = Array.from({ length: 50_000 }, (_, i) => blake3(fromText(`absent ${i}`)));
  assert.equal((await uploads.missingBlobs(digests)).length, digests.length);
  assert.ok(remote.asked.every(({ length }) => length <= LEAST_BODY), "no body is too long");
  assert.ok(remote.asked.some(({ length }) => length > LEAST_BODY - 5000), "and they are filled");
});

test("uploads: bodies go compressed where that is shorter, and plain from then on where it is refused", async () => {
  await using site = await Site.open("memory:");
  let takes = true;
  const remote = remoteOf((request) =>
    !takes && request.headers.has("content-encoding")
      ? new Response("Cannot take that\n", { status: 415 })
      : site.app.fetch(request)
  );
  const run = async (body: Bytes) =>
    new Uint8Array(
      await new Response(new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"))).arrayBuffer(),
    );
  const uploads = new FirnUploads(remote, { compress: { encoding: "gzip", run } });
  await uploads.writeBlobs([fromText("again and ".repeat(1000))]);
  await uploads.writeBlobs([noise(1000)]);
  takes = false;
  await uploads.writeBlobs([fromText("and again ".repeat(1000))]);
  await uploads.writeBlobs([fromText("and so on ".repeat(1000))]);
  assert.deepEqual(remote.asked.map(({ encoding }) => encoding), ["gzip", null, "gzip", null, null]);
  for (const text of ["again and ", "and again ", "and so on "]) {
    assert.ok(await site.services.blobs.has(blake3(fromText(text.repeat(1000)))), text);
  }
});

test("uploads: a server that names what was not asked for, or goes on and on, is not believed", async () => {
  const [a, b, c] = ["a", "b", "c"].map((text) => blake3(fromText(text)));
  const answers: [Bytes, RegExp][] = [
    [c, /what was not asked for/],
    [concat([b, a]), /what was not asked for/],
    [concat([a, a]), /what was not asked for/],
    [concat([a, b, c]), /more than it was asked for/],
    [a.subarray(1), /cut off/],
  ];
  for (const [answer, why] of answers) {
    const uploads = new FirnUploads(remoteOf(() => new Response(answer)));
    await assert.rejects(
      uploads.missingBlobs([a, b]),
      (error) => error instanceof FormatError && why.test(error.message),
    );
  }
  let pulled = 0;
  let cancelled = false;
  const endless = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => {
          pulled++;
          controller.enqueue(new Uint8Array(1024));
        },
        cancel: () => void (cancelled = true),
      }),
    );
  const uploads = new FirnUploads(remoteOf(endless));
  await assert.rejects(uploads.missingBlobs([a]), FormatError);
  assert.ok(cancelled && pulled < 10, `${pulled} pieces were read`);
  [pulled, cancelled] = [0, false];
  await uploads.writeBlobs([fromText("a")]); // it was acknowledged, whatever else is said
  assert.ok(cancelled && pulled < 10, `${pulled} pieces were read`);
});

test("uploads: what may pass is asked again, in growing time, and what Retry-After says is waited", async () => {
  const failures: (() => Response)[] = [
    () => new Response("busy\n", { status: 503 }),
    () => {
      throw new TypeError("connection reset");
    },
    () => new Response("slower\n", { status: 429, headers: { "retry-after": "7" } }),
    () => new Response(new ReadableStream({ start: (controller) => controller.error(new Error("cut off")) })),
  ];
  const { retry, waits } = impatient(120_000);
  const told: string[] = [];
  const remote = remoteOf(() => failures.shift()?.() ?? new Response(""), {
    retry: { ...retry, waiting: (error) => told.push(error.message) },
  });
  assert.deepEqual(await new FirnUploads(remote).missingBlobs([blake3(fromText("a"))]), []);
  assert.deepEqual(waits, [250, 500, 7000, 2000]);
  assert.match(told.join("\n"), /503 busy\n.*connection reset.*\n.*429 slower\n.*broke \(cut off\)/);
});

test("uploads: what will not pass is not asked again, nor is anything when patience ends", async () => {
  for (const status of [400, 401, 403, 404, 409, 413, 501, 507]) {
    const { retry, waits } = impatient(120_000);
    const remote = remoteOf(() => new Response("no\n", { status }), { retry });
    await assert.rejects(
      new FirnUploads(remote).writeBlobs([fromText("a")]),
      (error) => error instanceof RefusedError && error.status === status && error.reason === "no",
    );
    assert.deepEqual([waits, remote.asked.length], [[], 1], `${status}`);
  }
  for (const headers of [{}, { "retry-after": "600" }] as Record<string, string>[]) {
    const { retry, waits } = impatient(headers["retry-after"] ? 120_000 : 0);
    const remote = remoteOf(() => new Response("busy\n", { status: 503, headers }), { retry });
    await assert.rejects(new FirnUploads(remote).writeBlobs([fromText("a")]), /503 busy/);
    assert.deepEqual([waits, remote.asked.length], [[], 1]);
  }
});

test("uploads: waiting ends when it is interrupted", async () => {
  const stopping = new AbortController();
  const reason = new Error("stopped");
  const asking = retrying(
    {
      signal: stopping.signal,
      retry: { patienceMs: 60_000, random: () => 1, waiting: () => stopping.abort(reason) },
    },
    () => Promise.reject(new RemoteError("http://firn.test", "down")),
  );
  await assert.rejects(asking, (error) => error === reason);
});

Deno.test("uploads: Retry-After is seconds, or a date", () => {
  const now = Date.UTC(2026, 0, 1);
  assert.equal(parseRetryAfter("120", now), 120_000);
  assert.equal(parseRetryAfter(new Date(now + 5000).toUTCString(), now), 5000);
  assert.equal(parseRetryAfter(new Date(now - 5000).toUTCString(), now), 0);
  assert.equal(parseRetryAfter("soon", now), undefined);
  assert.equal(parseRetryAfter(null, now), undefined);
});

test("uploads: an address that leads elsewhere is told, and the token goes with reads as well", async () => {
  const tokens: (string | null)[] = [];
  const remote = remoteOf((request) => {
    tokens.push(request.headers.get("authorization"));
    return new Response(null, { status: 301, headers: { location: "https://other.test/" } });
  }, { stay: true, token: "secret" });
  await assert.rejects(
    new FirnUploads(remote).missingPaths(["0".repeat(32)]),
    /it leads to https:\/\/other\.test\/; use that address/,
  );
  assert.deepEqual(tokens, ["Bearer secret"]);
});

/** A path in a store of its own, to be sent. */
async function published(
  name: string,
  tree: Parameters<typeof treeNar>[0],
): Promise<{ from: Site; info: PathInfo }> {
  const from = await Site.open("memory:");
  const base = pathOf(name);
  await from.publish(base, await narFile(await treeNar(tree), "none"));
  return { from, info: (await from.services.pathInfos.get(base.slice(0, 32)))! };
}

test("pushing: what the server loses meanwhile is sent again, and one that goes on losing is given up", async () => {
  const { from, info } = await published("lost", { a: "some", b: noise(700_000), c: { d: "deep" } });
  const source = from.services;
  const paths = [{ ...info, open: () => Promise.resolve({ info, source }) }];
  const lost = [chunkKey(blake3(fromText("some"))), chunkKey(blake3(fromText("deep")))];
  for (const forgetful of [false, true]) {
    const bytes = openMemory();
    const names = openMemory();
    await using to = await Site.open("memory:", servicesOver({ names, bytes }));
    let infos = 0;
    const remote = remoteOf(async (request) => {
      if (new URL(request.url).pathname === "/path-info" && (forgetful || infos++ === 0)) {
        for (const key of lost) await bytes.delete(key);
      }
      return await to.app.fetch(request);
    });
    const counted = { sent: 0, shared: 0 };
    const pushing = pushPaths(paths, new FirnUploads(remote), {
      count: (bytes, shared) => counted[shared ? "shared" : "sent"] += bytes,
    });
    if (forgetful) {
      await assert.rejects(pushing, (error) => error instanceof RefusedError && error.status === 400);
      assert.ok(remote.asked.length < 40, `${remote.asked.length} requests`);
    } else {
      assert.deepEqual((await pushing).sent.map(({ name }) => name), ["lost"]);
      assert.deepEqual(counted, { sent: 700_008 + 8, shared: 0 });
    }
    assert.equal(await names.get(`path/${info.storePath.hashPart}`) !== undefined, !forgetful);
  }
  await from[Symbol.asyncDispose]();
});

test("pushing: a server that says it has what it has not ends with its refusal", async () => {
  const { from, info } = await published("lied", { a: "some" });
  await using to = await Site.open("memory:");
  const remote = remoteOf((request) =>
    new URL(request.url).pathname === "/blob/missing" ? new Response("") : to.app.fetch(request)
  );
  const paths = [{ ...info, open: () => Promise.resolve({ info, source: from.services }) }];
  await assert.rejects(pushPaths(paths, new FirnUploads(remote)), /400 Cannot find blob/);
  assert.ok(remote.asked.length < 20, `${remote.asked.length} requests`);
  await from[Symbol.asyncDispose]();
});

test("pushing: a path that is given twice is sent once", async () => {
  const { from, info } = await published("twice", { a: "some" });
  await using to = await Site.open("memory:");
  const remote = remoteOf((request) => to.app.fetch(request));
  const path = { ...info, open: () => Promise.resolve({ info, source: from.services }) };
  const { sent, there, bytes } = await pushPaths([path, path], new FirnUploads(remote));
  assert.deepEqual([sent.length, there.length, bytes], [1, 0, 4]);
  const again = await pushPaths([path, path], new FirnUploads(remote));
  assert.deepEqual([again.sent.length, again.there.length, again.bytes], [0, 1, 0]);
  await from[Symbol.asyncDispose]();
});
