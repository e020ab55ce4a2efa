// Vectors: nix-compat src/store_path/mod.rs.
import assert from "node:assert/strict";
import { FormatError } from "../../src/errors.ts";
import {
  compareStorePaths,
  formatStorePath,
  isHashPart,
  parseStorePath,
  parseStorePathBase,
  sortStorePaths,
  splitStorePath,
  storePathBase,
} from "../../src/nix/store_path.ts";

const BASE = "00bgd045z0d4icpbc2yyz4gx48ak44la-net-tools-1.60_p20170221182432";

Deno.test("a store path is read and written, with and without the store directory", () => {
  const path = parseStorePathBase(BASE);
  assert.deepEqual(path, {
    hashPart: "00bgd045z0d4icpbc2yyz4gx48ak44la",
    name: "net-tools-1.60_p20170221182432",
  });
  assert.equal(storePathBase(path), BASE);
  assert.deepEqual(parseStorePath("/nix/store/" + BASE), path);
  assert.equal(formatStorePath(path), "/nix/store/" + BASE);
  assert.deepEqual(parseStorePath("/opt/store/" + BASE, "/opt/store"), path);
  assert.equal(formatStorePath(path, "/opt/store"), "/opt/store/" + BASE);
});

Deno.test("names may begin with a dot, and have 1 to 211 characters", () => {
  const hashPart = "fli4bwscgna7lpm7v5xgnjxrxh0yc7ra";
  for (const name of [".gitignore", "a", "+-._?=", "A9z", "x".repeat(211)]) {
    assert.equal(parseStorePathBase(`${hashPart}-${name}`).name, name);
  }
  for (const name of ["", "x".repeat(212), "a/b", "a b", "a\n", "a\0", "é", "a:b", "a~", "a,b"]) {
    assert.throws(() => parseStorePathBase(`${hashPart}-${name}`), FormatError, name);
  }
});

Deno.test("what is no store path is refused", () => {
  const bad = [
    "",
    "00bgd045z0d4icpbc2yy-",
    "00bgd045z0d4icpbc2yy-net-tools-1.60_p20170221182432",
    "00bgd045z0d4icpbc2yyz4gx48aku4la-net-tools-1.60_p20170221182432",
    "00bgd045z0d4icpbc2yyz4gx48aku4la-net-tools-1.60_p20170221182432/bin/arp",
    BASE + "/bin/arp",
    "00bgd045z0d4icpbc2yyz4gx48ak44lanet-tools-1.60_p20170221182432",
    "00bgd045z0d4icpbc2yyz4gx48ak44la",
    BASE.toUpperCase(),
  ];
  for (const text of bad) assert.throws(() => parseStorePathBase(text), FormatError, text);
  for (
    const text of [
      "foobar-123",
      BASE,
      "/nix/store",
      "/nix/store/",
      "/nix/store//" + BASE,
      "/gnu/store/" + BASE,
    ]
  ) {
    assert.throws(() => parseStorePath(text), FormatError, text);
  }
});

Deno.test("a path below a store path is split", () => {
  const path = parseStorePathBase(BASE);
  assert.deepEqual(splitStorePath(`/nix/store/${BASE}/bin/arp`), { path, rest: "/bin/arp" });
  assert.deepEqual(splitStorePath(`/nix/store/${BASE}/`), { path, rest: "/" });
  assert.deepEqual(splitStorePath(`/nix/store/${BASE}`), { path, rest: "" });
  assert.throws(() => splitStorePath("/nix/store/bin/arp"), FormatError);
});

Deno.test("store paths sort as their texts", () => {
  const sorted = [
    "0lk5dgi01r933abzfj9c9wlndg82yd3g-psutil-5.9.6.tar.gz.drv",
    "1xj43bva89f9qmwm37zl7r3d7m67i9ck-shorttoc-1.3-tex.drv",
    "2gb633czchi20jq1kqv70rx2yvvgins8-lifted-base-0.2.3.12.tar.gz.drv",
    "2vksym3r3zqhp15q3fpvw2mnvffv11b9-docbook-xml-4.5.zip.drv",
    "5q918awszjcz5720xvpc2czbg1sdqsf0-rust_renaming-0.1.0-lib",
    "7jw30i342sr2p1fmz5xcfnch65h4zbd9-dbus-1.14.10.tar.xz.drv",
    "96yqwqhnp3qya4rf4n0rcl0lwvrylp6k-eap8021x-222.40.1.tar.gz.drv",
    "9gjqg36a1v0axyprbya1hkaylmnffixg-virtualenv-20.24.5.tar.gz.drv",
    "a4i5mci2g9ada6ff7ks38g11dg6iqyb8-perl-5.32.1.drv",
    "a5g76ljava4h5pxlggz3aqdhs3a4fk6p-ToolchainInfo.plist.drv",
    "db46l7d6nswgz4ffp1mmd56vjf9g51v6-version.plist.drv",
    "g6f7w20sd7vwy0rc1r4bfsw4ciclrm4q-crates-io-num_cpus-1.12.0.drv",
    "iw82n1wwssb8g6772yddn8c3vafgv9np-bootstrap-stage1-sysctl-stdenv-darwin.drv",
    "lp78d1y5wxpcn32d5c4r7xgbjwiw0cgf-logo.svg.drv",
    "mf00ank13scv1f9l1zypqdpaawjhfr3s-python3.11-psutil-5.9.6.drv",
    "mpfml61ra7pz90124jx9r3av0kvkz2w1-perl5.36.0-Encode-Locale-1.05",
    "qhsvwx4h87skk7c4mx0xljgiy3z93i23-source.drv",
    "riv7d73adim8hq7i04pr8kd0jnj93nav-fdk-aac-2.0.2.tar.gz.drv",
    "s64b9031wga7vmpvgk16xwxjr0z9ln65-human-signals-5.0.0.tgz-extracted",
    "w6svg3m2xdh6dhx0gl1nwa48g57d3hxh-thiserror-1.0.49",
  ].map(parseStorePathBase);
  for (let i = 1; i < sorted.length; i++) {
    assert.ok(compareStorePaths(sorted[i - 1], sorted[i]) < 0);
    assert.ok(compareStorePaths(sorted[i], sorted[i - 1]) > 0);
  }
  assert.deepEqual(sortStorePaths([...sorted, ...sorted].reverse()), sorted);
});

Deno.test("store paths with one hash part sort by name, capitals first", () => {
  const hashPart = "0".repeat(32);
  const a = { hashPart, name: "B" };
  const b = { hashPart, name: "a" };
  assert.ok(compareStorePaths(a, b) < 0);
  assert.ok(compareStorePaths(b, a) > 0);
  assert.equal(compareStorePaths(a, { ...a }), 0);
});

Deno.test("isHashPart wants 32 characters of the alphabet", () => {
  assert.ok(isHashPart("0123456789abcdfghijklmnpqrsvwxyz"));
  for (const other of "eotuE-") assert.ok(!isHashPart(other + "0".repeat(31)), other);
  assert.ok(!isHashPart("0".repeat(31)) && !isHashPart("0".repeat(33)) && !isHashPart("0".repeat(32) + "\n"));
});
