// Every remote call, by every protocol, by everybody who may come.
import assert from "node:assert/strict";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createFetchClient, type UniversalClientFn } from "@connectrpc/connect/protocol";
import { createTransport as createConnect } from "@connectrpc/connect/protocol-connect";
import { createTransport as createGrpc } from "@connectrpc/connect/protocol-grpc";
import { createTransport as createGrpcWeb } from "@connectrpc/connect/protocol-grpc-web";
import { toNixBase32 } from "../../../src/bytes/nixbase32.ts";
import { Health } from "../../../src/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../../src/gen/grpc/reflection/v1/reflection_pb.ts";
import type { Peer } from "../../../src/server/peer.ts";
import { type Era, SNIX, TVIX } from "../../../src/server/grpc/era.ts";
import { all, inMemory, stream } from "../grpc/_calls.ts";
import { badTokens, type GuardedSite, guardedSite, tokenFor } from "./_tokens.ts";

const FAR: Peer = { address: "192.0.2.9", local: false };
const PROTOCOLS = { grpc: createGrpc, "grpc-web": createGrpcWeb, connect: createConnect };
type Protocol = keyof typeof PROTOCOLS;

/** A transport that sends this Authorization along: native calls to `rpc`, the others through `fetch`. */
function transportTo(site: GuardedSite, protocol: Protocol, authorization?: string, peer = FAR): Transport {
  const overFetch = createFetchClient((input, init) => {
    const request = new Request(input, { ...init, ...(init?.body && { duplex: "half" }) } as RequestInit);
    return Promise.resolve(site.server.fetch(request, peer));
  });
  const native: UniversalClientFn = inMemory((request) => site.server.rpc(request, peer));
  return PROTOCOLS[protocol]({
    httpClient: protocol === "grpc" ? native : overFetch,
    baseUrl: "http://cache.test",
    useBinaryFormat: true,
    interceptors: authorization === undefined ? [] : [(next) => (request) => {
      request.header.set("authorization", authorization);
      return next(request);
    }],
    acceptCompression: [],
    sendCompression: null,
    compressMinBytes: 1024,
    readMaxBytes: 2 ** 26,
    writeMaxBytes: 2 ** 26,
  });
}

const DIGEST = new Uint8Array(32);
const HASH_PART = new Uint8Array(20);

/** Calls, what each needs, and the code it ends with for who may. */
function calls(
  era: Era,
  transport: Transport,
): [name: string, needs: "read" | "write", code: Code | undefined, () => Promise<unknown>][] {
  const blobs = createClient(era.blobService, transport);
  const directories = createClient(era.directoryService, transport);
  const paths = createClient(era.pathInfoService, transport);
  return [
    ["Stat", "read", Code.NotFound, () => blobs.stat({ digest: DIGEST })],
    ["Read", "read", Code.NotFound, () => all(blobs.read({ digest: DIGEST }))],
    ["Blob Put", "write", undefined, () => blobs.put(stream({ data: new Uint8Array(3) }))],
    [
      "Directory Get",
      "read",
      Code.NotFound,
      () => all(directories.get({ byWhat: { case: "digest", value: DIGEST } })),
    ],
    ["Directory Put", "write", undefined, () => directories.put(stream({}))],
    [
      "PathInfo Get",
      "read",
      Code.NotFound,
      () => paths.get({ byWhat: { case: "byOutputHash", value: HASH_PART } }),
    ],
    ["List", "read", undefined, () => all(paths.list({}))],
    ["PathInfo Put", "write", Code.InvalidArgument, () => paths.put({})],
    ["CalculateNAR", "write", Code.InvalidArgument, () => paths.calculateNAR({})],
  ];
}

async function codeOf(
  call: Promise<unknown>,
): Promise<{ code: Code | undefined; message: string; error?: ConnectError }> {
  try {
    await call;
    return { code: undefined, message: "" };
  } catch (cause) {
    const error = ConnectError.from(cause);
    return { code: error.code, message: error.rawMessage, error };
  }
}

const RIGHTS = ["read", "write", "admin"] as const;

for (const protocol of Object.keys(PROTOCOLS) as Protocol[]) {
  for (const era of [SNIX, TVIX]) {
    Deno.test(`calls of ${era.name} by ${protocol} are let in by the right they need`, async () => {
      for (const right of RIGHTS) {
        const site = guardedSite();
        const token = await tokenFor({ name: `only ${right}`, rights: [right] });
        for (const authorization of [`Bearer ${token}`, `Basic ${btoa(`anybody:${token}`)}`]) {
          for (
            const [name, needs, expected, call] of calls(era, transportTo(site, protocol, authorization))
          ) {
            const { code, message } = await codeOf(call());
            const may = right === needs || (right === "write" && needs === "read");
            if (may) assert.equal(code, expected, `${name} with ${right}: ${message}`);
            else {
              assert.equal(code, Code.PermissionDenied, `${name} with ${right}: ${message}`);
              assert.match(
                message,
                new RegExp(`^Cannot ${needs}: the token "only ${right}" .* needs the right to ${needs}$`),
              );
            }
          }
        }
      }
    });

    Deno.test(`calls of ${era.name} by ${protocol} without a good token are UNAUTHENTICATED`, async () => {
      const site = guardedSite();
      for (const [name, , , call] of calls(era, transportTo(site, protocol))) {
        const { code, message, error } = await codeOf(call());
        assert.equal(code, Code.Unauthenticated, `${name}: ${message}`);
        assert.match(message, /^Cannot let you (?:read|write) without a token/);
        assert.match(error!.metadata.get("www-authenticate") ?? "none", /^Bearer realm="firn"/);
      }
      for (const [kind, [token, why]] of Object.entries(await badTokens())) {
        for (const [name, , , call] of calls(era, transportTo(site, protocol, `Bearer ${token}`))) {
          const { code, message } = await codeOf(call());
          assert.equal(code, Code.Unauthenticated, `${name} with ${kind}: ${message}`);
          assert.match(message, why);
        }
        assert.ok(token.length < 9 || !site.log.some((line) => line.includes(token)), kind);
      }
      const basic = await codeOf(
        createClient(era.blobService, transportTo(site, protocol, "Basic !")).stat({ digest: DIGEST }),
      );
      assert.equal(basic.code, Code.Unauthenticated);
    });

    Deno.test(`calls of ${era.name} by ${protocol} read freely where reading is open`, async () => {
      const site = guardedSite({ private: false });
      for (const [name, needs, expected, call] of calls(era, transportTo(site, protocol))) {
        const { code, message } = await codeOf(call());
        assert.equal(code, needs === "read" ? expected : Code.Unauthenticated, `${name}: ${message}`);
      }
    });

    Deno.test(`of ${era.name} by ${protocol} a pattern reaches the path infos of its names`, async () => {
      const site = guardedSite();
      const write = await tokenFor({ rights: ["write"] });
      const free = transportTo(site, protocol, `Bearer ${write}`);
      const { digest } = await createClient(era.blobService, free).put(stream({ data: new Uint8Array(3) }));
      const paths = createClient(era.pathInfoService, free);
      const entry = { case: "file", value: { name: new Uint8Array(), digest, size: 3n, executable: false } };
      const root = era.name === "snix" ? { entry } : { node: entry };
      const nar = await paths.calculateNAR(root as never);
      const infoOf = (name: string, fill: number) => {
        const hashPart = new Uint8Array(20).fill(fill);
        const named = {
          ...entry,
          value: { ...entry.value, name: new TextEncoder().encode(`${toNixBase32(hashPart)}-${name}`) },
        };
        const rest = {
          references: [],
          narinfo: { narSize: nar.narSize, narSha256: nar.narSha256, signatures: [], referenceNames: [] },
        };
        return {
          ...(era.name === "snix" ? { entry: { entry: named } } : { node: { node: named } }),
          ...rest,
        } as never;
      };
      await paths.put(infoOf("other-1", 1));
      const limited = transportTo(
        site,
        protocol,
        `Bearer ${await tokenFor({ name: "ci", rights: ["write"], paths: "app-*" })}`,
      );
      const mine = createClient(era.pathInfoService, limited);
      const refused = await codeOf(mine.put(infoOf("other-2", 2)));
      assert.equal(refused.code, Code.PermissionDenied);
      assert.match(
        refused.message,
        /^Cannot write a path named other-2: the token "ci" \(.*\) is for paths of other names$/,
      );
      await mine.put(infoOf("app-1", 3));
      assert.equal((await all(mine.list({}))).length, 1);
      assert.equal((await all(paths.list({}))).length, 2);
      const get = (fill: number) =>
        codeOf(mine.get({ byWhat: { case: "byOutputHash", value: new Uint8Array(20).fill(fill) } }));
      assert.equal((await get(1)).code, Code.NotFound);
      assert.equal((await get(2)).code, Code.NotFound, "it was not stored");
      assert.equal((await get(3)).code, undefined);
    });
  }

  Deno.test(`health and reflection by ${protocol} are open`, async () => {
    const transport = transportTo(guardedSite(), protocol);
    assert.equal((await createClient(Health, transport).check({})).status, 1);
    if (protocol === "connect") return; // its fetch client cannot stream both ways
    const requests = stream({ messageRequest: { case: "listServices" as const, value: "" } });
    assert.equal(
      (await all(createClient(ServerReflection, transport).serverReflectionInfo(requests))).length,
      1,
    );
  });

  Deno.test(`a method that is not here by ${protocol} tells nothing before one is let in`, async () => {
    const site = guardedSite({ private: false });
    const method = { ...SNIX.blobService.method.stat, name: "Burn", localName: "burn" };
    const service = { ...SNIX.blobService, method: { burn: method } };
    const call = (authorization?: string) =>
      transportTo(site, protocol, authorization).unary(
        { ...method, parent: service } as never,
        undefined,
        undefined,
        undefined,
        {} as never,
      );
    assert.equal((await codeOf(call())).code, Code.Unauthenticated);
    const write = await tokenFor({ rights: ["write"] });
    assert.equal((await codeOf(call(`Bearer ${write}`))).code, Code.Unimplemented);
  });

  Deno.test(`without a key calls by ${protocol} write from this machine only`, async () => {
    const { NEARBY_ACCESS } = await import("../../../src/server/access/nearby_access.ts");
    const site = guardedSite({}, { access: NEARBY_ACCESS });
    const put = (peer: Peer, header?: [string, string]) => {
      const transport = transportTo(site, protocol, undefined, peer);
      const headers = new Headers({ host: "localhost:8080", ...(header && { [header[0]]: header[1] }) });
      return codeOf(
        createClient(SNIX.blobService, transport).put(stream({ data: new Uint8Array(1) }), { headers }),
      );
    };
    const near = { address: "127.0.0.1", local: true };
    assert.equal((await put(near)).code, undefined);
    const far = await put(FAR);
    assert.equal(far.code, Code.PermissionDenied);
    assert.match(
      far.message,
      /^Cannot let you write: without a token key this server lets only programs on its own machine/,
    );
    assert.equal((await put(near, ["x-forwarded-for", "192.0.2.1"])).code, Code.PermissionDenied);
    assert.equal((await put(near, ["via", "1.1 proxy"])).code, Code.PermissionDenied);
  });
}

Deno.test("a call that is refused is answered though its client sends no more and does not end", async () => {
  const site = guardedSite();
  let left = false;
  const body = {
    [Symbol.asyncIterator]: () => ({
      next: () => new Promise<IteratorResult<Uint8Array>>(() => {}),
      return: () => {
        left = true;
        return Promise.resolve({ done: true as const, value: undefined });
      },
    }),
  };
  const answer = await site.server.rpc({
    httpVersion: "2",
    method: "POST",
    url: "http://cache.test/snix.castore.v1.BlobService/Put",
    header: new Headers({ "content-type": "application/grpc" }),
    body,
    signal: new AbortController().signal,
  }, FAR);
  assert.equal(answer.header!.get("grpc-status"), String(Code.Unauthenticated));
  assert.ok(left, "and what it sends later is not read");
});
