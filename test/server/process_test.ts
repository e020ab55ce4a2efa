// The server as a process: clients that leave, signals, a second instance, a lost index, memory.
import assert from "node:assert/strict";
import * as zlib from "node:zlib";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { type Need, permissions, testNeeding, xz } from "../needs.ts";
import { FirnServer, pause } from "../e2e/server.ts";
import { RawRequest, until } from "./_wire.ts";
import {
  assertTaken,
  fileNar,
  type NarFile,
  narFile,
  narInfo,
  narInfoName,
  narUrl,
  noise,
  pathOf,
  treeNar,
} from "./_site.ts";

const MIB = 1024 * 1024;
const PATH = pathOf("process");

/** Declares a test with a store in a folder of its own. */
function processTest(title: string, body: (store: string) => Promise<void>, ...needs: Need[]): void {
  testNeeding(permissions, ...needs)({
    name: title,
    // The runtime keeps signal handlers of children for a moment longer than a test takes.
    sanitizeResources: false,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "firn-process-" });
      try {
        await body(`${folder}/store`);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function put(server: FirnServer, name: string, body: BodyInit): Promise<Response> {
  return await fetch(`${server.url}/${name}`, { method: "PUT", body });
}

async function publish(server: FirnServer, path: string, file: NarFile): Promise<void> {
  await assertTaken(await put(server, file.url, file.bytes));
  await assertTaken(await put(server, narInfoName(path), narInfo(path, file)));
}

/** The NAR of a path, by the URL its narinfo has now. */
async function narOfPath(server: FirnServer, path: string): Promise<Bytes> {
  const answer = await fetch(`${server.url}/${narInfoName(path)}`);
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  const nar = await fetch(`${server.url}/${/^URL: (.*)$/m.exec(text)![1]}`);
  assert.equal(nar.status, 200);
  return await nar.bytes();
}

async function statusOf(server: FirnServer, method: string, name: string): Promise<number> {
  const answer = await fetch(`${server.url}/${name}`, { method });
  await answer.body?.cancel();
  return answer.status;
}

processTest(
  "clients that leave in the middle of uploads leave no memory taken and nothing visible",
  async (store) => {
    await using server = await FirnServer.start(store);
    const ROUNDS = 12;
    const { bytes, url } = await narFile(await fileNar(noise(60 * MIB, 21)));
    const small = await narFile(
      await treeNar(Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`${i}`, noise(5000, i + 1)]))),
    );
    const after: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await Promise.all([bytes, small.bytes].map(async (whole, i) => {
        using request = await RawRequest.put(server.url, [url, small.url][i], whole.length);
        await request.send(whole.subarray(0, Math.floor(whole.length * 0.9)));
      }));
      await until(
        "the refusals",
        () => (server.log.match(/ 400 in=.*: Cannot take the upload/g) ?? []).length >= 2 * round + 2,
      );
      after.push(server.memory().now);
    }
    for (const name of [url, small.url]) {
      assert.equal(await statusOf(server, "HEAD", name), 404);
    }
    const inMiB = after.map((bytes) => Math.round(bytes / MIB)).join(" ");
    assert.ok(server.memory().peak < 400 * MIB, `memory after each round, MiB: ${inMiB}`);
    const [early, late] = [Math.max(...after.slice(0, 6)), Math.min(...after.slice(-3))];
    assert.ok(late < early + 40 * MIB, `memory grows with each round, MiB: ${inMiB}`);
    await assertTaken(await put(server, url, bytes));
    assert.ok(Buffer.compare(await (await fetch(`${server.url}/${url}`)).bytes(), bytes) === 0);
  },
);

processTest("a bomb that is a NAR is taken in bounded memory", async (store) => {
  await using server = await FirnServer.start(store);
  const SIZE = 1024 * MIB;
  const empty = await fileNar("");
  // One file of zeros: the words of an empty file, with its length put in.
  const at = empty.length - 24;
  const head = empty.slice(0, at + 8);
  new DataView(head.buffer).setBigUint64(at, BigInt(SIZE), true);
  const member = zlib.zstdCompressSync(new Uint8Array(64 * MIB));
  const members = [zlib.zstdCompressSync(head), ...Array(SIZE / (64 * MIB)).fill(member)];
  const bomb = concat([...members, zlib.zstdCompressSync(empty.subarray(empty.length - 16))]);
  assert.ok(bomb.length < MIB, "a bomb is small");
  const before = server.memory().now;
  await assertTaken(await put(server, narUrl(bomb, ".zst"), bomb));
  const { peak } = server.memory();
  assert.ok(
    peak < 400 * MIB,
    `memory was ${Math.round(before / MIB)} MiB and rose to ${Math.round(peak / MIB)}`,
  );
});

processTest("a JSON file that is a bomb is refused in bounded memory", async (store) => {
  await using server = await FirnServer.start(store);
  const spaces = zlib.gzipSync(new Uint8Array(16 * MIB).fill(0x20));
  const bomb = concat([zlib.gzipSync("{}"), ...Array(32).fill(spaces)]); // 512 MiB of spaces
  const before = server.memory().now;
  const answer = await fetch(`${server.url}/realisations/sha256:${"ab".repeat(32)}!out.doi`, {
    method: "PUT",
    body: bomb,
    headers: { "content-encoding": "gzip" },
  });
  assert.equal(answer.status, 413, await answer.text());
  const grown = server.memory().peak - before;
  assert.ok(grown < 200 * MIB, `memory grew by ${Math.round(grown / MIB)} MiB`);
});

processTest("two clients upload one closure at once", async (store) => {
  await using server = await FirnServer.start(store);
  const files = new Map<string, NarFile>();
  for (let i = 0; i < 8; i++) {
    const tree = { a: noise(400_000, i + 31), b: { same: noise(300_000, 30), small: `${i}` } };
    files.set(pathOf(`twice-${i}`), await narFile(await treeNar(tree), i % 2 ? "xz" : "none"));
  }
  const client = async () => {
    for (const [path, file] of files) await publish(server, path, file);
  };
  await Promise.all([client(), client()]);
  for (const [path, file] of files) {
    assert.ok(Buffer.compare(await narOfPath(server, path), file.nar) === 0, path);
  }
}, xz);

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  processTest(`${signal} during an upload: it is finished, and the server exits 0`, async (store) => {
    const file = await narFile(await fileNar(noise(4_000_000, 14)), "zstd");
    {
      await using server = await FirnServer.start(store);
      // A connection that is kept open and idle must not hold up the end.
      await (await fetch(`${server.url}/nix-cache-info`)).text();
      using request = await RawRequest.put(server.url, file.url, file.bytes.length);
      const half = file.bytes.length >> 1;
      await request.send(file.bytes.subarray(0, half));
      await pause(300);
      const code = server.stop(signal);
      await until("the signal to be heard", () => server.log.includes(`${signal}: finishing`));
      const late = await statusOf(server, "GET", "nix-cache-info").catch(() => "no connection");
      assert.ok(late === 503 || late === "no connection", `${late} for one who comes after the signal`);
      await request.send(file.bytes.subarray(half));
      const { status, body } = await request.response();
      assert.equal(status, 200, body);
      assert.equal(await code, 0);
      assert.match(server.log, /Z stopped\n$/);
    }
    await using server = await FirnServer.start(store);
    assert.equal(await statusOf(server, "HEAD", file.url), 200);
    await assertTaken(await put(server, narInfoName(PATH), narInfo(PATH, file)));
    assert.ok(Buffer.compare(await narOfPath(server, PATH), file.nar) === 0);
    assert.equal(await server.stop(), 0);
  });
}

processTest("a second signal does not cut short what the first lets finish", async (store) => {
  const file = await narFile(await fileNar(noise(2_000_000, 15)));
  await using server = await FirnServer.start(store);
  using request = await RawRequest.put(server.url, file.url, file.bytes.length);
  await request.send(file.bytes.subarray(0, 1_000_000));
  await pause(200);
  const code = server.stop();
  await until("the signal to be heard", () => server.log.includes("SIGTERM: finishing"));
  server.child.kill("SIGTERM");
  await pause(100);
  await request.send(file.bytes.subarray(1_000_000));
  assert.equal((await request.response()).status, 200);
  assert.equal(await code, 0);
});

processTest("SIGTERM during a call over a WebSocket: it is finished", async (store) => {
  await using server = await FirnServer.start(store);
  const socket = new WebSocket(
    `${server.url.replace("http", "ws")}/snix.castore.v1.BlobService/Put`,
    "grpc-websockets",
  );
  socket.binaryType = "arraybuffer";
  const received: Uint8Array[] = [];
  socket.onmessage = ({ data }) => received.push(new Uint8Array(data));
  const closed = new Promise<CloseEvent>((resolve) => socket.onclose = resolve);
  await new Promise((resolve) => socket.onopen = resolve);
  socket.send(new TextEncoder().encode("content-type: application/grpc-web+proto\r\n"));
  const send = (data: string) => {
    const message = new TextEncoder().encode(data);
    socket.send(Uint8Array.of(0, 0, 0, 0, 0, message.length + 2, 0x0a, message.length, ...message));
  };
  send("Hello ");
  await pause(200);
  const code = server.stop();
  await until("the signal to be heard", () => server.log.includes("SIGTERM: finishing"));
  send("World!");
  socket.send(Uint8Array.of(1));
  assert.equal((await closed).code, 1000);
  const digest = "5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c";
  assert.ok(concat(received as Bytes[]).toHex().includes(digest));
  assert.equal(await code, 0);
});

processTest("SIGTERM during a download: it is finished", async (store) => {
  await using server = await FirnServer.start(store);
  const file = await narFile(await fileNar(noise(40 * MIB, 16)));
  await assertTaken(await put(server, file.url, file.bytes));
  const answer = await fetch(`${server.url}/${file.url}`);
  const reader = answer.body!.getReader();
  const parts = [(await reader.read()).value!];
  const code = server.stop();
  await until("the signal to be heard", () => server.log.includes("SIGTERM: finishing"));
  for (let part = await reader.read(); !part.done; part = await reader.read()) parts.push(part.value);
  assert.ok(Buffer.compare(concat(parts), file.nar) === 0);
  assert.equal(await code, 0);
});

processTest("a second instance on the same store says so and exits; the first goes on", async (store) => {
  await using server = await FirnServer.start(store);
  const second = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      new URL("../../mod.ts", import.meta.url).href,
      "serve",
      "--listen=127.0.0.1:0",
      "--store",
      store,
    ],
  }).output();
  assert.notEqual(second.code, 0);
  const said = new TextDecoder().decode(second.stderr);
  assert.match(said, /^firn: Cannot open .*store.*(another|process|open)/m);
  assert.doesNotMatch(said, /\n\s+at /, "no stack");
  assert.equal(new TextDecoder().decode(second.stdout), "");
  await publish(server, PATH, await narFile(await fileNar("still here"), "xz"));
  assert.equal(await server.stop(), 0);
  await using next = await FirnServer.start(store);
  assert.equal(await statusOf(next, "GET", narInfoName(PATH)), 200);
}, xz);

processTest("a server that was killed leaves no lock behind", async (store) => {
  const first = await FirnServer.start(store);
  await first.kill();
  await using server = await FirnServer.start(store);
  assert.equal(await statusOf(server, "GET", "nix-cache-info"), 200);
});

processTest("the index is lost: it is made anew, and all is there", async (store) => {
  const paths = new Map<string, NarFile>();
  for (let i = 0; i < 5; i++) {
    // Large packs, small packs, values of many lengths, Directories.
    const tree = {
      a: noise(1_500_000, i + 41),
      b: { c: noise(i * 40_000, i + 51), d: `${i}` },
      e: { link: "a" },
    };
    paths.set(pathOf(`lost-${i}`), await narFile(await treeNar(tree), "zstd"));
  }
  for (let i = 0; i < 5; i++) paths.set(pathOf(`small-${i}`), await narFile(await fileNar(`${i}`), "none"));
  {
    await using server = await FirnServer.start(store);
    for (const [path, file] of paths) await publish(server, path, file);
    assert.equal(await server.stop(), 0);
  }
  const lose = async () => {
    for (const suffix of ["", "-wal", "-shm"]) {
      await Deno.remove(`${store}/index.sqlite${suffix}`).catch((error) => {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      });
    }
  };
  const check = async () => {
    await using server = await FirnServer.start(store);
    for (const [path, file] of paths) {
      assert.ok(Buffer.compare(await narOfPath(server, path), file.nar) === 0, path);
    }
    await publish(server, pathOf("new"), await narFile(await fileNar("new"), "xz"));
    assert.equal(await server.stop(), 0);
  };
  await lose();
  await check();
  // The process dies with the index gone, and again while it is made.
  await lose();
  await (await FirnServer.start(store)).kill();
  await check();
}, xz);

processTest("a store that another format wrote is not touched", async (store) => {
  await Deno.mkdir(store, { recursive: true });
  await Deno.writeTextFile(`${store}/format`, "firn-store 99\n");
  await assert.rejects(FirnServer.start(store), /firn-store 99/);
  assert.deepEqual((await Array.fromAsync(Deno.readDir(store))).map(({ name }) => name).sort(), [
    "format",
    "lock",
  ]);
});

processTest("the log has one line for each thing that happened", async (store) => {
  await using server = await FirnServer.start(store);
  await publish(server, PATH, await narFile(await fileNar("logged"), "xz"));
  await (await put(server, `nar/${"0".repeat(52)}.nar`, "rubbish")).text();
  await server.stop();
  const [grpc, address, opened, ...lines] = server.log.trimEnd().split("\n");
  assert.match(opened, /^\S+Z reading and writing are open to all programs on this machine; .*--token-key/);
  assert.match(grpc, /^firn serves native gRPC on grpc\+http:\/\/127\.0\.0\.1:\d+$/);
  assert.match(address, /^firn serves on http:\/\/127\.0\.0\.1:\d+$/);
  for (const line of lines) assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z /);
  assert.match(
    lines[0],
    / PUT \/nar\/\w{52}\.nar\.xz 200 .*: received \w{52}\.nar\.xz \(\d+ bytes, xz\) in \d+ ms$/,
  );
  assert.match(lines[1], /published \/nix\/store\/\S+-process \(120 bytes\)$/);
  assert.match(
    lines[2],
    / PUT \/nar\/0{52}\.nar 400 .*: FormatError: Cannot take the upload: it is neither a NAR/,
  );
  assert.equal(lines.filter((line) => line.includes(" PUT ")).length, 3);
}, xz);
