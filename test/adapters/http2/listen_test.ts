/** Connections over TCP, Unix sockets and TLS: bytes both ways, peers that do not read, or break; who may listen. */
import assert from "node:assert/strict";
import { connect } from "node:tls";
import { type Bytes, concat, fromText, toText } from "../../../src/bytes/bytes.ts";
import { dialTcp, dialTls, dialUnix } from "../../../src/adapters/http2/dial.ts";
import type { Duplex } from "../../../src/adapters/http2/duplex.ts";
import { type Listening, listenTcp, listenTls, listenUnix } from "../../../src/adapters/http2/listen.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { makeCertificate, openssl } from "./_certificates.ts";

const test = testNeeding(permissions);
const tlsTest = testNeeding(permissions, openssl);
const hostname = "127.0.0.1";

async function readAll(duplex: Duplex): Promise<Bytes> {
  const parts: Bytes[] = [];
  while (true) {
    const into = new Uint8Array(50_000);
    const length = await duplex.read(into);
    if (length === null) return concat(parts);
    parts.push(into.subarray(0, length));
  }
}

async function readExactly(duplex: Duplex, length: number): Promise<Bytes> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const read = await duplex.read(bytes.subarray(at));
    assert.ok(read !== null, `it ends after ${at} of ${length} bytes`);
    at += read;
  }
  return bytes;
}

async function writeAll(duplex: Duplex, bytes: Bytes): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await duplex.write(bytes.subarray(at));
}

function pattern(length: number, seed: number): Bytes {
  return Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8) + seed) & 0xff);
}

/** Both ends of new connections. */
interface Link extends AsyncDisposable {
  pair(): Promise<[client: Duplex, server: Duplex]>;
  /** The server's end of the connection that somebody made. */
  accepted(): Promise<Duplex>;
  listening: Listening;
}

type Open = (accept: (duplex: Duplex) => void) => Promise<{
  listening: Listening;
  dial: () => Promise<Duplex>;
  folder?: string;
}>;

async function link(open: Open): Promise<Link> {
  const accepted: Duplex[] = [];
  const opened: Duplex[] = [];
  let wake = () => {};
  const { listening, dial, folder } = await open((duplex) => {
    accepted.push(duplex);
    wake();
  });
  const takeAccepted = async () => {
    while (accepted.length === 0) await new Promise<void>((woken) => wake = woken);
    const server = accepted.pop()!;
    opened.push(server);
    return server;
  };
  return {
    listening,
    accepted: takeAccepted,
    async pair() {
      const client = await dial();
      opened.push(client);
      return [client, await takeAccepted()];
    },
    async [Symbol.asyncDispose]() {
      for (const duplex of opened) duplex.close();
      await listening.close();
      if (folder) await Deno.remove(folder);
      await settle();
    },
  };
}

/** TLS sockets take a few turns to close. */
function settle(ms = 50): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const openTcp: Open = (accept) => {
  const listening = listenTcp({ hostname, port: 0 }, accept);
  return Promise.resolve({ listening, dial: () => dialTcp({ hostname, port: listening.port }) });
};

const openUnix: Open = async (accept) => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/socket`;
  return { listening: await listenUnix({ path }, accept), dial: () => dialUnix(path), folder };
};

let certificate: Promise<{ key: string; cert: string }> | undefined;

const openTls: Open = async (accept) => {
  const { key, cert } = await (certificate ??= makeCertificate());
  const listening = listenTls({ hostname, port: 0, key, cert, handshakeMs: 300 }, accept);
  return { listening, dial: () => dialTls({ hostname: "localhost", port: listening.port, ca: cert }) };
};

for (
  const [name, declare, open] of [["TCP", test, openTcp], ["a Unix socket", test, openUnix], [
    "TLS",
    tlsTest,
    openTls,
  ]] as const
) {
  declare(`${name}: megabytes both ways at once`, async () => {
    await using connections = await link(open);
    const [client, server] = await connections.pair();
    const [up, down] = [pattern(5_000_000, 1), pattern(5_000_000, 2)];
    const [gotUp, gotDown] = await Promise.all([
      readExactly(server, up.length),
      readExactly(client, down.length),
      writeAll(client, up),
      writeAll(server, down),
    ]);
    assert.ok(Buffer.compare(gotUp, up) === 0 && Buffer.compare(gotDown, down) === 0);
  });

  declare(`${name}: reads into arrays of any length, a byte at a time too`, async () => {
    await using connections = await link(open);
    const [client, server] = await connections.pair();
    await writeAll(server, fromText("hello"));
    assert.equal(toText(await readExactly(client, 1)), "h");
    assert.equal(toText(await readExactly(client, 4)), "ello");
  });

  declare(`${name}: the other end's address is known`, async () => {
    await using connections = await link(open);
    const [, server] = await connections.pair();
    assert.equal(server.address, name === "a Unix socket" ? "unix" : "127.0.0.1");
  });

  declare(`${name}: a peer that does not read stops the writer`, async () => {
    await using connections = await link(open);
    const [client, server] = await connections.pair();
    const piece = pattern(64 * 1024, 3);
    let written = 0;
    const writing = (async () => {
      while (written < 64 << 20) written += await server.write(piece);
    })();
    writing.catch(() => {});
    let before = -1;
    while (written !== before) {
      before = written;
      await settle(200);
    }
    // What the system holds between two sockets of one machine is some megabytes at most.
    assert.ok(written > 0 && written < 16 << 20, `${written} bytes`);
    for (let read = 0; read < 30 << 20;) read += (await client.read(new Uint8Array(1 << 20)))!;
    assert.ok(written > 24 << 20, "it goes on when the peer reads");
    client.close();
    await assert.rejects(writing);
  });

  declare(`${name}: what was written before closing arrives, and then the end`, async () => {
    await using connections = await link(open);
    const [client, server] = await connections.pair();
    const bytes = pattern(100_000, 4);
    const reading = readAll(client);
    await writeAll(server, bytes);
    server.close();
    server.close();
    assert.ok(Buffer.compare(await reading, bytes) === 0);
    await assert.rejects(() => server.read(new Uint8Array(1)));
    await assert.rejects(() => server.write(new Uint8Array(1)));
  });

  declare(`${name}: closing ends a read that waits`, async () => {
    await using connections = await link(open);
    const [client] = await connections.pair();
    const reading = assert.rejects(() => client.read(new Uint8Array(1)));
    await settle(20);
    client.close();
    await reading;
  });

  declare(`${name}: a peer that goes in the midst of it fails the writer`, async () => {
    await using connections = await link(open);
    const [client, server] = await connections.pair();
    await writeAll(client, pattern(1000, 5));
    client.close();
    await assert.rejects(async () => {
      for (let i = 0; i < 2000; i++) await server.write(pattern(100_000, 6));
    });
  });

  declare(`${name}: a closed listener leaves its connections alone, and takes no new ones`, async () => {
    await using connections = await link(open);
    const [client, server] = await connections.pair();
    await connections.listening.close();
    await connections.listening.close();
    await assert.rejects(() => connections.pair(), /^Error: Cannot connect to /);
    await writeAll(server, fromText("still here"));
    assert.equal(toText(await readExactly(client, 10)), "still here");
  });
}

test("TCP: the address is told, and one that is taken is a clear error", async () => {
  const first = listenTcp({ hostname, port: 0 }, () => {});
  assert.equal(first.address, `127.0.0.1:${first.port}`);
  assert.throws(() => listenTcp({ hostname, port: first.port }, () => {}), (error) => {
    assert.ok(error instanceof Deno.errors.AddrInUse);
    assert.match(error.message, /^Cannot listen on 127\.0\.0\.1:\d+: /);
    return true;
  });
  await first.close();
});

test("a Unix socket: the file of a dead server is replaced, and a live server is left alone", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/socket`;
  const code = `Deno.listen({ transport: "unix", path: ${
    JSON.stringify(path)
  } }); Deno.kill(Deno.pid, "SIGKILL");`;
  await new Deno.Command(Deno.execPath(), { args: ["eval", code] }).output();
  assert.ok((await Deno.lstat(path)).isSocket, "a killed server leaves its file");
  const live = await listenUnix({ path }, (duplex) => duplex.close());
  assert.equal(live.address, path);
  await assert.rejects(() => listenUnix({ path }, () => {}), (error) => {
    assert.ok(error instanceof Deno.errors.AddrInUse);
    assert.match(error.message, /^Cannot listen on .*: a server is alive there; stop it/);
    return true;
  });
  (await dialUnix(path)).close();
  await live.close();
  await assert.rejects(() => Deno.lstat(path), Deno.errors.NotFound);
  await Deno.remove(folder, { recursive: true });
});

test("a Unix socket: a file that is no socket is never removed", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/file`, "precious");
  await assert.rejects(() => listenUnix({ path: `${folder}/file` }, () => {}), Deno.errors.AlreadyExists);
  assert.equal(await Deno.readTextFile(`${folder}/file`), "precious");
  await Deno.remove(folder, { recursive: true });
});

tlsTest("TLS: a certificate that is not trusted, or for another name, is refused by the client", async () => {
  await using connections = await link(openTls);
  const { port } = connections.listening;
  const { cert: ca } = await certificate!;
  await assert.rejects(
    () => dialTls({ hostname: "localhost", port }),
    /Cannot connect to localhost:\d+: .*self-signed/,
  );
  await assert.rejects(() => dialTls({ hostname: "127.0.0.2", port, ca }), /Cannot connect to 127\.0\.0\.2/);
  (await dialTls({ hostname, port, ca })).close();
});

tlsTest("TLS: clients without h2, without TLS and without a word are turned away", async () => {
  let accepted = 0;
  const { listening } = await openTls(() => accepted++);
  const { port } = listening;
  const { cert: ca } = await certificate!;
  for (const ALPNProtocols of [["http/1.1"], undefined]) {
    const socket = connect({ host: hostname, port, ca, ALPNProtocols });
    await new Promise<void>((resolve) =>
      socket.on("error", () => {}).once("close", () => resolve()).resume()
    );
  }
  for (const words of ["GET / HTTP/1.1\r\n\r\n", ""]) {
    const conn = await Deno.connect({ hostname, port });
    await conn.write(fromText(words));
    while (await conn.read(new Uint8Array(100)).catch(() => null) !== null);
    conn.close();
  }
  assert.equal(accepted, 0);
  await listening.close();
});

tlsTest("TLS: closing does not wait for clients that never shake hands", async () => {
  const { key, cert } = await (certificate ??= makeCertificate());
  const listening = listenTls({ hostname, port: 0, key, cert, handshakeMs: 60_000 }, () => {});
  const conn = await Deno.connect({ hostname, port: listening.port });
  await settle(50);
  await listening.close();
  assert.equal(await conn.read(new Uint8Array(1)).catch(() => null), null);
  conn.close();
});

tlsTest("TLS: a client that has sent all is still answered", async () => {
  await using connections = await link(openTls);
  const { cert: ca } = await certificate!;
  const { port } = connections.listening;
  const socket = connect({ host: hostname, port, ca, ALPNProtocols: ["h2"] });
  const server = await connections.accepted();
  socket.end("hello");
  assert.equal(toText(await readAll(server)), "hello");
  await writeAll(server, fromText("you said hello"));
  server.close();
  const answer: Bytes[] = [];
  for await (const piece of socket) answer.push(piece);
  assert.equal(toText(concat(answer)), "you said hello");
});

tlsTest("TLS: small writes do not wait for each other to be acknowledged", async () => {
  await using connections = await link(openTls);
  const [client, server] = await connections.pair();
  const started = performance.now();
  for (let i = 0; i < 50; i++) {
    for (let part = 0; part < 2; part++) await writeAll(client, pattern(9, i));
    await readExactly(server, 18);
    for (let part = 0; part < 2; part++) await writeAll(server, pattern(9, i));
    await readExactly(client, 18);
  }
  // Else each turn would take twice 40 ms.
  assert.ok(performance.now() - started < 2000);
});

tlsTest("TLS: a wrong key or certificate is refused when listening begins", async () => {
  const { key, cert } = await (certificate ??= makeCertificate());
  const other = await makeCertificate();
  const listen = (key: string, cert: string) => listenTls({ hostname, port: 0, key, cert }, () => {});
  assert.throws(() => listen("none", cert), /^Error: Cannot listen with TLS: key or certificate are no PEM/);
  assert.throws(() => listen(key, "none"), /^Error: Cannot listen with TLS: key or certificate are no PEM/);
  assert.throws(() => listen(other.key, cert), /the key is not that of the certificate/);
});

test("nobody there: the error says who, and the cause why", async () => {
  const gone = listenTcp({ hostname, port: 0 }, () => {});
  await gone.close();
  await assert.rejects(() => dialTcp({ hostname, port: gone.port }), (error: Error) => {
    assert.match(error.message, /^Cannot connect to 127\.0\.0\.1:\d+: .*refused/i);
    assert.ok(error.cause instanceof Deno.errors.ConnectionRefused);
    return true;
  });
  await assert.rejects(
    () => dialTls({ hostname, port: gone.port }),
    /^Error: Cannot connect to 127\.0\.0\.1/,
  );
  await assert.rejects(() => dialUnix("/nowhere/socket"), /^Error: Cannot connect to \/nowhere\/socket/);
});

test("a TLS server that never answers: the client gives up", async () => {
  const conns: Deno.Conn[] = [];
  const listener = Deno.listen({ hostname, port: 0 });
  const accepting = listener.accept().then((conn) => conns.push(conn));
  const { port } = listener.addr as Deno.NetAddr;
  await assert.rejects(() => dialTls({ hostname, port, connectMs: 100 }), /no handshake in 100 ms/);
  await accepting;
  for (const conn of conns) conn.close();
  listener.close();
  await settle();
});
