/** What a remote does when its server is of another era, refuses, fails, is away, or does nothing. */
import assert from "node:assert/strict";
import { Code, ConnectError } from "@connectrpc/connect";
import type { UniversalClientFn } from "@connectrpc/connect/protocol";
import { openGrpc } from "../../../src/adapters/grpc/open_grpc.ts";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { fromText } from "../../../src/bytes/bytes.ts";
import { fromHex } from "../../../src/bytes/hex.ts";
import {
  ClaimError,
  ConflictError,
  DamageError,
  FormatError,
  LimitError,
  MissingError,
  RemoteError,
  StoreBusyError,
  StoreFullError,
  UnsupportedError,
} from "../../../src/errors.ts";
import { blake3 } from "../../../src/hash/blake3.ts";
import { portableHashes } from "../../../src/hash/hashes.ts";
import { hashNar } from "../../../src/store/nar_hash.ts";
import { type Services, servicesOver } from "../../../src/store/services.ts";
import { pattern } from "../../contract/_byte_store_samples.ts";
import { A, B, folder, WITH_KEEP } from "../../contract/_castore_samples.ts";
import {
  firnHandlers,
  notFound,
  openMadeUp,
  openRemote,
  type Protocol,
  PROTOCOLS,
  transportTo,
  Watched,
} from "./_remotes.ts";

const memory = () => servicesOver({ names: openMemory(), bytes: openMemory() });

/** A client that fails the first calls, by throwing or, given a code, by what a server would say. */
function failingFirst(failures: number, error: () => Error) {
  const state = { failed: 0, calls: 0 };
  const wrap = (inner: UniversalClientFn): UniversalClientFn => async (request) => {
    state.calls++;
    if (state.failed++ < failures) throw error();
    return await inner(request);
  };
  return { state, wrap };
}

const refused = () => new TypeError("connection refused (os error 111)");
const unavailable = () => new ConnectError("come again", Code.Unavailable);

async function* streamOf(length: number) {
  for (let at = 0; at < length; at += 100_000) yield await pattern(100_000, at / 100_000);
}

for (const protocol of Object.keys(PROTOCOLS) as Protocol[]) {
  Deno.test(`a server that speaks only tvix is found out once, over ${protocol}`, async () => {
    const watched = new Watched();
    const tvix = firnHandlers().filter(({ requestPath }) => requestPath.startsWith("/tvix."));
    const remote = openGrpc(transportTo(tvix, { protocol, watched }));
    const { digest } = await remote.blobs.put(pattern(1000));
    assert.equal(await remote.blobs.has(digest), true);
    assert.equal(
      await remote.directories.putClosure([A.directory, B.directory]).then(String),
      String(B.digest),
    );
    assert.equal((await Array.fromAsync(remote.directories.getClosure(B.digest))).length, 2);
    const puts = watched.calls.filter((call) => call === "BlobService/Put").length;
    assert.deepEqual([puts, watched.calls.length], [2, 5], watched.calls.join());
  });
}

Deno.test("a stream is sent once, whichever era the server speaks", async () => {
  const watched = new Watched();
  const tvix = firnHandlers().filter(({ requestPath }) => requestPath.startsWith("/tvix."));
  const { blobs } = openGrpc(transportTo(tvix, { watched }));
  await blobs.put(streamOf(2_000_000));
  assert.deepEqual(watched.calls, ["BlobService/Stat", "BlobService/Stat", "BlobService/Put"]);
});

Deno.test("where the era is known a stream costs one call", async () => {
  const watched = new Watched();
  const { blobs } = openRemote({ watched });
  await blobs.put(pattern(10));
  await blobs.put(streamOf(2_000_000));
  assert.deepEqual(watched.calls, ["BlobService/Put", "BlobService/Put"]);
});

Deno.test("a server without a service is an UnsupportedError", async () => {
  const { blobs, directories, pathInfos } = openGrpc(transportTo([]), { address: "grpc+http://empty" });
  const want = { name: "UnsupportedError", message: /grpc\+http:\/\/empty/ };
  await assert.rejects(blobs.has(A.digest), want);
  await assert.rejects(blobs.put(streamOf(2_000_000)), want);
  await assert.rejects(directories.putClosure([A.directory]), want);
  await assert.rejects(Array.fromAsync(pathInfos.list()), want);
  await assert.rejects(pathInfos.delete("x"), UnsupportedError);
});

for (const [name, error] of [["refused", refused], ["unavailable", unavailable]] as const) {
  Deno.test(`what is safe to try again is tried again when the remote is ${name}`, async () => {
    const services = memory();
    const { digest } = await services.blobs.put(pattern(2_000_000));
    await services.directories.putClosure([A.directory, B.directory]);
    const calls: ((remote: ReturnType<typeof openRemote>) => Promise<unknown>)[] = [
      ({ blobs }) => blobs.has(digest),
      async ({ blobs }) => await (await blobs.open(digest))!.bytes(),
      ({ blobs }) => blobs.put(pattern(100)),
      ({ directories }) => directories.get(B.digest),
      ({ directories }) => Array.fromAsync(directories.getClosure(B.digest)),
      ({ directories }) => directories.putClosure([A.directory, B.directory]),
      ({ pathInfos }) => Array.fromAsync(pathInfos.list()),
      ({ pathInfos }) => pathInfos.get("00bgd045z0d4icpbc2yyz4gx48ak44la"),
    ];
    for (const call of calls) {
      const { wrap } = failingFirst(2, error);
      await call(openRemote({ services, wrap, retries: 2, backoffMs: 1 }));
      const never = failingFirst(Infinity, error);
      const remote = openRemote({
        services,
        wrap: never.wrap,
        retries: 2,
        backoffMs: 1,
        address: "grpc+http://a:1",
      });
      const failure = { name: "RemoteError", address: "grpc+http://a:1", message: /grpc\+http:\/\/a:1/ };
      await assert.rejects(call(remote), failure);
      assert.equal(never.state.calls, 3, String(call));
    }
  });
}

Deno.test("a chunk that fails while a blob is being read is asked for again, and nothing comes twice", async () => {
  const services = memory();
  const bytes = pattern(5_000_000);
  const { digest } = await services.blobs.put(bytes);
  let calls = 0;
  const wrap = (inner: UniversalClientFn): UniversalClientFn => async (request) => {
    const response = await inner(request);
    if (++calls % 3 !== 0) return response;
    const cutOff = async function* () {
      for await (const piece of response.body) {
        yield piece.subarray(0, 5);
        throw new Error("connection reset");
      }
    };
    return { ...response, body: cutOff() };
  };
  const { blobs } = openRemote({ services, wrap, backoffMs: 1 });
  assert.deepEqual(await (await blobs.open(digest))!.bytes(), bytes);
  assert.ok(calls > 9, `${calls} calls`);
});

Deno.test("a stream is not sent again", async () => {
  const { wrap, state } = failingFirst(1, refused);
  const { blobs } = openRemote({ wrap, era: "snix", backoffMs: 1, address: "grpc+http://a:1" });
  await assert.rejects(blobs.put(streamOf(2_000_000)), RemoteError);
  assert.equal(state.calls, 1);
});

Deno.test("a source that is left over when the server refuses is closed", async () => {
  let closed = 0;
  const source = async function* () {
    try {
      yield* streamOf(30_000_000);
    } finally {
      closed++;
    }
  };
  const { blobs } = openMadeUp({
    blobs: {
      stat: () => {
        throw notFound();
      },
      put: () => {
        throw new ConnectError("no room", Code.ResourceExhausted, { "firn-error": "StoreFullError" });
      },
    },
  });
  await assert.rejects(blobs.put(source()), StoreFullError);
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(closed, 1);
  await assert.rejects(blobs.put(pattern(10)), StoreFullError, "the bytes in flight were not given back");
});

const STALLS: [string, (remote: ReturnType<typeof openMadeUp>) => Promise<unknown>][] = [
  ["has", ({ blobs }) => blobs.has(A.digest)],
  ["open", ({ blobs }) => blobs.open(A.digest)],
  ["put", ({ blobs }) => blobs.put(pattern(10))],
  ["put of a stream", ({ blobs }) => blobs.put(streamOf(3_000_000))],
  ["getClosure", ({ directories }) => Array.fromAsync(directories.getClosure(A.digest))],
];
for (const [name, call] of STALLS) {
  Deno.test(`a remote that does nothing ends ${name}`, async () => {
    const never = new Promise<never>(() => {});
    const remote = openMadeUp({
      blobs: {
        stat: () => never,
        async *read() {
          yield { data: new Uint8Array(10) };
          await never;
        },
        put: () => never,
      },
      directories: {
        async *get() {
          yield* [];
          await never;
        },
      },
    }, { stallMs: 50, era: "snix", address: "grpc+http://a:1" });
    const error = { name: "RemoteError", message: /grpc\+http:\/\/a:1 has done nothing for 50 ms/ };
    await assert.rejects(call(remote), error);
  });
}

Deno.test("a source that takes its time is no stall", async () => {
  const { blobs } = openRemote({ stallMs: 40 });
  const slow = async function* () {
    for (let i = 0; i < 4; i++) {
      yield pattern(700_000, i);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
  };
  assert.equal((await blobs.put(slow())).size, 2_800_000);
});

Deno.test("errors of a firn server come back as what they were, of another by their code", async () => {
  const named: [string, new (...args: never[]) => Error][] = [
    ["FormatError", FormatError],
    ["ClaimError", ClaimError],
    ["MissingError", MissingError],
    ["LimitError", LimitError],
    ["ConflictError", ConflictError],
    ["DamageError", DamageError],
    ["StoreFullError", StoreFullError],
  ];
  const putting = (error: ConnectError, protocol: Protocol = "grpc") => {
    const put = () => {
      throw error;
    };
    return openMadeUp({ blobs: { put } }, { retries: 0, protocol }).blobs.put(pattern(10));
  };
  for (const protocol of Object.keys(PROTOCOLS) as Protocol[]) {
    for (const [name, errorClass] of named) {
      const error = new ConnectError("why it is", Code.Internal, { "firn-error": name });
      await assert.rejects(putting(error, protocol), (thrown: Error) => {
        assert.equal(thrown.name, name);
        assert.ok(thrown instanceof errorClass);
        assert.equal(thrown.message, "why it is");
        return true;
      });
    }
  }
  const busy = new ConnectError("why", Code.Unavailable, { "firn-error": "StoreBusyError" });
  await assert.rejects(putting(busy), StoreBusyError);
  const coded: [Code, new (...args: never[]) => Error][] = [
    [Code.InvalidArgument, FormatError],
    [Code.NotFound, MissingError],
    [Code.FailedPrecondition, MissingError],
    [Code.ResourceExhausted, LimitError],
    [Code.AlreadyExists, ConflictError],
    [Code.DataLoss, DamageError],
    [Code.Unavailable, RemoteError],
    [Code.Internal, RemoteError],
    [Code.PermissionDenied, RemoteError],
  ];
  for (const [code, errorClass] of coded) {
    await assert.rejects(putting(new ConnectError("why", code)), errorClass, Code[code]);
  }
});

Deno.test("damage and lack of room of a real store come through firn's own server", async () => {
  const bytes = openMemory();
  const services: Services = servicesOver({ names: openMemory(), bytes });
  const { digest } = await services.blobs.put(pattern(100));
  for await (const key of bytes.list("chunk/")) await bytes.put(key, pattern(100, 1));
  const full = {
    ...services.blobs,
    put: () => Promise.reject(new StoreFullError("Cannot write: the disk is full")),
  };
  const remote = openRemote({
    services: { ...services, blobs: Object.setPrototypeOf(full, services.blobs) },
  });
  await assert.rejects(remote.blobs.put(pattern(10)), { name: "StoreFullError", message: /disk is full/ });
  await assert.rejects(openRemote({ services }).blobs.open(digest), DamageError);
});

Deno.test("the hash of a NAR is what the remote says", async () => {
  const services = memory();
  await services.blobs.put(new Uint8Array(0));
  await services.directories.putClosure([WITH_KEEP.directory]);
  const { node } = folder("", WITH_KEEP.digest, 1n);
  const want = await hashNar(node, "sha256", { ...services, hashes: portableHashes });
  for (const era of ["snix", "tvix"] as const) {
    const got = await openRemote({ services, era }).hashNar(node);
    assert.deepEqual(got, { narSha256: want.digest, narSize: want.size });
  }
  await assert.rejects(openRemote().hashNar(node), MissingError);
});

Deno.test("the oldest servers are given a name for the node", async () => {
  const names: string[] = [];
  const remote = openMadeUp({
    pathInfos: {
      calculateNAR(entry) {
        const name = entry.entry.value!.name;
        names.push(new TextDecoder().decode(name));
        if (name.length === 0) throw new ConnectError("invalid root node", Code.InvalidArgument);
        return { narSize: 3n, narSha256: blake3(fromText("x")) };
      },
    },
  });
  assert.equal((await remote.hashNar({ type: "symlink", target: fromHex("61") })).narSize, 3);
  assert.deepEqual(names, ["", "root"]);
});
