/**
 * Tools that people have at hand, against a running firn: grpcurl and evans, which know no .proto file and ask for reflection,
 * and clients of bare HTTP/2.
 */
import assert from "node:assert/strict";
import { fromHex } from "../../src/bytes/hex.ts";
import {
  client,
  clientPath,
  curl,
  folderTest,
  grpcTest,
  h2load,
  makeCertificate,
  nghttp,
  openssl,
  type Ran,
  run,
} from "./grpc_clients.ts";
import { framed, RawHttp2 } from "./raw_http2.ts";
import { FirnServer } from "./server.ts";

const ERAS = ["snix", "tvix"] as const;

/** The bytes `x86_64-linux`, and their digest: both as base64, as JSON has them. */
const DATA = "eDg2XzY0LWxpbnV4";
const DIGEST = "KOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA=";
/** The digest of nothing that is stored. */
const ABSENT = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";

const SERVICES = [
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
  ...ERAS.flatMap((era) => [
    `${era}.castore.v1.BlobService`,
    `${era}.castore.v1.DirectoryService`,
    `${era}.store.v1.PathInfoService`,
  ]),
];

/** What a client that must succeed wrote. */
function succeeded({ code, stdout, stderr }: Ran): string {
  assert.equal(code, 0, `${stdout}${stderr}`);
  return stdout;
}

const grpcurl = (...args: string[]) => run(clientPath("grpcurl"), ["-max-time", "30", ...args]);

/** What every way to reach a server must give grpcurl: reflection, a Put, a Stat, an error. */
async function useGrpcurl(...way: string[]): Promise<void> {
  assert.deepEqual(succeeded(await grpcurl(...way, "list")).trim().split("\n"), SERVICES);
  for (const era of ERAS) {
    const service = `${era}.castore.v1.BlobService`;
    const described = succeeded(await grpcurl(...way, "describe", service));
    const put =
      `rpc Put ( stream .${era}.castore.v1.BlobChunk ) returns ( .${era}.castore.v1.PutBlobResponse )`;
    assert.ok(described.includes(put), described);
    const call = (method: string, request: unknown) =>
      grpcurl("-d", JSON.stringify(request), ...way, `${service}/${method}`);
    assert.deepEqual(JSON.parse(succeeded(await call("Put", { data: DATA }))), { digest: DIGEST });
    assert.deepEqual(JSON.parse(succeeded(await call("Stat", { digest: DIGEST }))), {});
    const missing = await call("Stat", { digest: ABSENT });
    assert.equal(missing.code, 64 + 5, "NOT_FOUND, as grpcurl's code tells it");
    assert.match(missing.stderr, /Code: NotFound\n\s*Message: .*blake3-BwcH/);
  }
}

grpcTest(
  "grpcurl: list, describe, Put and Stat by reflection",
  (server) => useGrpcurl("-plaintext", server.grpc),
  client("grpcurl"),
);

folderTest(
  "grpcurl: over TLS",
  async (folder) => {
    const { cert, key } = await makeCertificate(folder);
    await using server = await FirnServer.start(
      `${folder}/store`,
      ...["--grpc-tls-cert", cert, "--grpc-tls-key", key],
    );
    await useGrpcurl("-cacert", cert, server.grpc);
    const plain = await grpcurl("-plaintext", "-connect-timeout", "3", server.grpc, "list");
    assert.notEqual(plain.code, 0, "no plain text on a port of TLS");
    const stranger = await grpcurl("-connect-timeout", "3", server.grpc, "list");
    assert.match(stranger.stderr, /certificate/, "nobody trusts it unasked");
    await useGrpcurl("-cacert", cert, server.grpc);
    assert.equal(await server.stop(), 0, server.log);
  },
  client("grpcurl"),
  openssl,
);

folderTest("grpcurl: over a Unix socket, which is gone afterwards", async (folder) => {
  const path = `${folder}/firn.sock`;
  await using server = await FirnServer.start(`${folder}/store`, "--grpc-listen", `unix:${path}`);
  assert.equal(server.grpc, `unix:${path}`);
  await useGrpcurl("-plaintext", "-unix", `unix://${path}`);
  assert.equal(await server.stop(), 0, server.log);
  await assert.rejects(Deno.lstat(path), Deno.errors.NotFound);
}, client("grpcurl"));

/** A call by evans: messages as lines of JSON. */
async function evans(way: string[], method: string, ...messages: unknown[]): Promise<unknown> {
  const input = messages.map((message) => JSON.stringify(message)).join("\n") + "\n";
  const ran = await run(clientPath("evans"), [...way, "-r", "cli", "call", method], input);
  return JSON.parse(succeeded(ran));
}

grpcTest("evans: Put and Read, natively and over the web", async (server) => {
  const [host, port] = server.grpc.split(":");
  const web = new URL(server.url);
  const ways = {
    native: ["--host", host, "--port", port],
    web: ["--web", "--host", web.hostname, "--port", web.port],
  };
  for (const way of Object.values(ways)) {
    for (const era of ERAS) {
      const service = `${era}.castore.v1.BlobService`;
      assert.deepEqual(await evans(way, `${service}.Put`, { data: DATA }), { digest: DIGEST });
      assert.deepEqual(await evans(way, `${service}.Read`, { digest: DIGEST }), { data: DATA });
      // The same in two messages: `x86_64` and `-linux`.
      const halves = [{ data: DATA.slice(0, 8) }, { data: DATA.slice(8) }];
      assert.deepEqual(await evans(way, `${service}.Put`, ...halves), { digest: DIGEST });
      const missing = await run(
        clientPath("evans"),
        [...way, "-r", "cli", "call", `${service}.Stat`],
        JSON.stringify({ digest: ABSENT }),
      );
      assert.notEqual(missing.code, 0);
      assert.match(missing.stderr, /NotFound/);
    }
  }
}, client("evans"));

const BYTES = new TextEncoder().encode("x86_64-linux");
const BYTES_DIGEST = fromHex("28e337fc81c4c7b61f227027949a4012561ecead12c67f5f473ef1b8297035f0");
const HEADERS = ["-H", "content-type: application/grpc", "-H", "te: trailers"];

grpcTest("curl: a call made by hand", async (server, folder) => {
  const call = async (method: string, body: Uint8Array, era: string) => {
    await Deno.writeFile(`${folder}/body`, body);
    const url = `http://${server.grpc}/${era}.castore.v1.BlobService/${method}`;
    succeeded(
      await run("curl", [
        ...["-sS", "--http2-prior-knowledge", "--max-time", "30", ...HEADERS],
        ...["--data-binary", `@${folder}/body`, "-D", `${folder}/head`, "-o", `${folder}/out`, url],
      ]),
    );
    return { head: await Deno.readTextFile(`${folder}/head`), out: await Deno.readFile(`${folder}/out`) };
  };
  for (const era of ERAS) {
    const put = await call("Put", framed(BYTES), era);
    assert.match(put.head, /^HTTP\/2 200 \r\n/);
    assert.match(put.head, /^content-type: application\/grpc/m);
    assert.match(put.head, /\r\n\r\ngrpc-status: 0\r\n/, "in the trailers");
    assert.deepEqual(put.out, framed(BYTES_DIGEST));
    const read = await call("Read", framed(BYTES_DIGEST), era);
    assert.deepEqual(read.out, framed(BYTES));
    const short = await call("Read", framed(BYTES_DIGEST.subarray(1)), era);
    assert.match(short.head, /^grpc-status: 3\r$/m);
    assert.match(short.head, /^firn-error: FormatError\r$/m);
    const unknown = await call("Nothing", framed(BYTES), era);
    assert.match(unknown.head, /^HTTP\/2 200 \r\n/);
    assert.match(unknown.head, /^grpc-status: 12\r$/m);
  }
  const page = await run("curl", ["-sS", "--http2-prior-knowledge", "-i", `http://${server.grpc}/`]);
  assert.match(succeeded(page), /^HTTP\/2 404 /);
}, curl);

grpcTest("curl: HTTP/1.1 on the port of native gRPC ends at once", async (server) => {
  const { code } = await run("curl", ["-sS", "--http1.1", "--max-time", "8", `http://${server.grpc}/`]);
  assert.notEqual(code, 0);
  assert.notEqual(code, 28, "before curl lost patience");
}, curl);

grpcTest(
  "nghttp and h2load: calls made by hand, one and thousands",
  async (server, folder) => {
    const url = (method: string) => `http://${server.grpc}/snix.castore.v1.BlobService/${method}`;
    await Deno.writeFile(`${folder}/put`, framed(BYTES));
    await Deno.writeFile(`${folder}/stat`, framed(BYTES_DIGEST));
    const put = succeeded(
      await run("nghttp", ["-nv", "--no-dep", "-d", `${folder}/put`, ...HEADERS, url("Put")]),
    );
    assert.match(put, /:status: 200/);
    assert.match(put, /grpc-status: 0/);
    for (const body of ["put", "stat"]) {
      const method = body === "put" ? "Put" : "Stat";
      const load = succeeded(
        await run("h2load", [
          ...["-n", "2000", "-c", "20", "-m", "50", "-d", `${folder}/${body}`, ...HEADERS, url(method)],
        ]),
      );
      assert.match(load, /2000 succeeded, 0 failed, 0 errored, 0 timeout/, load);
      assert.match(load, /status codes: 2000 2xx/, load);
    }
    assert.doesNotMatch(server.log, /refused|failed/);
  },
  nghttp,
  h2load,
);

grpcTest("bare HTTP/2: the server keeps a deadline by itself", async (server) => {
  for (const era of ERAS) {
    using client = await RawHttp2.connect(server.grpc);
    const header: [string, string][] = [["grpc-timeout", "400m"]];
    const path = `/${era}.castore.v1.BlobService/Put`;
    const { id, frames } = client.call(path, framed(BYTES), { end: false, header });
    const started = performance.now();
    await client.write(frames);
    assert.equal((await client.answers(1)).get(id)?.status, "4", "DEADLINE_EXCEEDED");
    const waited = performance.now() - started;
    assert.ok(waited > 300 && waited < 10_000, `${waited} ms`);
    const stat = client.call(`/${era}.castore.v1.BlobService/Stat`, framed(BYTES_DIGEST));
    await client.write(stat.frames);
    assert.equal((await client.answers(1)).get(stat.id)?.status, "5", "nothing was put");
  }
});
