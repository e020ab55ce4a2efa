// What holds for the whole address space: methods, paths that are nothing, HEAD, CORS, the cache info and the landing page.
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { toNixBase32 } from "../../src/bytes/nixbase32.ts";
import { parsePublicKey, parseSecretKey, parseSignature, verify } from "../../src/nix/signature.ts";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { parseNarInfo } from "../../src/nix/nar_info.ts";
import { bzip2, xz } from "../needs.ts";
import {
  assertRefused,
  assertTaken,
  compress,
  fileNar,
  narFile,
  narInfoName,
  noise,
  pathOf,
  type Site,
  siteTest,
  treeNar,
} from "./_site.ts";

const PATH = pathOf("served");
const HASH = PATH.slice(0, 32);
const DRV = `${pathOf("made-it")}.drv`;

/** A site with something of every kind; returns the paths of what it serves. */
async function filled(site: Site): Promise<string[]> {
  const nar = await treeNar({
    "run.sh": "#!/bin/sh\n",
    deep: { noise: noise(200_000) },
    link: { link: "run.sh" },
  });
  await site.publish(PATH, await narFile(nar, "none"));
  const files = [];
  for (const compression of ["none", "xz", "zstd", "gzip", "br"]) {
    files.push(await site.putNar(await narFile(nar, compression)));
  }
  const json = JSON.stringify({ id: "sha256:00!out", outPath: PATH });
  await assertTaken(await site.put(`realisations/sha256:${"0".repeat(64)}!out.doi`, json));
  await assertTaken(await site.put(`build-trace-v2/${DRV}/out.doi`, json));
  await assertTaken(await site.put(`debuginfo/${"ab".repeat(20)}.debug`, json));
  await assertTaken(
    await site.put(`log/${DRV}`, await compress("br", fromText("log\n")), { "content-encoding": "br" }),
  );
  const narInfo = await (await site.get(narInfoName(PATH))).text();
  return [
    "",
    "nix-cache-info",
    `${HASH}.narinfo`,
    `${HASH}.ls`,
    /^URL: (.*)$/m.exec(narInfo)![1],
    ...files.map(({ url }) => url),
    `log/${DRV}`,
    `realisations/sha256:${"0".repeat(64)}!out.doi`,
    `build-trace-v2/${DRV}/out.doi`,
    `debuginfo/${"ab".repeat(20)}.debug`,
  ];
}

siteTest("HEAD answers with the headers of GET, and no body", async (site) => {
  for (const path of await filled(site)) {
    const get = await site.get(path);
    const head = await site.send("HEAD", path);
    const body = await get.bytes();
    assert.equal(get.status, 200, path);
    assert.equal(head.status, 200, path);
    assert.deepEqual([...head.headers], [...get.headers], `HEAD and GET of /${path}`);
    assert.equal((await head.bytes()).length, 0);
    const length = get.headers.get("content-length");
    if (length !== null) assert.equal(Number(length), body.length, path);
  }
}, { needs: [xz] });

siteTest("every stored thing has an exact Content-Length, and no NAR a Content-Encoding", async (site) => {
  for (const path of await filled(site)) {
    const answer = await site.get(path);
    const body = await answer.bytes();
    // What is compressed anew while it is sent has no length that is known before.
    const unknown = /^nar\/.*\.nar\.|^$/.test(path) || body[0] === 0x1f;
    if (!unknown) assert.equal(answer.headers.get("content-length"), String(body.length), path);
    if (path.startsWith("nar/")) {
      assert.equal(answer.headers.get("content-encoding"), null, path);
      assert.equal(answer.headers.get("content-type"), "application/x-nix-nar");
    }
  }
}, { needs: [xz] });

siteTest(
  "a file uploaded in bzip2 is known by name, and says where to look when it is asked for",
  async (site) => {
    const file = await site.putNar(await narFile(await fileNar("bzip2"), "bzip2"));
    assert.equal((await site.send("HEAD", file.url)).status, 200);
    await assertRefused(await site.get(file.url), 404, /not in bzip2: ask for the narinfo again/);
  },
  { needs: [bzip2] },
);

siteTest("paths that are nothing are 404, in a line of text", async (site) => {
  await filled(site);
  const paths = [
    ...[
      "x",
      "index.html",
      "favicon.ico",
      "nar",
      "nar/",
      "log",
      "log/",
      "nix-cache-info/",
      "nar/x/y/z",
      "%00",
      "..%2f",
    ],
    ...[`${HASH}`, `${HASH}.`, `${HASH}.narinfo/`, `${HASH}.narinfo.sig`, `x/${HASH}.narinfo`, `${HASH}.LS`],
    ...[
      `${pathOf("other").slice(0, 32)}.narinfo`,
      `${pathOf("other").slice(0, 32)}.ls`,
      `${"e".repeat(32)}.narinfo`,
    ],
    ...[
      `log/${pathOf("other")}.drv`,
      "realisations/none.doi",
      "build-trace-v2/a/b",
      `debuginfo/${"00".repeat(20)}`,
    ],
    ...[`nar/${"0".repeat(52)}.nar.xz`, "serve/nothing", "path/" + HASH, "upload/x", "pack/x"],
  ];
  for (const path of paths) {
    await assertRefused(await site.get(path), 404, /^404 Not Found$/m);
    const head = await site.send("HEAD", path);
    assert.equal(head.status, 404, path);
    assert.equal((await head.bytes()).length, 0);
  }
}, { needs: [xz] });

siteTest(
  "a NAR URL whose node is broken is refused, and one of contents that are not here is 404",
  async (site) => {
    const paths = await filled(site);
    const url = paths.find((path) => path.startsWith("nar/snix-castore/"))!;
    const node = url.slice("nar/snix-castore/".length, url.indexOf("?"));
    for (
      const broken of [
        "AAAA",
        node.slice(0, -1),
        node.slice(0, -4),
        node + "AAAA",
        node + "=",
        "!".repeat(40),
        "a".repeat(20_000),
        `${node}?narsize=x`,
        `${node}?narsize=-1`,
        `${node}?narsize=`,
        `${node}?narsize=1e3`,
        `${node}?narsize=9999999999999999999`,
        `${node}?narsize=121`,
        "%41%41%41%41",
      ]
    ) {
      await assertRefused(await site.get(`nar/snix-castore/${broken}`), 400, /^Cannot (read|use|serve|hold)/);
    }
    // The same node with one bit of its digest changed.
    const middle = node.length >> 1;
    const absent = node.slice(0, middle) + (node[middle] === "A" ? "B" : "A") + node.slice(middle + 1);
    await assertRefused(await site.get(`nar/snix-castore/${absent}`), 404, /404 Not Found/);
    const older = await site.get(url.replace("snix-castore", "tvix-castore"));
    assert.equal(older.status, 200);
    assert.deepEqual(await older.bytes(), await (await site.get(url)).bytes());
    const unsized = await site.get(url.slice(0, url.indexOf("?")));
    assert.equal(unsized.status, 200);
    await unsized.bytes();
  },
  { needs: [xz] },
);

siteTest("a NAR URL written with percent signs is the same URL", async (site) => {
  const url = (await filled(site)).find((path) => path.startsWith("nar/snix-castore/"))!;
  const whole = await (await site.get(url)).bytes();
  for (const spelt of [url.replace("snix-castore", "snix%2Dcastore"), url.replace("nar/", "%6ear/")]) {
    const answer = await site.get(spelt);
    assert.equal(answer.status, 200, `${answer.status} for ${spelt}`);
    assert.deepEqual(await answer.bytes(), whole);
  }
}, { needs: [xz] });

siteTest(
  "a NAR URL whose file has another size than its node says is refused before any byte",
  async (site) => {
    const nar = await fileNar("of nine bytes".slice(0, 9));
    const path = pathOf("sized");
    await site.publish(path, await narFile(nar));
    const narInfo = await (await site.get(narInfoName(path))).text();
    const node = /castore\/([\w-]+)\?/.exec(narInfo)![1];
    const encoded = Uint8Array.from(
      atob(node.replaceAll("-", "+").replaceAll("_", "/")),
      (c) => c.charCodeAt(0),
    );
    const at = encoded.lastIndexOf(9);
    assert.ok(at > 32, "the size is the last field of the node");
    const largest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]; // 2^53 - 1 as a varint
    for (const size of [[10], [8], [0], largest]) {
      const changed = new Uint8Array([...encoded.subarray(0, at), ...size, ...encoded.subarray(at + 1)]);
      changed[1] += size.length - 1; // the length of the message inside
      const url = `nar/snix-castore/${changed.toBase64({ alphabet: "base64url", omitPadding: true })}`;
      for (const method of ["GET", "HEAD"]) {
        const answer = await site.send(method, url);
        await answer.body?.cancel();
        assert.ok(
          [400, 404].includes(answer.status),
          `${method} where the size is ${size}: ${answer.status}`,
        );
      }
    }
  },
);

siteTest("methods that are not allowed are 405 and say which are", async (site) => {
  const paths = await filled(site);
  for (const path of paths) {
    for (const method of ["POST", "DELETE", "PATCH", "PROPFIND"]) {
      const answer = await site.send(method, path);
      assert.equal(answer.headers.get("allow"), "GET, HEAD, PUT, OPTIONS", `${method} /${path}`);
      await assertRefused(answer, 405, /^405 Method Not Allowed$/m);
    }
  }
  for (const path of ["", "x", "index.html", "nar/snix-castore/AAAA"]) {
    const answer = await site.put(path, "x");
    assert.ok([404, 405].includes(answer.status), `PUT /${path}: ${answer.status}`);
    await answer.body?.cancel();
  }
  assert.ok(await site.services.pathInfos.get(HASH));
}, { needs: [xz] });

siteTest("reads are open to pages of every origin, errors too", async (site) => {
  const paths = await filled(site);
  const origin = { origin: "https://page.example" };
  for (const path of [...paths, "nothing", "nar/snix-castore/AAAA"]) {
    const answer = await site.get(path, origin);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*", `/${path}`);
    const exposed = answer.headers.get("access-control-expose-headers") ?? "";
    for (const name of ["Content-Length", "Content-Range", "Accept-Ranges", "ETag"]) {
      assert.ok(exposed.includes(name), `${name} of /${path}`);
    }
    await answer.body?.cancel();
  }
  const url = paths.find((path) => path.startsWith("nar/snix-castore/"))!;
  for (const headers of [{ range: "bytes=5-10" }, { range: "bytes=99999999-" }]) {
    const answer = await site.get(url, { ...origin, ...headers });
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    await answer.body?.cancel();
  }
  const refused = await site.send("DELETE", "nix-cache-info", { headers: origin });
  assert.equal(refused.headers.get("access-control-allow-origin"), "*");
}, { needs: [xz] });

siteTest("a preflight allows reading with ranges, and no writing", async (site) => {
  for (const path of ["nix-cache-info", `${HASH}.narinfo`, "nar/snix-castore/AAAA", "nothing"]) {
    const answer = await site.send("OPTIONS", path, {
      headers: {
        origin: "https://page.example",
        "access-control-request-method": "GET",
        "access-control-request-headers": "range, if-range",
      },
    });
    assert.equal(answer.status, 204, path);
    assert.equal(answer.headers.get("access-control-allow-origin"), "*");
    const methods = answer.headers.get("access-control-allow-methods") ?? "";
    assert.deepEqual(methods.split(",").map((method) => method.trim()).sort(), ["GET", "HEAD"]);
    const headers = (answer.headers.get("access-control-allow-headers") ?? "").toLowerCase();
    for (const name of ["range", "if-none-match", "if-range"]) assert.ok(headers.includes(name), headers);
    assert.ok(Number(answer.headers.get("access-control-max-age")) > 0);
  }
});

siteTest("nix-cache-info says what it was told to", async (site) => {
  const answer = await site.get("nix-cache-info");
  assert.equal(answer.headers.get("content-type"), "text/x-nix-cache-info");
  assert.equal(await answer.text(), "StoreDir: /nix/store\nWantMassQuery: 0\nPriority: 7\n");
}, { priority: 7, wantMassQuery: false });

siteTest("nix-cache-info can be put with the StoreDir it has, and with no other", async (site) => {
  const before = await (await site.get("nix-cache-info")).text();
  for (
    const text of ["StoreDir: /nix/store\n", "StoreDir: /nix/store\nPriority: 3\n", "", "Other: thing\n"]
  ) {
    await assertTaken(await site.put("nix-cache-info", text));
  }
  await assertRefused(
    await site.put("nix-cache-info", "StoreDir: /gnu/store\n"),
    409,
    /^Cannot change StoreDir: this cache is for \/nix\/store/,
  );
  for (const text of ["StoreDir: relative\n", "Priority: high\n"]) {
    await assertRefused(await site.put("nix-cache-info", text), 400, /^Cannot parse nix-cache-info/);
  }
  const notText = Uint8Array.of(0xff, 0xfe, 0x0a);
  await assertRefused(await site.put("nix-cache-info", notText), 400, /not UTF-8/);
  await assertRefused(await site.put("nix-cache-info", "x".repeat(65_537)), 413, /over 65536 bytes/);
  assert.equal(await (await site.get("nix-cache-info")).text(), before);
});

siteTest("GET / is a page that says how to use this address", async (site) => {
  const answer = await site.get("");
  assert.match(answer.headers.get("content-type")!, /^text\/html/);
  const page = await answer.text();
  // Each command in one line, so that it can be copied.
  const commands = [...page.matchAll(/<code>(nix copy [^<]*)<\/code>/g)].map(([, command]) => command);
  assert.deepEqual(commands, [
    "nix copy --to http://firn.test /nix/store/…",
    "nix copy --no-check-sigs --from http://firn.test /nix/store/…",
  ]);
  assert.ok(!/<script/i.test(page));
});

// RFC 8032, section 7.1, test 1: seed and public key.
const SEED = Uint8Array.fromHex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
const PUBLIC = Uint8Array.fromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
const secretKey = await parseSecretKey(`cache-1:${new Uint8Array([...SEED, ...PUBLIC]).toBase64()}`);

siteTest("a secret key signs every narinfo that is served, and none that is stored", async (site) => {
  await site.publish(PATH, await narFile(await fileNar("signed"), "xz"));
  const text = await (await site.get(narInfoName(PATH))).text();
  const [line] = text.match(/^Sig: .*$/gm)!;
  const narInfo = parseNarInfo(text);
  assert.match(
    fingerprint(narInfo),
    new RegExp(`^1;/nix/store/${PATH};sha256:${toNixBase32(narInfo.narHash)};`),
  );
  const publicKey = parsePublicKey(`cache-1:${PUBLIC.toBase64()}`);
  assert.ok(await verify([publicKey], fingerprint(narInfo), parseSignature(line.slice("Sig: ".length))));
  // Put back, as `nix store sign` does, it stands once.
  await assertTaken(await site.put(narInfoName(PATH), text));
  assert.equal(await (await site.get(narInfoName(PATH))).text(), text);
  const page = await (await site.get("")).text();
  const key = `cache-1:${PUBLIC.toBase64()}`;
  assert.match(page, new RegExp(`extra-trusted-public-keys = ${RegExp.escape(key)}\\s*<`));
  const commands = [...page.matchAll(/<code>(nix copy [^<]*--from[^<]*)<\/code>/g)];
  assert.deepEqual(commands.map(([, command]) => command.replaceAll("&#39;", "'")), [
    `nix copy --option trusted-public-keys '${key}' --from http://firn.test /nix/store/…`,
  ]);
}, { secretKeys: [secretKey], needs: [xz] });
