/** Listings: as Nix writes them, what they say about a NAR, and everything that must be refused. */
import assert from "node:assert/strict";
import { toText } from "../../src/bytes/bytes.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import { formatListing, type ListingNode, locate, parseListing } from "../../src/nar/listing.ts";
import { NarParser } from "../../src/nar/reader.ts";
import { permissions, permitted, testNeeding } from "../needs.ts";
import { vector } from "./_nars.ts";

const test = testNeeding(permissions);

const LISTED = permitted ? toText(vector("listed.ls")) : "";

/** The nodes of the directory whose token was read last, by the parser. */
function list(parser: NarParser): ListingNode {
  const entries = new Map<string, ListingNode>();
  for (let token = parser.next(); token && token.type !== "end"; token = parser.next()) {
    assert.ok(token.type !== "data");
    const name = toText(token.name);
    if (token.type === "directory") entries.set(name, list(parser));
    else if (token.type === "symlink") entries.set(name, { type: "symlink", target: toText(token.target) });
    else {
      const { size, executable } = token;
      entries.set(name, { type: "regular", size, executable, narOffset: parser.position });
      while (parser.next()?.type !== "end");
    }
  }
  return { type: "directory", entries };
}

test("a listing by Nix is read and written again the same", () => {
  assert.equal(formatListing(parseListing(LISTED)), LISTED);
});

test("a listing made from the NAR is the one Nix made of it", () => {
  const parser = new NarParser();
  parser.feed(vector("listed.nar"));
  assert.equal(parser.next()?.type, "directory");
  assert.equal(formatListing({ root: list(parser) }), LISTED);
});

Deno.test("order of keys and space do not matter; newer Nix sorts the keys", () => {
  const text = `{ "root": {"entries": {"b": {"target": "t", "type": "symlink"},
    "a": {"executable": false, "size": 1051721728, "narOffset": 440, "type": "regular"}},
    "type": "directory"}, "version": 1}\n`;
  assert.equal(
    formatListing(parseListing(text)),
    '{"version":1,"root":{"type":"directory","entries":{' +
      '"a":{"type":"regular","size":1051721728,"narOffset":440},"b":{"type":"symlink","target":"t"}}}}',
  );
});

test("nodes are located by their path", () => {
  const listing = parseListing(LISTED);
  assert.equal(locate(listing, ""), listing.root);
  assert.deepEqual(locate(listing, "bin/tool"), {
    type: "regular",
    size: 10,
    executable: true,
    narOffset: 1176,
  });
  assert.deepEqual(locate(listing, "10"), { type: "regular", size: 0, executable: false, narOffset: 232 });
  assert.deepEqual(locate(listing, "link"), { type: "symlink", target: 'bin/"tool"' });
  assert.deepEqual(locate(listing, "__proto__/x"), {
    type: "regular",
    size: 3,
    executable: false,
    narOffset: 784,
  });
  for (const absent of ["bin/other", "other", "bin/tool/x", "link/x", "toString", "empty/constructor"]) {
    assert.equal(locate(listing, absent), undefined, absent);
  }
  for (const wrong of ["/", "/bin", "bin/", "bin//tool", "..", "bin/../bin", ".", "bin/.", "a\0", "\ud800"]) {
    assert.throws(() => locate(listing, wrong), FormatError, wrong);
  }
});

const regular = (rest: string) => `{"version":1,"root":{"type":"regular",${rest}}}`;
const entries = (text: string) => `{"version":1,"root":{"type":"directory","entries":${text}}}`;
const empty = '{"type":"regular","size":0}';

const REFUSED: [string, RegExp][] = [
  ["", /not JSON/],
  [`{"version":1,"root":${empty}`, /not JSON/],
  ["null", /the listing is not an object/],
  ["[]", /the listing is not an object/],
  ["{}", /version is undefined/],
  [`{"version":2,"root":${empty}}`, /version is 2, want 1/],
  [`{"version":"1","root":${empty}}`, /version is "1", want 1/],
  ['{"version":1}', /the root is not an object/],
  ['{"version":1,"root":null}', /the root is not an object/],
  [`{"version":1,"root":${empty},"more":1}`, /unknown key "more"/],
  ['{"version":1,"root":{}}', /"type" of the root is undefined/],
  ['{"version":1,"root":{"type":"fifo"}}', /"type" of the root is "fifo"/],
  ['{"version":1,"root":{"type":"directory"}}', /"entries" of the root is not an object/],
  ['{"version":1,"root":{"type":"directory","entries":[]}}', /"entries" of the root is not an object/],
  ['{"version":1,"root":{"type":"symlink"}}', /"target" of the root is not text/],
  ['{"version":1,"root":{"type":"symlink","target":""}}', /"target" of the root is not allowed/],
  ['{"version":1,"root":{"type":"symlink","target":"a\\u0000"}}', /"target" of the root is not allowed/],
  ['{"version":1,"root":{"type":"symlink","target":"\\ud800"}}', /not well-formed Unicode/],
  ['{"version":1,"root":{"type":"symlink","target":"t","size":1}}', /unknown key "size"/],
  [regular('"executable":true'), /"size" of the root is not a number/],
  [regular('"size":-1'), /"size" of the root is not a number/],
  [regular('"size":1.5'), /"size" of the root is not a number/],
  [regular('"size":"1"'), /"size" of the root is not a number/],
  [regular('"size":9007199254740992'), /"size" of the root is not a number/],
  [regular('"size":1,"narOffset":-1'), /"narOffset" of the root is not a number/],
  [regular('"size":1,"narOffset":null'), /"narOffset" of the root is not a number/],
  [regular('"size":1,"executable":1'), /"executable" of the root is not a boolean/],
  [regular('"size":1,"__proto__":{}'), /unknown key "__proto__"/],
  [entries(`{"":${empty}}`), /the name "" is not allowed/],
  [entries(`{"..":${empty}}`), /the name "\.\." is not allowed/],
  [entries(`{"a/b":${empty}}`), /the name "a\/b" is not allowed/],
  [entries(`{"\\udc00":${empty}}`), /not well-formed Unicode/],
  [entries(`{"${"é".repeat(128)}":${empty}}`), /256 bytes/],
  [entries('{"a":1}'), /"a" is not an object/],
];

Deno.test("anything else is refused", () => {
  for (const [text, message] of REFUSED) {
    assert.throws(() => parseListing(text), (error) => {
      assert.ok(error instanceof FormatError, text);
      assert.match(error.message, /^Cannot read NAR listing: /);
      assert.match(error.message, message, text);
      return true;
    }, text);
  }
});

Deno.test("nesting is limited", () => {
  const nested = (depth: number) =>
    '{"version":1,"root":' + '{"type":"directory","entries":{"d":'.repeat(depth) + empty +
    "}}".repeat(depth) + "}";
  const deep = nested(4096);
  assert.equal(formatListing(parseListing(deep)).length, deep.length);
  assert.throws(() => parseListing(nested(4097)), LimitError);
  assert.throws(() => parseListing(nested(100_000)), LimitError);
});
