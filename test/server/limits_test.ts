// How much there may be at once: the numbers alone, and with real connections, by real clients.
import assert from "node:assert/strict";
import type { Asking, Caller } from "../../src/server/door.ts";
import { clientNetwork, ConnectionLimits, RequestLimits } from "../../src/server/limits.ts";
import { fromText } from "../../src/bytes/bytes.ts";
import { listenGrpc } from "../../src/cli/listening.ts";
import { readOptions } from "../../src/cli/serve_options.ts";
import { permissions, testNeeding, tool } from "../needs.ts";
import { DoorSite, statusOn } from "./_door_site.ts";
import { assertTaken, fileNar, narFile, narInfo, narInfoName, noise, pathOf } from "./_site.ts";
import { until } from "./_wire.ts";

function asking(changes: Partial<Asking> & { length?: number } = {}): Asking {
  const header = new Headers(
    changes.length === undefined ? {} : { "content-length": String(changes.length) },
  );
  return {
    protocol: "http",
    method: "PUT",
    path: "/blob",
    address: "192.0.2.1",
    local: false,
    needs: "write",
    header,
    ...changes,
  };
}
const caller = (token?: string): Caller => ({ name: "x", rights: new Set(), token });

/** Statuses of refusals. */
function statusOf(work: () => unknown): number | undefined {
  try {
    work();
  } catch (error) {
    const { status, headers } = error as { status: number; headers: Record<string, string> };
    assert.match(headers["retry-after"], /^\d+$/);
    return status;
  }
}

Deno.test("limits: requests of one client and of all, and nothing is left when they have ended", () => {
  const refused: string[] = [];
  const limits = new RequestLimits({ requests: 5, requestsPerClient: 3 }, (what, whose) => {
    refused.push(`${what} ${whose}`);
  });
  const enter = (address: string) => limits.enter(asking({ address }), caller());
  const rooms = [enter("192.0.2.1"), enter("192.0.2.1"), enter("192.0.2.1")];
  assert.equal(statusOf(() => enter("192.0.2.1")), 429);
  rooms.push(enter("192.0.2.2"), enter("192.0.2.3"));
  assert.equal(statusOf(() => enter("192.0.2.4")), 503);
  assert.deepEqual(refused, ["requests client", "requests server"]);
  assert.equal(limits.clientCount, 3);
  rooms[0].leave();
  rooms[0] = enter("192.0.2.1");
  for (const room of rooms) room.leave();
  assert.equal(limits.clientCount, 0, "refusals leave no trace either");
});

Deno.test("limits: a token is one client wherever it comes from; who is on this machine is not counted", () => {
  const limits = new RequestLimits({ requestsPerClient: 1 });
  limits.enter(asking({ address: "192.0.2.1" }), caller("a"));
  limits.enter(asking({ address: "192.0.2.1" }), caller("b"));
  limits.enter(asking({ address: "192.0.2.1" }), caller());
  assert.equal(statusOf(() => limits.enter(asking({ address: "192.0.2.9" }), caller("a"))), 429);
  for (let i = 0; i < 100; i++) limits.enter(asking({ address: "127.0.0.1", local: true }), caller());
  limits.enter(asking({ address: "127.0.0.1", local: false }), caller()); // a proxy of which nothing is known
  assert.equal(statusOf(() => limits.enter(asking({ address: "127.0.0.1" }), caller())), 429);
  assert.equal(limits.clientCount, 4);
});

Deno.test("limits: bytes of uploads, as they are said to be or as they come", () => {
  const limits = new RequestLimits({ uploadBytesPerClient: 1000, uploadBytes: 2500 });
  const enter = (length: number | undefined, address = "192.0.2.1") =>
    limits.enter(asking({ length, address }), caller());
  const long = enter(5000);
  assert.equal(statusOf(() => enter(1)), 429, "it is alone in being let in though it is too long");
  assert.equal(statusOf(() => enter(1, "192.0.2.2")), 503);
  long.leave();
  const first = enter(600);
  const second = enter(undefined);
  second.received!(400);
  assert.equal(limits.uploadBytes, 1000);
  assert.equal(statusOf(() => second.received!(1)), 429);
  assert.equal(first.received, undefined, "what was said counts already");
  first.leave();
  second.received!(10_000);
  second.leave();
  assert.equal(limits.uploadBytes, 0);
  limits.enter(asking({ method: "GET", length: 10 ** 12 }), caller());
  assert.equal(limits.uploadBytes, 0, "a length of what is not read is only words");
});

Deno.test("limits: a network of IPv6 is one client, an address of IPv4 another than the next", () => {
  const same = ["2001:db8:0:1::1", "2001:DB8:0:1:ffff::2", "2001:db8:0:1:2:3:4:5", "2001:0db8:0000:0001::"];
  assert.deepEqual([...new Set(same.map(clientNetwork))], ["2001:db8:0:1::/64"]);
  const different = ["2001:db8:0:2::1", "::1", "fe80::1%eth0", "192.0.2.1", "192.0.2.2", "1::2:3:4:5:6:7"];
  assert.equal(new Set(different.map(clientNetwork)).size, different.length);
  assert.equal(clientNetwork("::ffff:192.0.2.1"), "192.0.2.1");
  assert.equal(clientNetwork("1::2:3:4:5:6:7"), "1:0:2:3::/64");
});

Deno.test("limits: connections of one address and of all", () => {
  const limits = new ConnectionLimits(4, 2, (address) => address === "unix");
  const leave = [limits.enter("192.0.2.1"), limits.enter("192.0.2.1")];
  assert.equal(limits.enter("192.0.2.1"), undefined);
  leave.push(limits.enter("unix"), limits.enter("unix"));
  assert.equal(limits.enter("unix"), undefined, "of all");
  assert.equal(limits.count, 4);
  for (const end of leave) end!();
  assert.equal(limits.count, 0);
  assert.ok(limits.enter("192.0.2.1"));
});

const test = testNeeding(permissions);

test("limits: real connections over the limit are refused, others are not, and room comes back", async () => {
  const limits = new RequestLimits({ requestsPerClient: 30, uploadBytesPerClient: 10_000_000 });
  await using site = new DoorSite({ limits });
  const held: Deno.TcpConn[] = [];
  for (let i = 0; i < 30; i++) held.push(await site.put("blob", 1000));
  await until("30 uploads", () => /requests_in_flight 30$/m.test(site.metrics.text()));
  const refused = await site.get("nix-cache-info");
  assert.equal(refused.status, 429);
  assert.equal(refused.headers.get("retry-after"), "2");
  assert.equal(refused.headers.get("access-control-allow-origin"), "*", "a page can read why");
  assert.match(
    await refused.text(),
    /^Cannot take this now: this client has 30 requests under way; [^\n]+\n$/,
  );
  for (const path of ["healthz", "readyz", "metrics"]) await assertTaken(await site.get(path));
  await assertTaken(await site.get("nix-cache-info", "192.0.2.2"));
  for (const conn of held) conn.close();
  await until("the end of the uploads", () => limits.clientCount === 0);
  await assertTaken(await site.get("nix-cache-info"));
  assert.equal(limits.uploadBytes, 0);
  const told = site.entries.filter(({ status }) => status === 429);
  assert.deepEqual(told.map(({ error }) => error?.kind), ["HttpError"]);
  assert.deepEqual(site.log, [], "a refusal is told with its request, and not once more");
});

test("limits: calls over the limit are refused as their protocols have it", async () => {
  await using site = new DoorSite({ limits: new RequestLimits({ requestsPerClient: 1 }) });
  using _held = await site.put("blob", 1000);
  await until("the upload", () => /requests_in_flight 1$/m.test(site.metrics.text()));
  const call = (type: string) =>
    fetch(`${site.url}/grpc.health.v1.Health/Check`, {
      method: "POST",
      headers: { "content-type": type },
      body: type.includes("json") ? "{}" : new Uint8Array(5),
    });
  const web = await call("application/grpc-web+proto");
  assert.equal(web.status, 200);
  assert.equal(web.headers.get("grpc-status"), "8");
  await web.body?.cancel();
  const connect = await call("application/json");
  assert.equal(connect.status, 429);
  assert.equal(connect.headers.get("retry-after"), "2");
  assert.equal((await connect.json()).code, "resource_exhausted");
});

testNeeding(tool("curl", "curl"))(
  "limits: curl is refused before it sends gigabytes, and asks again",
  async () => {
    const limits = new RequestLimits({ uploadBytesPerClient: 1000 });
    await using site = new DoorSite({ limits });
    const held = await site.put("blob", 900);
    await until("the upload", () => limits.uploadBytes === 900);
    const file = await Deno.makeTempFile();
    try {
      await Deno.truncate(file, 2 * 1024 ** 3); // a hole: nothing on the disk
      for (const more of [[], ["-H", "Expect:"]]) {
        const { stdout } = await new Deno.Command("curl", {
          args: [
            "-sS",
            "-T",
            file,
            "-w",
            "%{http_code} %{size_upload}",
            "-o",
            "/dev/null",
            ...more,
            `${site.url}/blob`,
          ],
        }).output();
        const [status, sent] = new TextDecoder().decode(stdout).split(" ").map(Number);
        assert.equal(status, 429);
        assert.ok(sent < 64 * 1024 ** 2, `${sent} bytes were sent`);
      }
      await Deno.truncate(file, 5000);
      setTimeout(() => held.close(), 500);
      const args = ["-sS", "--retry", "10", "-w", "%{http_code}", "-o", `${file}.answer`]; // it wants to empty it
      const curl = new Deno.Command("curl", { args: [...args, "-T", file, `${site.url}/blob`] });
      const { stdout, stderr } = await curl.output();
      assert.equal(new TextDecoder().decode(stdout), "200", new TextDecoder().decode(stderr));
      assert.ok(site.entries.some(({ status }) => status === 429));
    } finally {
      for (const each of [file, `${file}.answer`]) await Deno.remove(each).catch(() => {});
    }
  },
);

testNeeding(tool("nix", "nix-bin"))("limits: Nix asks again when it was refused", async () => {
  const limits = new RequestLimits({ requestsPerClient: 1 });
  await using site = new DoorSite({ limits });
  const path = pathOf("limited");
  const file = await narFile(await fileNar(noise(100_000)));
  const put = (name: string, body: BodyInit) => fetch(`${site.url}/${name}`, { method: "PUT", body });
  await assertTaken(await put(file.url, file.bytes));
  await assertTaken(await put(narInfoName(path), narInfo(path, file)));
  const held = await site.put("blob", 900);
  await until("the upload", () => limits.uploadBytes === 900);
  const home = await Deno.makeTempDir();
  try {
    until("a refusal", () => site.entries.some(({ status }) => status === 429), 60_000).then(() =>
      held.close()
    );
    const { success, stderr } = await new Deno.Command("nix", {
      args: ["path-info", "--store", site.url, `/nix/store/${path}`],
      env: { HOME: home, NIX_CONFIG: "experimental-features = nix-command flakes\nsubstituters =\n" },
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
    assert.ok(site.entries.some(({ status }) => status === 429));
  } finally {
    await Deno.remove(home, { recursive: true });
  }
});

test("limits: an upload that says no length is cut when there is no more room for it", async () => {
  const limits = new RequestLimits({ uploadBytesPerClient: 100_000 });
  await using site = new DoorSite({ limits });
  using _held = await site.put("blob", 60_000);
  await until("the upload", () => limits.uploadBytes === 60_000);
  using conn = await site.put("blob", "chunked");
  const piece = new TextEncoder().encode("1000\r\n" + "x".repeat(4096) + "\r\n");
  const sending = (async () => {
    for (let i = 0; i < 100; i++) await conn.write(piece);
  })().catch(() => {}); // it is cut off
  assert.equal(await statusOn(conn), 429);
  await sending;
});

test("limits: native gRPC has so many connections and no more, of one address", async () => {
  const log = () => {};
  await using site = new DoorSite();
  const options = readOptions(["--grpc-listen", "127.0.0.1:0"], () => undefined)!;
  const connections = new ConnectionLimits(5, 3, () => false);
  const listening = await listenGrpc(options, site.server.rpc, { log, connections });
  const [, port] = /:(\d+)$/.exec(listening.address)!;
  const open: Deno.TcpConn[] = [];
  /** Whether the server greets whoever connects, or closes at once. */
  const greets = async () => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
    open.push(conn);
    await conn.write(fromText("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")).catch(() => {});
    return typeof await conn.read(new Uint8Array(9)).catch(() => null) === "number";
  };
  try {
    const greeted = [];
    for (let i = 0; i < 5; i++) greeted.push(await greets());
    assert.deepEqual(greeted, [true, true, true, false, false]);
    open.shift()!.close();
    await until("room", () => connections.count === 2);
    assert.equal(await greets(), true);
  } finally {
    for (const conn of open) conn.close();
    listening.stop();
    await listening.finished;
  }
  assert.equal(connections.count, 0);
});
