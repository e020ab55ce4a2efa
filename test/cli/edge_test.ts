/** The endpoint: what it reads of the environment, and that it is opened once, when it is asked, and again when that failed. */
import assert from "node:assert/strict";
import { Endpoint } from "../../src/cli/edge.ts";
import { readEdgeOptions } from "../../src/cli/edge_options.ts";
import { UsageError } from "../../src/cli/usage.ts";
import type { Server } from "../../src/server/app.ts";

const server = { fetch: (request: Request) => new Response(`served ${request.method}`) } as unknown as Server;
const ask = (endpoint: Endpoint, init?: RequestInit) =>
  endpoint.fetch(new Request("http://firn.test/x", init));

Deno.test("endpoint: many first requests open it once, and later ones are answered at once", async () => {
  let opened = 0;
  const endpoint = new Endpoint(async () => {
    opened++;
    await Promise.resolve();
    return server;
  }, () => {});
  assert.equal(opened, 0);
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(endpoint)));
  for (const answer of answers) assert.equal(await answer.text(), "served GET");
  assert.ok(ask(endpoint) instanceof Response, "not a promise");
  assert.equal(opened, 1);
});

Deno.test("endpoint: what is not configured is told the operator, not the client", async () => {
  const lines: string[] = [];
  const endpoint = new Endpoint(
    () => Promise.reject(new UsageError("Cannot use key 1 of FIRN_SIGNING_KEYS: want <name>:<base64>")),
    (line) => lines.push(line),
  );
  const put = await ask(endpoint, { method: "PUT", body: "x" });
  assert.deepEqual([put.status, put.headers.get("cache-control")], [500, "no-store"]);
  assert.equal(await put.text(), "This endpoint is not configured: its log says what is missing\n");
  assert.deepEqual(lines, ["Cannot use key 1 of FIRN_SIGNING_KEYS: want <name>:<base64>"]);
});

Deno.test("endpoint: a store that is away is opened by a later request, and not by all of them", async () => {
  let opened = 0;
  const endpoint = new Endpoint(
    () => ++opened === 1 ? Promise.reject(new Error("away")) : Promise.resolve(server),
    () => {},
  );
  const first = await ask(endpoint);
  assert.deepEqual([first.status, first.headers.get("retry-after")], [503, "5"]);
  assert.doesNotMatch(await first.text(), /away/);
  assert.equal((await ask(endpoint)).status, 503);
  assert.equal(opened, 1, "one failure answers for a moment");
  for (let status = 503; status === 503;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const answer = await ask(endpoint);
    status = answer.status;
    await answer.body?.cancel();
  }
  assert.equal(opened, 2);
});

const options = (env: Record<string, string>) => readEdgeOptions((name) => env[name]);

Deno.test("endpoint: its store is the platform's, and no thread hashes, unless the environment says so", () => {
  const { store, hashWorkers, signingKeys } = options({});
  assert.deepEqual({ store, hashWorkers, signingKeys }, { store: "kv:", hashWorkers: 0, signingKeys: [] });
  assert.equal(options({ FIRN_STORE: "" }).store, "kv:");
  assert.equal(options({ FIRN_STORE: "kv+https://kv.example" }).store, "kv+https://kv.example");
  assert.deepEqual(options({ FIRN_SIGNING_KEYS: " a:b\n c:d " }).signingKeys, ["a:b", "c:d"]);
  assert.equal(options({}).narCompression, "zstd");
  assert.equal(options({ FIRN_NAR_COMPRESSION: "none" }).narCompression, "none");
  assert.equal(options({ FIRN_HASH_WORKERS: "2", FIRN_PRIORITY: "7" }).priority, 7);
});

Deno.test("endpoint: what is about listening is not looked at, and what a disk keeps is refused", () => {
  assert.equal(options({ FIRN_LISTEN: "nonsense", FIRN_GRPC_TLS_CERT: "x", FIRN_NEAR: "y" }).store, "kv:");
  for (const store of ["./firn-store", "/srv/firn", "file:///srv/firn", "grpc+http://host:1"]) {
    assert.throws(
      () => options({ FIRN_STORE: store }),
      /^UsageError: Cannot open the store .* at an endpoint/,
    );
  }
  assert.throws(() => options({ FIRN_PACKS: "/srv/packs" }), /at an endpoint: want FIRN_PACKS=s3/);
  assert.throws(() => options({ FIRN_PRIORITY: "high" }), UsageError);
});
