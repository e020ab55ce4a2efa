// What lies beside NARs and narinfos: logs, realisations, debug information, listings.
import assert from "node:assert/strict";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { bzip2, xz } from "../needs.ts";
import {
  assertRefused,
  assertTaken,
  compress,
  fileNar,
  narFile,
  narOf,
  noise,
  pathOf,
  siteTest,
  treeNar,
} from "./_site.ts";

const DRV = `${pathOf("made-it")}.drv`;
const REALISATION = `realisations/sha256:${"ab".repeat(32)}!out.doi`;
const TRACE = `build-trace-v2/${DRV}/out.doi`;
const DEBUG = `debuginfo/${"c0".repeat(20)}.debug`;
const JSON_FILES = [REALISATION, TRACE, DEBUG, `debuginfo/${"c0".repeat(20)}`];

siteTest("a log is served as it was sent, with its Content-Encoding", async (site) => {
  const log = fromText("building…\n".repeat(1000));
  for (const encoding of ["none", "gzip", "br", "zstd", "xz", "bzip2"]) {
    const path = `log/${pathOf(encoding)}.drv`;
    const body = await compress(encoding, log);
    const headers = encoding === "none" ? undefined : { "content-encoding": encoding };
    await assertTaken(await site.put(path, body, headers));
    for (const method of ["GET", "HEAD"]) {
      const answer = await site.send(method, path);
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("content-encoding"), encoding === "none" ? null : encoding);
      assert.equal(answer.headers.get("content-length"), String(body.length));
      assert.match(answer.headers.get("content-type")!, /^text\/plain/);
      const got = await answer.bytes();
      assert.deepEqual(got, method === "GET" ? body : new Uint8Array(0));
    }
  }
}, { needs: [xz, bzip2] });

siteTest("a log of several chunks, an empty one, and one put again", async (site) => {
  for (const bytes of [noise(3_000_000), new Uint8Array(0), fromText("short")]) {
    await assertTaken(await site.put(`log/${DRV}`, bytes));
    assert.deepEqual(await (await site.get(`log/${DRV}`)).bytes(), bytes);
  }
});

siteTest("a log is not a way to put a page on this origin", async (site) => {
  const page = "<script>alert(1)</script>";
  const answer = await site.put(`log/${DRV}`, page, { "content-type": "text/html" });
  await answer.body?.cancel();
  if (answer.status >= 400) return;
  const served = await site.get(`log/${DRV}`);
  await served.body?.cancel();
  assert.ok(
    !/html/.test(served.headers.get("content-type") ?? "") ||
      /sandbox/.test(served.headers.get("content-security-policy") ?? ""),
    "it is served as a page",
  );
});

siteTest("JSON files are served as they were sent", async (site) => {
  for (const path of JSON_FILES) {
    const json = fromText(JSON.stringify({ path, other: [1, 2, "ü"] }));
    for (const encoding of ["none", "zstd"]) {
      const body = await compress(encoding, json);
      const headers = encoding === "none" ? undefined : { "content-encoding": encoding };
      await assertTaken(await site.put(path, body, headers));
      const answer = await site.get(path);
      assert.equal(answer.headers.get("content-type"), "application/json");
      assert.equal(answer.headers.get("content-encoding"), encoding === "none" ? null : encoding);
      assert.deepEqual(await answer.bytes(), body);
    }
  }
});

siteTest("JSON files that are none are refused, and what was there stays", async (site) => {
  const bad: [Bytes, Record<string, string>, number, RegExp][] = [
    [fromText("{"), {}, 400, /^Cannot take the file: it is not a JSON object/],
    [fromText(""), {}, 400, /not a JSON object/],
    [fromText("null"), {}, 400, /not a JSON object/],
    [fromText("3"), {}, 400, /not a JSON object/],
    [fromText('"text"'), {}, 400, /not a JSON object/],
    [Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d), {}, 400, /not a JSON object/],
    [fromText("{}"), { "content-encoding": "gzip" }, 400, /^Cannot decompress gzip/],
    [fromText("{}"), { "content-encoding": "lz4" }, 415, /^Cannot take Content-Encoding lz4/],
    [concat([fromText("{}"), new Uint8Array(8 * 1024 * 1024).fill(0x20)]), {}, 413, /over 8388608 bytes/],
  ];
  for (const path of JSON_FILES) {
    for (const [body, headers, status, why] of bad) {
      await assertRefused(await site.put(path, body, headers), status, why);
      await assertRefused(await site.get(path), 404, /404 Not Found/);
    }
    await assertTaken(await site.put(path, "{}"));
    await assertRefused(await site.put(path, "{"), 400, /not a JSON object/);
    assert.equal(await (await site.get(path)).text(), "{}");
  }
});

siteTest("a JSON file that is a bomb is refused", async (site) => {
  const member = await compress("gzip", new Uint8Array(16 * 1024 * 1024).fill(0x20));
  const bomb = concat([await compress("gzip", fromText("{}")), ...Array(32).fill(member)]); // 512 MiB of spaces
  const answer = await site.put(REALISATION, bomb, { "content-encoding": "gzip" });
  await assertRefused(answer, 413, /bytes/);
  assert.equal((await site.get(REALISATION)).status, 404);
});

siteTest("a log over the bound is refused", async (site) => {
  await assertRefused(
    await site.put(`log/${DRV}`, new Uint8Array(64 * 1024 * 1024 + 1)),
    413,
    /over 67108864/,
  );
  await assertRefused(await site.get(`log/${DRV}`), 404, /404 Not Found/);
});

siteTest("names of side files that cannot be are refused", async (site) => {
  const names = [
    ...["log/a/b", "log/a%2fb", "log/", "log/ü", "log/a%00", `log/${"x".repeat(256)}`],
    ...["realisations/a/b", "realisations/", `realisations/${"x".repeat(401)}`, "realisations/a b"],
    ...["build-trace-v2/a", "build-trace-v2/a/b/c", "build-trace-v2//b"],
    ...[
      "debuginfo/xyz",
      "debuginfo/c0",
      `debuginfo/${"c0".repeat(20)}.debug.debug`,
      `debuginfo/${"C0".repeat(20)}`,
    ],
  ];
  for (const name of names) {
    for (const answer of [await site.put(name, "{}"), await site.get(name)]) {
      assert.ok([400, 404].includes(answer.status), `${answer.status} for ${name.slice(0, 60)}`);
      await answer.body?.cancel();
    }
  }
});

siteTest("the longest names work or are refused", async (site) => {
  const names = [
    `log/${"x".repeat(255)}`,
    `realisations/${"x".repeat(400)}`,
    `build-trace-v2/${"x".repeat(255)}/${"y".repeat(255)}`,
    `debuginfo/${"a".repeat(64)}`,
  ];
  for (const name of names) {
    const put = await site.put(name, "{}");
    await put.body?.cancel();
    const get = await site.get(name);
    await get.body?.cancel();
    const expected = put.status === 200 ? 200 : 404;
    assert.ok(put.status === 200 || put.status === 400 || put.status === 404, `PUT ${name}: ${put.status}`);
    assert.equal(get.status, expected, `GET ${name.slice(0, 20)}…`);
  }
});

siteTest("a listing is worked out from what is stored, not from what was sent", async (site) => {
  const path = pathOf("listed");
  const name = `${path.slice(0, 32)}.ls`;
  const nar = await treeNar({ "a.sh": "#!/bin/sh\n", dir: { empty: "", link: { link: "../a.sh" } } });
  // Nix sends it before the narinfo.
  await assertTaken(
    await site.put(name, '{"version":1,"root":{"type":"regular"}}', { "content-encoding": "br" }),
  );
  await assertRefused(await site.get(name), 404, /404 Not Found/);
  await site.publish(path, await narFile(nar, "xz"));
  const answer = await site.get(name);
  assert.equal(answer.headers.get("content-type"), "application/json");
  const { version, root } = await answer.json();
  assert.equal(version, 1);
  assert.deepEqual(Object.keys(root.entries), ["a.sh", "dir"]);
  const { narOffset, ...file } = root.entries["a.sh"];
  assert.deepEqual(file, { type: "regular", size: 10, executable: true });
  assert.deepEqual(nar.slice(narOffset, narOffset + 10), fromText("#!/bin/sh\n"));
  assert.deepEqual(root.entries.dir.entries.link, { type: "symlink", target: "../a.sh" });
  assert.equal(root.entries.dir.entries.empty.size, 0);
}, { needs: [xz] });

siteTest("a listing of names that are not UTF-8 is refused, and their NAR is served", async (site) => {
  const latin = Uint8Array.of(0x63, 0x61, 0x66, 0xe9);
  const nar = await narOf([
    { type: "directory", name: new Uint8Array(0) },
    { type: "symlink", name: latin, target: latin },
    { type: "end" },
  ]);
  const path = pathOf("latin");
  const file = await narFile(nar);
  await site.publish(path, file);
  assert.deepEqual(await (await site.get(file.url)).bytes(), nar);
  const answer = await site.get(`${path.slice(0, 32)}.ls`);
  assert.ok([400, 404].includes(answer.status), `${answer.status}`);
  assert.match(await answer.text(), /^[^\n]+\n$/);
});

siteTest("side files are apart from everything else", async (site) => {
  // A side file cannot stand where a record of the store does, whatever it is called.
  const file = await narFile(await fileNar("x"));
  for (const name of [`log/../path/${DRV}`, "path/x", "nar/x", "upload/x"]) {
    const answer = await site.put(name, "{}");
    await answer.body?.cancel();
    assert.ok(answer.status >= 400, name);
  }
  await site.publish(pathOf("apart"), file);
});
