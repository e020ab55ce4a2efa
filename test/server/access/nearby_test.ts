// Who counts as being on this machine, and who stands behind a proxy.
import assert from "node:assert/strict";
import { NEARBY_ACCESS } from "../../../src/server/access/nearby_access.ts";
import { FormatError } from "../../../src/errors.ts";
import { networksTest } from "../../../src/server/networks.ts";
import { isLoopback, isLoopbackHost, type Peer, seenThrough } from "../../../src/server/peer.ts";
import { guardedSite, told } from "./_tokens.ts";

const NEAR: Peer = { address: "127.0.0.1", local: true };

/** A PUT that stores, from this peer with these headers. */
async function put(
  peer: Peer | undefined,
  headers: Record<string, string>,
  url = "http://localhost:8080/blob",
) {
  const site = guardedSite({}, { access: NEARBY_ACCESS });
  return await told(await site.server.fetch(new Request(url, { method: "PUT", body: "x", headers }), peer));
}

Deno.test("without a key who is on this machine writes, by a loopback name", async () => {
  for (
    const host of [
      "localhost",
      "localhost:8080",
      "LOCALHOST:1",
      "x.localhost",
      "127.0.0.1:80",
      "127.9.9.9",
      "[::1]:8080",
      "[::1]",
    ]
  ) {
    const [status, text] = await put(NEAR, { host });
    assert.equal(status, 200, `${host}: ${text}`);
  }
  for (const address of ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1", "unix"]) {
    assert.ok(isLoopback(address), address);
  }
});

Deno.test("and nobody else: other peers, other names, whoever stands behind a proxy", async () => {
  const refused = /^Cannot let you write: without a token key .* its operator can give it one/;
  const unknown = undefined;
  for (
    const peer of [unknown, { address: "127.0.0.1", local: false }, { address: "192.0.2.1", local: false }]
  ) {
    const [status, text] = await put(peer, { host: "localhost" });
    assert.equal(status, 403, JSON.stringify(peer));
    assert.match(text, refused);
  }
  const hosts = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "192.168.0.1",
    "localhostx",
    "[::2]",
    "0.0.0.0",
    "",
  ];
  for (const host of hosts) {
    assert.equal((await put(NEAR, { host }))[0], 403, host);
  }
  assert.equal((await put(NEAR, {}, "http://evil.example/blob"))[0], 403, "without a Host, that of the URL");
  const headers = [
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
    "via",
    "cf-connecting-ip",
  ];
  for (const header of headers) {
    assert.equal((await put(NEAR, { host: "localhost", [header]: "127.0.0.1" }))[0], 403, header);
  }
  for (
    const name of ["128.0.0.1", "10.0.0.1", "::", "::2", "1127.0.0.1", "127.0.0", "", "127.0.0.1.example"]
  ) {
    assert.ok(!isLoopback(name), name);
    assert.ok(!isLoopbackHost(name), name);
  }
});

Deno.test("without a key reading is open to all, revoking and metrics are not", async () => {
  const site = guardedSite({}, { access: NEARBY_ACCESS });
  assert.equal((await site.send("GET", `${"0".repeat(32)}.narinfo`)).status, 404);
  assert.equal((await site.send("GET", "metrics")).status, 403);
  assert.equal((await site.send("PUT", "token/revoked/abcdefgh")).status, 403);
  const local = { local: true, headers: { host: "localhost" } };
  assert.equal((await site.send("PUT", "token/revoked/abcdefgh", local)).status, 200);
  assert.equal((await site.send("GET", "metrics", local)).status, 404);
});

/** What a proxy at 10.0.0.1 says, and who is believed to have sent it. */
const TOLD: [header: Record<string, string>, address: string][] = [
  [{ "x-forwarded-for": "192.0.2.7" }, "192.0.2.7"],
  [{ "x-forwarded-for": "6.6.6.6, 192.0.2.7" }, "192.0.2.7"],
  [{ "x-forwarded-for": "6.6.6.6, 192.0.2.7, 10.0.0.2" }, "192.0.2.7"],
  [{ "x-forwarded-for": "10.0.0.3" }, "10.0.0.3"],
  [{ "x-forwarded-for": "192.0.2.7:4711" }, "192.0.2.7"],
  [{ "x-forwarded-for": "2001:db8::7" }, "2001:db8::7"],
  [{ "x-forwarded-for": "[2001:DB8::7]:4711" }, "2001:db8::7"],
  [{ "x-forwarded-for": "rubbish" }, "10.0.0.1"],
  [{ "x-forwarded-for": "6.6.6.6, rubbish" }, "10.0.0.1"],
  [{ "x-forwarded-for": "" }, "10.0.0.1"],
  [{ forwarded: "for=192.0.2.7;proto=https" }, "192.0.2.7"],
  [{ forwarded: 'by=10.0.0.1; FOR="[2001:db8::7]:4711"' }, "2001:db8::7"],
  [{ forwarded: "for=6.6.6.6, for=192.0.2.7" }, "192.0.2.7"],
  [{ forwarded: "for=_hidden" }, "10.0.0.1"],
  [{ forwarded: "for=unknown" }, "10.0.0.1"],
  [{ forwarded: "for=192.0.2.7", "x-forwarded-for": "192.0.2.7" }, "192.0.2.7"],
  [{ forwarded: "for=6.6.6.6", "x-forwarded-for": "192.0.2.7" }, "10.0.0.1"],
  [{ forwarded: "for=192.0.2.7", "x-forwarded-for": "6.6.6.6" }, "10.0.0.1"],
  [{}, "10.0.0.1"],
];

Deno.test("of a trusted proxy is believed whom it asks for, and nothing the client wrote before", () => {
  const trusted = networksTest(["10.0.0.0/8"]);
  for (const [header, address] of TOLD) {
    const seen = seenThrough({ address: "10.0.0.1", local: false }, new Headers(header), trusted);
    assert.deepEqual(seen, { address, local: false }, JSON.stringify(header));
    const untrusted = seenThrough({ address: "11.0.0.1", local: false }, new Headers(header), trusted);
    assert.equal(untrusted.address, "11.0.0.1", JSON.stringify(header));
  }
  const onThisMachine = seenThrough(NEAR, new Headers(), networksTest(["127.0.0.1"]));
  assert.equal(onThisMachine.local, false, "a proxy on this machine asks for others");
});

Deno.test("networks are read strictly", () => {
  const inside: [string, string][] = [
    ["10.0.0.0/8", "10.255.0.1"],
    ["10.0.0.0/8", "::ffff:10.1.2.3"],
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0/0", "8.8.8.8"],
    ["2001:db8::/32", "2001:db8:ffff::1"],
    ["2001:DB8::1", "2001:db8:0:0:0:0:0:1"],
    ["fe80::/10", "fe80::1%eth0"],
    ["unix", "unix"],
  ];
  for (const [network, address] of inside) {
    assert.ok(networksTest([network])(address), `${network} ${address}`);
  }
  const outside: [string, string][] = [
    ["10.0.0.0/8", "11.0.0.0"],
    ["192.0.2.1", "192.0.2.10"],
    ["0.0.0.0/0", "::1"],
    ["2001:db8::/32", "2001:db9::1"],
    ["unix", "127.0.0.1"],
    ["127.0.0.1", "unix"],
  ];
  for (const [network, address] of outside) {
    assert.ok(!networksTest([network])(address), `${network} ${address}`);
  }
  for (
    const bad of [
      "",
      "10.0.0.0/33",
      "10.0.0",
      "256.0.0.1",
      "::/129",
      "1:2:3:4:5:6:7:8:9",
      "a::b::c",
      "proxy.example",
      "10.0.0.0/",
      "10.0.0.0/-1",
      ":",
      ":::",
    ]
  ) {
    assert.throws(() => networksTest([bad]), FormatError, bad);
  }
});
