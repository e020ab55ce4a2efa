/** Who writes through a browser: pages of the server's own origin, and of those that were allowed. */
import assert from "node:assert/strict";
import { permissions } from "../needs.ts";
import { assertRefused, type Site, siteTest } from "./_site.ts";
import { Listening } from "./_wire.ts";

const PAGE = "https://page.example";
const WEB = { "content-type": "application/grpc-web+proto" };
const EMPTY_MESSAGE = new Uint8Array(5);

/** Requests that write, each with the status it has when it may. */
const WRITES: [
  method: string,
  path: string,
  headers: Record<string, string>,
  body: BodyInit,
  status: number,
][] = [
  ["PUT", "blob", {}, "x", 200],
  ["PUT", "directory", {}, "", 400],
  ["PUT", "path-info", {}, "", 400],
  ["PUT", `nar/${"0".repeat(52)}.nar`, {}, "x", 400],
  ["PUT", `${"0".repeat(32)}.narinfo`, {}, "x", 400],
  ["PUT", `log/${"0".repeat(32)}-x.drv`, {}, "x", 200],
  ["POST", "snix.castore.v1.BlobService/Put", WEB, EMPTY_MESSAGE, 200],
  ["POST", "tvix.castore.v1.DirectoryService/Put", WEB, EMPTY_MESSAGE, 200],
  ["POST", "tvix.store.v1.PathInfoService/Put", { "content-type": "application/json" }, "{}", 400],
];

async function statuses(site: Site, origin: string | undefined): Promise<number[]> {
  const all: number[] = [];
  for (const [method, path, headers, body] of WRITES) {
    const answer = await site.send(method, path, {
      body,
      headers: { ...headers, ...(origin !== undefined && { origin }) },
    });
    await answer.body?.cancel();
    all.push(answer.status);
  }
  return all;
}

const TAKEN = WRITES.map(([, , , , status]) => status);

siteTest("pages of other origins do not write, and read why", async (site) => {
  for (const origin of [PAGE, "null", "http://firn.test.evil", "http://firn.test:81"]) {
    assert.deepEqual(await statuses(site, origin), WRITES.map(() => 403), origin);
  }
  const refused = await site.put("blob", "x", { origin: PAGE });
  assert.equal(refused.headers.get("access-control-allow-origin"), "*");
  await assertRefused(refused, 403, /a page of https:\/\/page\.example: .*--allow-origin/);
});

siteTest("the server's own pages write, and whoever is no page", async (site) => {
  for (const origin of ["http://firn.test", "https://firn.test", undefined]) {
    assert.deepEqual(await statuses(site, origin), TAKEN, `${origin}`);
  }
});

siteTest("pages of an origin that was allowed write, and no others", async (site) => {
  assert.deepEqual(await statuses(site, PAGE), TAKEN);
  assert.deepEqual(await statuses(site, "https://other.example"), WRITES.map(() => 403));
}, { writingOrigins: [PAGE] });

siteTest("pages of all origins write where all were allowed", async (site) => {
  for (const origin of [PAGE, "null"]) assert.deepEqual(await statuses(site, origin), TAKEN);
}, { writingOrigins: ["*"] });

siteTest("pages of other origins read by every way", async (site) => {
  const headers = { origin: PAGE };
  for (const path of ["nix-cache-info", "blob/x", "directory/x", "path-info/x"]) {
    const answer = await site.send("GET", path, { headers });
    assert.notEqual(answer.status, 403, path);
    await answer.body?.cancel();
  }
  for (const path of ["snix.castore.v1.BlobService/Read", "grpc.health.v1.Health/Check"]) {
    const answer = await site.send("POST", path, { body: EMPTY_MESSAGE, headers: { ...headers, ...WEB } });
    assert.equal(answer.status, 200, path);
    await answer.body?.cancel();
  }
});

siteTest(
  "a page of another origin opens no WebSocket to write, which no preflight would ask for",
  async (site) => {
    await using listening = new Listening(site);
    const { port } = new URL(listening.url);
    for (const [method, expected] of [["Put", 403], ["Read", 101]] as const) {
      using conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
      await conn.write(
        new TextEncoder().encode(
          `GET /snix.castore.v1.BlobService/${method} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: ${PAGE}\r\n` +
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: grpc-websockets\r\n\r\n",
        ),
      );
      const answer = new Uint8Array(64);
      await conn.read(answer);
      assert.match(new TextDecoder().decode(answer), new RegExp(`^HTTP/1.1 ${expected} `), method);
    }
  },
  {
    needs: [permissions],
    upgradeWebSocket: (request, protocol) => Deno.upgradeWebSocket(request, { protocol }),
  },
);
