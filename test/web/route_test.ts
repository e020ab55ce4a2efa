/** Addresses of the page: what they name, and that every name survives them. */
import assert from "node:assert/strict";
import { compareHref, decodeName, encodeName, parseRoute, pathHref } from "../../web/page/route.ts";

const BASE = "kj6p4lc0wfay23imjkdi5jbhak0jsf15-hello";
const PATH = `/nix/store/${BASE}`;

Deno.test("every name survives the address", () => {
  const names = [
    "a b",
    "ü€😀",
    "#?&%",
    "%41",
    "a\nb",
    "\u202egpj.exe",
    "<img src=x onerror=alert(1)>",
    "\udcff\udc80",
    "x\udce9y",
    "...",
  ];
  for (const name of names) {
    assert.equal(decodeName(encodeName(name)), name, JSON.stringify(name));
    assert.deepEqual(parseRoute(pathHref(PATH, "files", `d/${name}/e`)), {
      view: "path",
      base: BASE,
      tab: "files",
      file: `d/${name}/e`,
    });
  }
  assert.match(encodeName("x\udce9y"), /^x%E9y$/, "a byte is written as it is everywhere");
});

Deno.test("views have addresses, and what is no address is nowhere", () => {
  assert.deepEqual(parseRoute(""), { view: "home" });
  assert.deepEqual(parseRoute("#/"), { view: "home" });
  assert.deepEqual(parseRoute(pathHref(PATH)), { view: "path", base: BASE, tab: "files", file: "" });
  assert.deepEqual(parseRoute(pathHref(PATH, "truth")), { view: "path", base: BASE, tab: "truth", file: "" });
  assert.deepEqual(parseRoute("#/open?path=abc&cache=https%3A%2F%2Fc.example"), {
    view: "home",
    path: "abc",
    cache: "https://c.example",
  });
  assert.deepEqual(parseRoute(compareHref(PATH, undefined)), {
    view: "compare",
    before: BASE,
    after: undefined,
  });
  for (const fragment of ["#/none", `#/path/${BASE}/none`, "#/path", "#x"]) {
    assert.equal(parseRoute(fragment).view, fragment === "#x" ? "home" : "nowhere", fragment);
  }
});
