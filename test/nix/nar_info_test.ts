// narinfo.json: narinfos of cache.nixos.org, from nix-compat's testdata.
// narinfo_odd.json: the special ones of nix-compat src/narinfo/mod.rs.
import assert from "node:assert/strict";
import { toHex } from "../../src/bytes/hex.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import { contentAddressedPath } from "../../src/nix/content_address.ts";
import { fingerprint, fingerprints } from "../../src/nix/fingerprint.ts";
import { formatNarInfo, type NarInfo, parseNarInfo } from "../../src/nix/nar_info.ts";
import { parsePublicKey, verify } from "../../src/nix/signature.ts";
import { storePathBase } from "../../src/nix/store_path.ts";
import REAL from "../vectors/nix/narinfo.json" with { type: "json" };
import ODD from "../vectors/nix/narinfo_odd.json" with { type: "json" };

const CACHE_KEY = parsePublicKey("cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=");

function odd(name: string): string {
  const text = ODD.find((text) => text.split("\n")[0].endsWith(name));
  assert.ok(text, name);
  return text;
}

const COOKIES = odd("perl-HTTP-Cookies-6.01");

/** The text with the line of this key replaced (or, with `undefined`, left out). */
function withLine(text: string, key: string, line: string | undefined): string {
  const lines = text.split("\n");
  const at = lines.findIndex((each) => each.startsWith(key + ":"));
  assert.ok(at >= 0, key);
  lines.splice(at, 1, ...line === undefined ? [] : [line]);
  return lines.join("\n");
}

Deno.test("narinfos of cache.nixos.org are read and written again to the byte", () => {
  assert.ok(REAL.length >= 15);
  for (const text of REAL) assert.equal(formatNarInfo(parseNarInfo(text)), text);
});

Deno.test("their signatures verify, and do not with anything signed changed", async () => {
  for (const text of REAL) {
    const info = parseNarInfo(text);
    const [signature] = info.signatures;
    assert.equal(await verify([CACHE_KEY], fingerprint(info), signature), true, text);
    const changes: Partial<NarInfo>[] = [
      { narSize: info.narSize + 1 },
      { storePath: { ...info.storePath, name: info.storePath.name + "x" } },
      { references: [...info.references, { hashPart: "z".repeat(32), name: "x" }] },
      { narHash: info.narHash.map((byte, i) => i === 0 ? byte ^ 1 : byte) },
    ];
    for (const change of changes) {
      assert.equal(await verify([CACHE_KEY], fingerprint({ ...info, ...change }), signature), false);
    }
  }
});

Deno.test("their content addresses lead to their store paths", () => {
  let count = 0;
  for (const text of REAL) {
    const { ca, references, storePath } = parseNarInfo(text);
    if (ca === undefined) continue;
    count++;
    const others = references.filter((reference) => reference.hashPart !== storePath.hashPart);
    const computed = contentAddressedPath({
      name: storePath.name,
      ca,
      references: others,
      selfReference: others.length < references.length,
    });
    assert.equal(storePathBase(computed), storePathBase(storePath));
  }
  assert.equal(count, 8);
});

Deno.test("every field", () => {
  const info = parseNarInfo(odd("net-tools-1.60_p20170221182432"));
  assert.equal(
    storePathBase(info.storePath),
    "00bgd045z0d4icpbc2yyz4gx48ak44la-net-tools-1.60_p20170221182432",
  );
  assert.equal(info.url, "nar/1094wph9z4nwlgvsd53abfz8i117ykiv5dwnq9nnhz846s7xqd7d.nar.xz");
  assert.equal(info.compression, "xz");
  assert.equal(info.fileHash?.algorithm, "sha256");
  assert.equal(info.fileSize, 114980);
  assert.equal(info.narSize, 464152);
  assert.deepEqual(info.references.map(storePathBase), ["7gx4kiv5m0i7d7qkixq2cwzbr10lvxwc-glibc-2.27"]);
  assert.equal(info.deriver, undefined);
  assert.deepEqual(info.signatures.map(({ name }) => name), ["cache.nixos.org-1", "hydra.other.net-1"]);
  assert.equal(info.system, undefined);
  assert.equal(info.ca, undefined);
});

Deno.test("hexadecimal NarHash, and a deriver as it is written", async () => {
  const info = parseNarInfo(COOKIES);
  assert.equal(toHex(info.narHash), "60adfd293a4d81ad7cd7e47263cbb3fc846309ef91b154a08ba672b558f94ff3");
  assert.equal(info.deriver?.name, "perl-HTTP-Cookies-6.01.drv");
  assert.equal(await verify([CACHE_KEY], fingerprint(info), info.signatures[0]), true);
  assert.deepEqual(parseNarInfo(formatNarInfo(info)), info);
});

Deno.test("CA with SHA-1 and no references", () => {
  const text = odd("texlive-hyphenex-37354");
  const info = parseNarInfo(text);
  assert.equal(info.ca?.method, "nar");
  assert.equal(info.ca?.algorithm, "sha1");
  assert.equal(toHex(info.ca!.digest), "5cba3c77236ae4f9650270a27fbad375551fa60a");
  assert.deepEqual(info.references, []);
  assert.equal(formatNarInfo(info), text);
});

Deno.test("unsorted references keep their order, and may have been signed in it", async () => {
  const text = odd("gcc-3.4.6");
  const info = parseNarInfo(text);
  assert.deepEqual(info.references.map(({ name }) => name), [
    "glibc-2.7",
    "binutils-2.18",
    "bash-3.2-p39",
    "gcc-3.4.6",
    "gcc-3.4.6",
  ]);
  assert.equal(formatNarInfo(info), text);
  const results = [];
  for (const text of fingerprints(info)) results.push(await verify([CACHE_KEY], text, info.signatures[0]));
  assert.deepEqual(results, [false, true]);
});

Deno.test("missing or empty Compression is bzip2; missing References and Deriver are none", () => {
  assert.equal(parseNarInfo(withLine(COOKIES, "Compression", undefined)).compression, "bzip2");
  assert.equal(parseNarInfo(withLine(COOKIES, "Compression", "Compression: ")).compression, "bzip2");
  assert.equal(parseNarInfo(withLine(COOKIES, "Compression", "Compression: none")).compression, "none");
  const harmonia = parseNarInfo(odd("cfg-if-1.0.0"));
  assert.deepEqual(harmonia.references, []);
  assert.ok(harmonia.url.endsWith(".nar?hash=64s9zav4fk5qiba1jq0ipvyhnn57r7dq"));
  assert.ok(formatNarInfo(harmonia).includes("\nReferences: \n"));
  assert.equal(parseNarInfo(withLine(COOKIES, "Deriver", undefined)).deriver, undefined);
  const bare = parseNarInfo(
    ["FileHash", "FileSize", "Sig"].reduce((text, key) => withLine(text, key, undefined), COOKIES),
  );
  assert.deepEqual([bare.fileHash, bare.fileSize, bare.signatures], [undefined, undefined, []]);
});

Deno.test("CRLF, a missing final newline, unknown keys and repeated spaces change nothing", () => {
  const info = parseNarInfo(COOKIES);
  assert.deepEqual(parseNarInfo(COOKIES.replaceAll("\n", "\r\n")), info);
  assert.deepEqual(parseNarInfo(COOKIES.trimEnd()), info);
  assert.deepEqual(parseNarInfo("Future: 1\nFuture:\n" + COOKIES + "constructor: x\n"), info);
  assert.deepEqual(
    parseNarInfo(
      withLine(COOKIES, "References", "References:  " + info.references.map(storePathBase).join("  ")),
    ),
    info,
  );
});

Deno.test("other store directories", () => {
  const text = COOKIES.replace("/nix/store/", "/opt/store/");
  const info = parseNarInfo(text, { storeDir: "/opt/store" });
  assert.deepEqual(info, parseNarInfo(COOKIES));
  assert.ok(formatNarInfo(info, { storeDir: "/opt/store" }).startsWith("StorePath: /opt/store/0vpq"));
  assert.throws(() => parseNarInfo(text), FormatError);
});

Deno.test("a signature's key may have any name", () => {
  const text = COOKIES.replace("Sig: cache.nixos.org-1:", "Sig: my_cache+1:");
  assert.equal(parseNarInfo(text).signatures[0].name, "my_cache+1");
});

Deno.test("what is refused, and the line it is in", () => {
  const cases: [string, RegExp][] = [
    ["", /no StorePath/],
    ["\n", /line 1 has no colon/],
    [COOKIES + "\n", /line 11 has no colon/],
    [COOKIES + "garbage\n", /line 11 has no colon/],
    [withLine(COOKIES, "Compression", "Compression xz"), /line 3 has no colon/],
    [withLine(COOKIES, "Compression", "Compression:xz"), /line 3 has no space/],
    [withLine(COOKIES, "References", "References:"), /line 8 has no space/],
    [withLine(COOKIES, "NarHash", "NarHash: sha256:60adfd"), /line 6, NarHash/],
    [
      withLine(COOKIES, "NarHash", "NarHash: sha1:mj1l54np5ii9al6g2cjb02n3jxwpf5k0"),
      /line 6, NarHash: .*sha1/,
    ],
    [
      withLine(COOKIES, "NarHash", "NarHash: 1094wph9z4nwlgvsd53abfz8i117ykiv5dwnq9nnhz846s7xqd7d"),
      /line 6, NarHash/,
    ],
    [withLine(COOKIES, "FileHash", "FileHash: "), /line 4, FileHash/],
    [withLine(COOKIES, "URL", "URL: "), /line 2, URL/],
    [withLine(COOKIES, "URL", "URL: nar/a\rb"), /line 2, URL/],
    [withLine(COOKIES, "References", "References: 0vpqfxbkx0ffrnhbws6g9qwhmliksz7f"), /line 8, References/],
    [withLine(COOKIES, "Deriver", "Deriver: "), /line 9, Deriver/],
    [withLine(COOKIES, "Deriver", "Deriver: /nix/store/fb4ihlq3psnsjq95mvvs49rwpplpc8zj-x.drv"), /line 9/],
    [withLine(COOKIES, "Sig", "Sig: cache.nixos.org-1:AAAA"), /line 10, Sig/],
    [COOKIES + "CA: fixed:r:sha256:x\n", /line 11, CA/],
    [COOKIES + "System: \n", /line 11, System/],
  ];
  for (
    const size of ["0", "-1", "1.5", "1e3", "0x10", "+1", "", " 1", "1 ", "9007199254740992", "9".repeat(400)]
  ) {
    cases.push([withLine(COOKIES, "NarSize", `NarSize: ${size}`), /line 7, NarSize/]);
    if (size !== "0") cases.push([withLine(COOKIES, "FileSize", `FileSize: ${size}`), /line 5, FileSize/]);
  }
  for (const key of ["StorePath", "URL", "NarHash", "NarSize"]) {
    cases.push([withLine(COOKIES, key, undefined), new RegExp(`it has no ${key}`)]);
  }
  for (const line of COOKIES.trimEnd().split("\n")) {
    const [key] = line.split(":");
    if (key !== "Sig") cases.push([COOKIES + line + "\n", new RegExp(`line 11 has a second ${key}`)]);
  }
  cases.push([
    withLine(COOKIES, "Deriver", "Deriver: unknown-deriver\nDeriver: unknown-deriver"),
    /line 10 has a/,
  ]);
  for (const [text, message] of cases) {
    assert.throws(() => parseNarInfo(text), (error) => {
      assert.ok(error instanceof FormatError, text);
      assert.match(error.message, /^Cannot parse narinfo: /);
      assert.match(error.message, message);
      return true;
    }, text);
  }
});

Deno.test("long texts are refused before they are looked at; many signatures are not slow", () => {
  const line = COOKIES.split("\n")[9] + "\n";
  const many = COOKIES + line.repeat(Math.floor((2 * 1024 * 1024 - COOKIES.length) / line.length));
  assert.ok(parseNarInfo(many).signatures.length > 15_000);
  assert.throws(() => parseNarInfo(many + line), LimitError);
});

Deno.test("values that would make other lines are not written", () => {
  const info = parseNarInfo(COOKIES);
  const [signature] = info.signatures;
  const changes: Partial<NarInfo>[] = [
    { url: "x\nNarSize: 1" },
    { url: "" },
    { compression: "none\r" },
    { system: "x\ny" },
    { signatures: [{ ...signature, name: "a\nCA" }] },
  ];
  for (const change of changes) assert.throws(() => formatNarInfo({ ...info, ...change }), FormatError);
});
