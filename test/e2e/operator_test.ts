// What an operator sees of a real server: a line for each request and no more, figures that add up, health, and the last lines
// of one that is stopped.
import assert from "node:assert/strict";
import { permissions, testNeeding, tool } from "../needs.ts";
import { parseMetrics, prometheus, sumOf } from "../server/watch/_prometheus.ts";
import { fileNar, narFile, narInfo, narInfoName, noise, pathOf } from "../server/_site.ts";
import { until } from "../server/_wire.ts";
import { FirnServer, pause } from "./server.ts";

interface Line {
  readonly method?: string;
  readonly path: string;
  readonly status: number;
  readonly in: number;
  readonly out: number;
  readonly protocol: string;
  readonly address?: string;
  readonly code?: number;
  readonly did?: string;
  readonly error?: string;
  readonly message?: string;
  readonly ended?: string;
}

/** Lines of the log, which all must be JSON; those of requests. */
function requestsOf(server: FirnServer): Line[] {
  const lines = server.log.split("\n").filter((line) => line !== "" && !line.startsWith("firn serves"));
  return lines.map((line) => JSON.parse(line) as Line).filter(({ method }) => method !== undefined);
}

async function withServer(body: (server: FirnServer) => Promise<void>, ...options: string[]): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "firn-operator-" });
  try {
    await using server = await FirnServer.start(folder, ...options);
    await body(server);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const SECRET = "s3cret-in-a-query";

testNeeding(prometheus)({
  name: "operator: one line for each request, as JSON, and figures that add up",
  sanitizeResources: false,
  fn: () =>
    withServer(
      async (server) => {
        const put = async (name: string, body: BodyInit) => {
          const response = await fetch(`${server.url}/${name}`, { method: "PUT", body });
          return `${response.status} ${await response.text()}`;
        };
        const get = async (name: string) => {
          const response = await fetch(`${server.url}/${name}`);
          return `${response.status} ${(await response.bytes()).length}`;
        };
        const path = pathOf("watched");
        const file = await narFile(await fileNar(noise(300_000)));
        const blob = noise(100_000, 2);
        const expected: [string, string, number][] = [];
        const did = async (method: string, name: string, status: number, answer: Promise<string>) => {
          assert.equal(Number((await answer).split(" ")[0]), status, name);
          expected.push([method, `/${name}`.split("?")[0], status]);
        };
        await did("GET", narInfoName(path), 404, get(narInfoName(path)));
        await did("PUT", file.url, 200, put(file.url, file.bytes));
        await did("PUT", narInfoName(path), 200, put(narInfoName(path), narInfo(path, file)));
        for (let i = 0; i < 3; i++) await did("GET", narInfoName(path), 200, get(narInfoName(path))); // two from memory
        await did("GET", file.url, 200, get(file.url));
        for (let i = 0; i < 2; i++) await did("PUT", "blob", 200, put("blob", blob));
        await did(
          "PUT",
          narInfoName(path),
          400,
          put(narInfoName(path), "StorePath: \x1b[31m\r\nforged: 1\n"),
        );
        await did("GET", "nix-cache-info", 200, get(`nix-cache-info?x=${SECRET}`));
        await did("GET", "a%0Ab%1b%5b31m%E2%80%AE", 404, get("a%0Ab%1b%5b31m%E2%80%AE"));
        for (const quiet of ["metrics", "healthz", "readyz"]) assert.match(await get(quiet), /^200/);
        const call = await fetch(`${server.url}/grpc.health.v1.Health/Check`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: '{"service":"none\\n"}',
        });
        assert.equal(call.status, 404);
        await call.body?.cancel();
        await until("all lines", () => requestsOf(server).length > expected.length);
        const lines = requestsOf(server);
        const http = lines.filter(({ protocol }) => protocol === "http");
        const decoded = expected.map(([method, path, status]) => [method, decodeURI(path), status]);
        assert.deepEqual(
          http.map(({ method, path, status }) => [method, path.replaceAll("\\n", "\n"), status].map(String)),
          decoded.map((line) =>
            line.map((part) => String(part).replaceAll("\x1b", "\\u001b").replaceAll("\u202e", "\\u202e"))
          ),
        );
        assert.deepEqual(
          lines.filter(({ protocol }) => protocol === "grpc").map((
            { path, code, error },
          ) => [path, code, error]),
          [["/grpc.health.v1.Health/Check", 5, "MissingError"]],
        );
        for (const { address } of lines) assert.equal(address, "127.0.0.1");
        assert.equal(http[1].in, file.bytes.length);
        assert.match(http[1].did!, /^received [a-z0-9]+\.nar \(\d+ bytes, none\) in \d+ ms$/);
        assert.match(http[2].did!, /^published \/nix\/store\//);
        assert.equal(http[6].out, file.bytes.length);
        const refused = http.find(({ status }) => status === 400)!;
        assert.equal(refused.error, "FormatError");
        assert.doesNotMatch(server.log, /refused /, "a refusal is told with its request, and not once more");
        assert.ok(!server.log.includes(SECRET), "a query is nobody's business");

        const samples = await parseMetrics(await (await fetch(`${server.url}/metrics`)).text());
        const requests = (labels: Record<string, string>) => sumOf(samples, "firn_requests_total", labels);
        assert.equal(requests({ route: "narinfo", method: "GET", status: "200" }), 3);
        assert.equal(requests({ route: "narinfo", method: "GET", status: "404" }), 1);
        assert.equal(requests({ route: "narinfo", method: "PUT", status: "400" }), 1);
        assert.equal(requests({ route: "Health.Check", protocol: "grpc", status: "5" }), 1);
        assert.equal(requests({ route: "metrics" }), 1);
        assert.equal(sumOf(samples, "firn_received_bytes_total", { route: "nar" }), file.bytes.length);
        assert.equal(sumOf(samples, "firn_received_bytes_total", { route: "blob" }), 2 * blob.length);
        assert.equal(sumOf(samples, "firn_stored_total", { kind: "path" }), 1);
        assert.equal(sumOf(samples, "firn_stored_bytes_total", { kind: "blob" }), 2 * blob.length);
        assert.equal(sumOf(samples, "firn_errors_total", { kind: "FormatError" }), 1);
        assert.equal(sumOf(samples, "firn_requests_in_flight"), 1, "this one");
        const offered = sumOf(samples, "firn_store_offered_bytes_total")!;
        const added = sumOf(samples, "firn_store_added_bytes_total")!;
        assert.equal(offered - added, blob.length, "what came twice was stored once");
        for (const sample of samples) {
          for (const label of Object.values(sample.labels)) {
            assert.ok(!label.includes("/"), "a path in a label");
          }
        }
      },
      "--log",
      "json",
    ),
});

testNeeding(tool("nix", "nix-bin"), permissions)({
  name: "operator: a copy by Nix, and one line for each of its requests",
  sanitizeResources: false,
  fn: () =>
    withServer(
      async (server) => {
        const home = await Deno.makeTempDir({ prefix: "firn-operator-home-" });
        try {
          const nix = async (...args: string[]) => {
            const { success, stdout, stderr } = await new Deno.Command("nix", {
              args: ["--store", `${home}/store`, ...args],
              env: {
                HOME: home,
                NIX_CONFIG: "experimental-features = nix-command flakes\nsubstituters =\nsandbox = false\n",
              },
            }).output();
            assert.ok(success, new TextDecoder().decode(stderr));
            return new TextDecoder().decode(stdout).trim();
          };
          await Deno.writeFile(`${home}/file`, noise(50_000, 7));
          const path = await nix("store", "add-file", `${home}/file`);
          await nix("copy", "--to", server.url, path);
          await until("the last line", () =>
            requestsOf(server).some(({ did }) => did?.startsWith("published")));
          await pause(200);
          const lines = requestsOf(server);
          const samples = await parseMetrics(await (await fetch(`${server.url}/metrics`)).text());
          assert.equal(sumOf(samples, "firn_requests_total"), lines.length);
          assert.equal(
            lines.filter(({ method, status }) =>
              method === "PUT" && status === 200
            ).length,
            2,
          );
        } finally {
          await new Deno.Command("chmod", { args: ["-R", "u+w", home] }).output();
          await Deno.remove(home, { recursive: true });
        }
      },
      "--log",
      "json",
    ),
});

testNeeding(permissions)({
  name:
    "operator: the last lines of a server that is stopped are there, and it is alive and not ready until then",
  sanitizeResources: false,
  fn: () =>
    withServer(
      async (server) => {
        const [, host, port] = /^http:\/\/([^:]+):(\d+)$/.exec(server.url)!;
        using upload = await Deno.connect({ hostname: host, port: Number(port) });
        await upload.write(
          new TextEncoder().encode("PUT /blob HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 4\r\n\r\nab"),
        );
        await until("the upload", () => true);
        await pause(200);
        server.child.kill("SIGTERM");
        await until("the stop", () => server.log.includes("SIGTERM"));
        const answers = await Promise.all(["healthz", "readyz", "nix-cache-info"].map(async (path) => {
          const response = await fetch(`${server.url}/${path}`);
          return `${response.status} ${await response.text()}`;
        }));
        assert.deepEqual(answers, [
          "200 alive\n",
          "503 not ready: the server is stopping\n",
          "503 The server is stopping; ask again later\n",
        ]);
        await upload.write(new TextEncoder().encode("cd"));
        assert.equal(await server.ended(), 0);
        const lines = server.log.trimEnd().split("\n");
        assert.match(lines.at(-1)!, /^\S+ stopped$/);
        assert.ok(
          lines.some((line) =>
            / PUT \/blob 200 in=4 out=\d+ ms=[\d.]+ http 127\.0\.0\.1: received blob /.test(line)
          ),
        );
      },
      "--log",
      "text",
    ),
});

testNeeding(permissions)({
  name:
    "operator: figures at an address of their own, and nothing else there; without a log, what was told before",
  sanitizeResources: false,
  fn: () =>
    withServer(
      async (server) => {
        await until("its line", () => server.log.includes("figures on"));
        const address = /figures on (http:\S+)\/metrics/.exec(server.log)![1];
        for (
          const [path, status] of [["metrics", 200], ["healthz", 200], ["readyz", 200], [
            "nix-cache-info",
            404,
          ]]
        ) {
          const response = await fetch(`${address}/${path}`);
          assert.equal(response.status, status, String(path));
          await response.body?.cancel();
        }
        await (await fetch(`${server.url}/nix-cache-info`)).body?.cancel();
        await (await fetch(`${server.url}/nar/x`, { method: "PUT", body: "x" })).body?.cancel();
        await until("the refusal", () => server.log.includes("refused"));
        await pause(100);
        assert.match(server.log, /^\S+ refused PUT \/nar\/x: 400 Cannot take x: /m);
        assert.doesNotMatch(server.log, /nix-cache-info/);
      },
      "--log",
      "off",
      "--metrics-listen",
      "127.0.0.1:0",
    ),
});
