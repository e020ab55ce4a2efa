// Clients that read nothing, or send next to nothing: they hold neither memory nor a place for ever.
import assert from "node:assert/strict";
import { concat, fromText } from "../../src/bytes/bytes.ts";
import { toBase64Url } from "../../src/bytes/base64.ts";
import { RequestLimits } from "../../src/server/limits.ts";
import { permissions, testNeeding } from "../needs.ts";
import { DoorSite, statusOn } from "./_door_site.ts";
import { noise } from "./_site.ts";
import { until } from "./_wire.ts";

const STALL_MS = 400;
const test = testNeeding(permissions);
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

test("a client that reads nothing of an answer is left, and its place is free again", async () => {
  const limits = new RequestLimits();
  await using site = new DoorSite({ stallMs: STALL_MS, limits });
  const { digest } = await site.services.blobs.put(noise(20_000_000));
  const conns: Deno.TcpConn[] = [];
  using _closing = {
    [Symbol.dispose]: () => {
      for (const conn of conns) conn.close(); // or the server would wait for them, should this fail
    },
  };
  for (let i = 0; i < 100; i++) {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(site.url).port) });
    await conn.write(fromText(`GET /blob/${toBase64Url(digest)} HTTP/1.1\r\nhost: firn.test\r\n\r\n`));
    conns.push(conn);
  }
  await until("all to be left", () => site.entries.length === 100, 60_000);
  assert.equal(limits.clientCount, 0);
  assert.match(site.metrics.text(), /requests_in_flight 0$/m);
  for (const { status, ended, error, sent } of site.entries) {
    assert.deepEqual([status, ended, error?.kind], [200, "left", "HttpError"]);
    assert.match(error!.message, /^Cannot finish the answer: nothing of it was read for \d+ seconds$/);
    assert.ok(sent < 20_000_000);
  }
  // What such a client finds when it reads on after all is no whole answer.
  let length = 0;
  const buffer = new Uint8Array(1024 * 1024);
  for (let got; (got = await conns[0].read(buffer).catch(() => null)) !== null;) length += got;
  assert.ok(length < 20_000_000, `${length} bytes came`);
});

test("a client that reads slowly, but steadily, gets it all", async () => {
  const stallMs = 3000;
  await using site = new DoorSite({ stallMs });
  const bytes = noise(20_000_000);
  const { digest } = await site.services.blobs.put(bytes);
  using conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(new URL(site.url).port) });
  await conn.write(
    fromText(`GET /blob/${toBase64Url(digest)} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`),
  );
  let waits = 0; // together longer than the client may stall
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const buffer = new Uint8Array(100_000);
  for (let got; (got = await conn.read(buffer)) !== null;) {
    parts.push(buffer.slice(0, got));
    if (parts.length % 10 === 0 && waits++ < 15) await pause(stallMs / 10);
  }
  const all = concat(parts);
  assert.ok(all.length > bytes.length);
  assert.deepEqual(all.subarray(all.length - bytes.length), bytes);
  await until("its line", () => site.entries.length === 1);
  assert.deepEqual([site.entries[0].ended, site.entries[0].sent], [undefined, bytes.length]);
});

test("a client that goes away in the middle of an answer is told of as one", async () => {
  await using site = new DoorSite({ stallMs: 60_000 });
  const { digest } = await site.services.blobs.put(noise(20_000_000));
  const leaving = new AbortController();
  const response = await fetch(`${site.url}/blob/${toBase64Url(digest)}`, { signal: leaving.signal });
  await response.body!.getReader().read();
  leaving.abort();
  await until("its line", () => site.entries.length === 1);
  const [{ status, ended, error }] = site.entries;
  assert.deepEqual([status, ended, error], [200, "left", undefined]);
  assert.match(site.metrics.text(), /^firn_left_total 1$/m);
});

test("a client that drips an upload, a byte now and then, is refused", async () => {
  await using site = new DoorSite({ stallMs: STALL_MS });
  using conn = await site.put("blob", 100_000);
  const answered = statusOn(conn);
  let over = false;
  const dripping = (async () => {
    while (!over) {
      await conn.write(new Uint8Array(1));
      await pause(STALL_MS / 10); // never nothing for so long that it would be stalled
    }
  })().catch(() => {}); // it is cut off
  assert.equal(await answered, 408);
  over = true;
  await dripping;
  await until("its line", () => site.entries.length === 1);
  assert.match(
    site.entries[0].error!.message,
    /^Cannot take the upload: only \d+ bytes came in \d+ seconds$/,
  );
});
