// Contents over plain HTTP: blobs, Directories and path infos, for pages and simple tools.
import assert from "node:assert/strict";
import { toBase64Url } from "../../src/bytes/base64.ts";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { blake3 } from "../../src/hash/blake3.ts";
import { encodePathInfo } from "../../src/store/messages.ts";
import { permissions } from "../needs.ts";
import { Listening, RawRequest } from "./_wire.ts";
import { assertRefused, compress, fileNar, narFile, noise, pathOf, type Site, siteTest } from "./_site.ts";

// Vectors of the castore fixtures, computed by others.
const HELLO = fromText("Hello World!");
const HELLO_HEX = "5ca7815adcb484e9a136c11efe69c1d530176d549b5d18d038eb5280b4b3470c";
const HELLO_TEXT = "blake3-XKeBWty0hOmhNsEe/mnB1TAXbVSbXRjQOOtSgLSzRww=";
const HELLO_URL = "XKeBWty0hOmhNsEe_mnB1TAXbVSbXRjQOOtSgLSzRww";
const EMPTY_HEX = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
const KEEP_HEX = "8b5b5d642b646bb8ed504b0862c39413e87e57491497de7bd075953f7b83810e";
const KEEP = fromHex(`12290a052e6b6565701220${EMPTY_HEX}`);
const COMPLICATED_HEX = "3f951a15afd586fb3121ef4d13d582e811ce0e5a7f21c0497fd87490e9e2355a";
const COMPLICATED = fromHex(
  `0a2a0a046b6565701220${KEEP_HEX}1801` + `12290a052e6b6565701220${EMPTY_HEX}` +
    "1a1e0a02616112182f6e69782f73746f72652f736f6d657768657265656c7365",
);
const COMPLICATED_TEXT = "blake3-P5UaFa/VhvsxIe9NE9WC6BHODlp/IcBJf9h0kOniNVo=";

/** Messages of under 128 bytes, or of 128 to 16383, each behind its length. */
function sequence(...messages: Bytes[]): Bytes {
  const length = (n: number) => n < 128 ? Uint8Array.of(n) : Uint8Array.of(n % 128 + 128, n >> 7);
  return concat(messages.flatMap((message) => [length(message.length), message]));
}

async function bytesOf(answer: Response): Promise<Bytes> {
  assert.equal(answer.status, 200, `status ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function jsonOf(answer: Response): Promise<unknown> {
  const text = await answer.text();
  assert.equal(answer.status, 200, text);
  assert.match(answer.headers.get("content-type") ?? "", /^application\/json/);
  return JSON.parse(text);
}

siteTest("a blob that was put is told by its digest, and found by it in both spellings", async (site) => {
  await assertRefused(await site.get(`blob/${HELLO_URL}`), 404, /Not Found/);
  assert.deepEqual(await jsonOf(await site.put("blob", HELLO)), { digest: HELLO_TEXT, size: 12 });
  for (const name of [HELLO_URL, HELLO_HEX, HELLO_HEX.toUpperCase()]) {
    const answer = await site.get(`blob/${name}`);
    assert.equal(answer.headers.get("content-type"), "application/octet-stream");
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.equal(answer.headers.get("content-length"), "12");
    assert.match(answer.headers.get("cache-control") ?? "", /immutable/);
    assert.deepEqual(await bytesOf(answer), HELLO);
    const head = await site.send("HEAD", `blob/${name}`);
    assert.equal(head.status, 200);
    assert.equal(head.headers.get("content-length"), "12");
    assert.equal(head.headers.get("etag"), answer.headers.get("etag"));
    assert.equal((await head.arrayBuffer()).byteLength, 0);
  }
});

siteTest("the empty blob, and one of many chunks, come back as they went", async (site) => {
  assert.deepEqual(await jsonOf(await site.put("blob", new Uint8Array(0))), {
    digest: "blake3-rxNJufX5oaagQE3qNtzJSZvLJcmtwRK3zJqTyuQfMmI=",
    size: 0,
  });
  assert.equal((await bytesOf(await site.get(`blob/${EMPTY_HEX}`))).length, 0);
  const long = new Uint8Array(255 * 4096).map((_, i) => i % 255);
  await jsonOf(await site.put("blob", long));
  const name = "a82c5154a7a0c262c6fdb929a317585646f8fbcf80326d0a7b8747edaf2d99d2";
  assert.deepEqual(await bytesOf(await site.get(`blob/${name}`)), long);
  const part = await site.get(`blob/${name}`, { range: "bytes=600000-900000" });
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), `bytes 600000-900000/${long.length}`);
  assert.equal(part.headers.get("content-length"), "300001");
  assert.deepEqual(new Uint8Array(await part.arrayBuffer()), long.slice(600_000, 900_001));
});

siteTest("ranges and conditions of a blob", async (site) => {
  await jsonOf(await site.put("blob", HELLO));
  const path = `blob/${HELLO_URL}`;
  const etag = (await site.send("HEAD", path)).headers.get("etag")!;
  const text = async (headers: HeadersInit) => {
    const answer = await site.get(path, headers);
    return [answer.status, await answer.text()];
  };
  assert.deepEqual(await text({ range: "bytes=6-10" }), [206, "World"]);
  assert.deepEqual(await text({ range: "bytes=-6" }), [206, "World!"]);
  assert.deepEqual(await text({ range: "bytes=6-" }), [206, "World!"]);
  assert.deepEqual(await text({ range: "bytes=0-0", "if-range": etag }), [206, "H"]);
  assert.deepEqual(await text({ range: "bytes=0-0", "if-range": '"other"' }), [200, "Hello World!"]);
  assert.deepEqual(await text({ "if-none-match": etag }), [304, ""]);
  assert.deepEqual(await text({ "if-none-match": '"other"' }), [200, "Hello World!"]);
  const beyond = await site.get(path, { range: "bytes=12-" });
  assert.equal(beyond.headers.get("content-range"), "bytes */12");
  await assertRefused(beyond, 416, /the blob has 12 bytes/);
});

siteTest("a claimed digest is proven, and nothing is visible of what is not it", async (site) => {
  assert.deepEqual(await jsonOf(await site.put(`blob/${HELLO_HEX}`, HELLO)), {
    digest: HELLO_TEXT,
    size: 12,
  });
  for (const length of [12, 3_000_000]) {
    const other = noise(length, 7);
    await assertRefused(
      await site.put(`blob/${HELLO_URL}`, other),
      400,
      /^Cannot accept blob digest blake3-XKeBWty0hOmh\S+: the bytes give blake3-/,
    );
    await assertRefused(await site.get(`blob/${toHex(blake3(other))}`), 404, /Not Found/);
  }
  for (const name of ["x", HELLO_HEX.slice(1), `${HELLO_URL}A`, HELLO_TEXT.replace("/", "%2F"), ""]) {
    for (const method of ["GET", "PUT"]) {
      const body = method === "PUT" ? "x" : null;
      const answer = await site.send(method, `blob/${name}`, { body });
      assert.equal(answer.status, 404, `${method} blob/${name}`);
      await answer.body?.cancel();
    }
  }
  // Of the right length, but with bits beyond the last byte.
  await assertRefused(await site.get(`blob/${HELLO_URL.slice(0, 42)}x`), 400, /Cannot read base64/);
});

siteTest("a blob may come compressed on its way", async (site) => {
  const answer = await site.put("blob", await compress("gzip", HELLO), { "content-encoding": "gzip" });
  assert.deepEqual(await jsonOf(answer), { digest: HELLO_TEXT, size: 12 });
  await assertRefused(await site.put("blob", HELLO, { "content-encoding": "gzip" }), 400, /gzip/);
  await assertRefused(await site.put("blob", HELLO, { "content-encoding": "lzw" }), 415, /Content-Encoding/);
});

siteTest("a closure of Directories goes in leaves first and comes out root first", async (site) => {
  const missing = await site.get(`directory/${COMPLICATED_HEX}?recursive`);
  await assertRefused(missing, 404, /Not Found/);
  const answer = await site.put("directory", sequence(KEEP, COMPLICATED));
  assert.deepEqual(await jsonOf(answer), { digest: COMPLICATED_TEXT });
  for (const name of [COMPLICATED_HEX, toBase64Url(fromHex(COMPLICATED_HEX))]) {
    const one = await site.get(`directory/${name}`);
    assert.equal(one.headers.get("content-type"), "application/x-protobuf");
    assert.deepEqual(await bytesOf(one), COMPLICATED);
    const closure = await site.get(`directory/${name}?recursive`);
    assert.deepEqual(await bytesOf(closure), sequence(COMPLICATED, KEEP));
    for (const query of ["", "?recursive"]) {
      const head = await site.send("HEAD", `directory/${name}${query}`);
      assert.deepEqual([head.status, (await head.arrayBuffer()).byteLength], [200, 0]);
    }
  }
  assert.deepEqual(await bytesOf(await site.get(`directory/${KEEP_HEX}`)), KEEP);
  await assertRefused(await site.get(`directory/${HELLO_HEX}`), 404, /Not Found/);
});

siteTest("Directories in pieces of any size, and one of many entries", async (site) => {
  const entries = Array.from({ length: 150 }, (_, i) => {
    const name = fromText(`file-${String(i).padStart(4, "0")}`);
    const entry = concat([Uint8Array.of(0x0a, name.length), name, fromHex(`1220${EMPTY_HEX}`)]);
    return concat([Uint8Array.of(0x12, entry.length), entry]);
  });
  const many = concat(entries);
  assert.ok(many.length > 128 && many.length < 16_384);
  const whole = sequence(many);
  for (const size of [1, 7, whole.length]) {
    let at = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        if (at >= whole.length) controller.close();
        else controller.enqueue(whole.slice(at, at += size));
      },
    });
    const request = new Request("http://firn.test/directory", { method: "PUT", body });
    const { digest } = await jsonOf(await site.app.fetch(request)) as { digest: string };
    assert.equal(digest, "blake3-" + btoa(String.fromCharCode(...blake3(many))));
  }
});

siteTest("what is no closure is refused, by what is wrong with it", async (site) => {
  const cases: [string, Bytes, number, RegExp][] = [
    ["nothing", new Uint8Array(0), 400, /there are none/],
    ["the root alone", sequence(COMPLICATED), 400, /did not come before/],
    ["root first", sequence(COMPLICATED, KEEP), 400, /did not come before/],
    ["not connected", sequence(KEEP, new Uint8Array(0)), 400, /not all connected/],
    ["garbage", sequence(Uint8Array.of(9, 9)), 400, /Cannot read Directory/],
    ["cut in a message", sequence(KEEP, COMPLICATED).slice(0, -1), 400, /ends within a Directory/],
    ["cut in a length", Uint8Array.of(0x80), 400, /ends within a Directory/],
    ["a length of many bytes", Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80, 0), 400, /over 5 bytes/],
    ["a length over the limit", Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f), 413, /over 2000 bytes/],
    [
      "a message over the limit",
      concat([Uint8Array.of(2001 % 128 + 128, 2001 >> 7), noise(2001)]),
      413,
      /over 2000/,
    ],
  ];
  for (const [what, body, status, why] of cases) {
    await assertRefused(await site.put("directory", body), status, why);
    assert.equal((await site.get(`directory/${COMPLICATED_HEX}`)).status, 404, what);
  }
}, { maxMessageBytes: 2000 });

/** A path whose contents are stored, and the PathInfo message of it. */
async function stored(site: Site, name: string): Promise<{ hashPart: string; message: Bytes }> {
  const path = pathOf(name);
  await site.publish(path, await narFile(await fileNar(name)));
  const info = await site.services.pathInfos.get(path.slice(0, 32));
  return { hashPart: path.slice(0, 32), message: encodePathInfo(info!) };
}

siteTest("a path info is read, and put again", async (site) => {
  const { hashPart, message } = await stored(site, "told");
  const answer = await site.get(`path-info/${hashPart}`);
  assert.equal(answer.headers.get("content-type"), "application/x-protobuf");
  assert.deepEqual(await bytesOf(answer), message);
  assert.equal((await site.send("HEAD", `path-info/${hashPart}`)).status, 200);
  assert.deepEqual(await bytesOf(await site.put("path-info", message)), message);
  for (const name of [pathOf("other").slice(0, 32), "e".repeat(32), "x", hashPart.slice(1)]) {
    await assertRefused(await site.get(`path-info/${name}`), 404, /Not Found/);
  }
  // The same path with another claim: what is stored stays.
  const info = (await site.services.pathInfos.get(hashPart))!;
  const changed = encodePathInfo({ ...info, deriver: { hashPart, name: "maker.drv" } });
  await assertRefused(await site.put("path-info", changed), 409, /Cannot change .*Deriver/);
  assert.deepEqual(await bytesOf(await site.get(`path-info/${hashPart}`)), message);
  await assertRefused(await site.put("path-info", message.slice(0, -1)), 400, /Cannot read PathInfo/);
  await assertRefused(await site.put("path-info", new Uint8Array(0)), 400, /Cannot read PathInfo/);
  await assertRefused(await site.put("path-info", noise(2001)), 413, /over 2000 bytes/);
}, { maxMessageBytes: 2000 });

siteTest("other methods are refused, and nothing of Nix's is in the way", async (site) => {
  for (const path of ["blob", `blob/${HELLO_HEX}`, "directory", "path-info"]) {
    for (const method of ["POST", "DELETE", "PATCH"]) {
      await assertRefused(await site.send(method, path), 405, /Not Allowed/);
    }
  }
  for (const path of ["blob", "directory", "path-info", "blobs", "directories/x"]) {
    await assertRefused(await site.get(path), 404, /Not Found/);
  }
});

siteTest("pages of other origins that may write read and write contents, after asking", async (site) => {
  for (const path of ["blob", `blob/${HELLO_HEX}`, "directory", "path-info"]) {
    const answer = await site.send("OPTIONS", path, {
      headers: {
        origin: "https://page.example",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "content-type",
      },
    });
    assert.equal(answer.status, 204);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    assert.equal(answer.headers.get("access-control-allow-credentials"), null);
    const methods = answer.headers.get("access-control-allow-methods")!.split(",").map((name) => name.trim());
    assert.deepEqual(methods.sort(), ["GET", "HEAD", "POST", "PUT"]);
    const headers = answer.headers.get("access-control-allow-headers")!.toLowerCase();
    for (const name of ["content-type", "range", "if-none-match"]) assert.ok(headers.includes(name), headers);
  }
  const put = await site.put("blob", HELLO, { origin: "https://page.example" });
  assert.equal(put.headers.get("access-control-allow-origin"), "*");
  await put.body?.cancel();
  const refused = await site.get("blob/x", { origin: "https://page.example" });
  assert.equal(refused.headers.get("access-control-allow-origin"), "*");
  await refused.body?.cancel();
}, { writingOrigins: ["https://page.example"] });

siteTest("an upload that stalls, or breaks off, leaves nothing", async (site) => {
  await using listening = new Listening(site);
  const bytes = noise(2_000_000, 5);
  const name = toHex(blake3(bytes));
  for (const path of ["blob", `blob/${name}`]) {
    using request = await RawRequest.put(listening.url, path, bytes.length);
    await request.send(bytes.subarray(0, 1_500_000));
    const { status, body } = await request.response();
    assert.deepEqual([status, /nothing came for/.test(body)], [408, true]);
  }
  {
    using request = await RawRequest.put(listening.url, "blob", bytes.length);
    await request.send(bytes.subarray(0, 1_500_000));
  }
  using stalled = await RawRequest.put(listening.url, "directory", 100);
  await stalled.send(sequence(KEEP));
  assert.equal((await stalled.response()).status, 408);
  await assertRefused(await site.get(`blob/${name}`), 404, /Not Found/);
  const put = await fetch(`${listening.url}/blob/${name}`, { method: "PUT", body: bytes });
  assert.deepEqual((await jsonOf(put) as { size: number }).size, bytes.length);
}, { needs: [permissions], stallMs: 400 });
