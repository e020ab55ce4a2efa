/** The parser: what the vectors hold, however they are cut, and everything that must be refused. */
import assert from "node:assert/strict";
import { type Bytes, concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import { NarParser, type NarToken } from "../../src/nar/reader.ts";
import { permissions, testNeeding } from "../needs.ts";
import { directory, entry, joined, nar, parse, pieces, vector, VECTORS, word } from "./_nars.ts";

const test = testNeeding(permissions);

const TARGET = fromText("/nix/store/somewhereelse");
const END: NarToken = { type: "end" };
const COMPLICATED: NarToken[] = [
  { type: "directory", name: EMPTY },
  { type: "file", name: fromText(".keep"), executable: false, size: 0 },
  END,
  { type: "symlink", name: fromText("aa"), target: TARGET },
  { type: "directory", name: fromText("keep") },
  { type: "file", name: fromText(".keep"), executable: false, size: 0 },
  END,
  END,
  END,
];

function refuses(bytes: Bytes, message: RegExp, error: typeof FormatError | typeof LimitError = FormatError) {
  const check = (thrown: unknown) => {
    assert.ok(thrown instanceof error, `${thrown}`);
    assert.match(thrown.message, /^Cannot read NAR: .* at byte \d+$/);
    assert.match(thrown.message, message);
    return true;
  };
  assert.throws(() => parse([bytes]), check);
  assert.throws(() => parse(pieces(bytes, 1)), check);
}

test("the vectors are what their names say", async () => {
  for (const [name, sha256] of Object.entries(VECTORS)) {
    const digest = await crypto.subtle.digest("SHA-256", vector(`${name}.nar`));
    assert.equal(toHex(new Uint8Array(digest)), sha256, name);
  }
});

test("the vectors hold the trees they were made of", () => {
  const tokens = (name: string) => parse([vector(`${name}.nar`)]);
  const file = (executable: boolean, size: number): NarToken => ({
    type: "file",
    name: EMPTY,
    executable,
    size,
  });
  const one: NarToken = { type: "data", bytes: new Uint8Array([1]) };
  const hello: NarToken = { type: "data", bytes: fromText("Hello World!") };
  assert.deepEqual(tokens("symlink"), [{ type: "symlink", name: EMPTY, target: TARGET }]);
  assert.deepEqual(tokens("helloworld"), [file(false, 12), hello, END]);
  assert.deepEqual(tokens("onebyteregular"), [file(false, 1), one, END]);
  assert.deepEqual(tokens("onebyteexecutable"), [file(true, 1), one, END]);
  assert.deepEqual(tokens("emptydirectory"), [{ type: "directory", name: EMPTY }, END]);
  assert.deepEqual(tokens("complicated"), COMPLICATED);
});

test("files of 0 to 17 bytes, long and odd names and targets are read", () => {
  const tokens = joined(parse([vector("tree.nar")]));
  const sizes = new Map<string, NarToken[]>();
  let longest = 0;
  for (const [i, token] of tokens.entries()) {
    if (token.type === "file") sizes.set(String.fromCharCode(...token.name), tokens.slice(i, i + 3));
    if (token.type === "symlink") longest = Math.max(longest, token.target.length);
  }
  assert.equal(longest, 4095);
  assert.ok(sizes.has("n".repeat(255)) && sizes.has("\xff\xfe") && sizes.has("\x01\n"));
  for (let n = 0; n < 18; n++) {
    const [file, data] = sizes.get(String(n))!;
    assert.deepEqual(file, { type: "file", name: fromText(String(n)), executable: n % 3 === 0, size: n });
    if (n > 0) {
      assert.deepEqual(data, { type: "data", bytes: new Uint8Array(n).map((_, i) => (i * 7 + n) % 256) });
    }
  }
});

test("cut in two at any byte, or into pieces of any length, the tokens are the same", () => {
  const complicated = vector("complicated.nar");
  for (let at = 0; at <= complicated.length; at++) {
    assert.deepEqual(parse([complicated.subarray(0, at), complicated.subarray(at)]), COMPLICATED, `at ${at}`);
  }
  const tree = vector("tree.nar");
  const whole = joined(parse([tree]));
  for (const length of [1, 2, 3, 7, 8, 13, 16, 100, 257, 1000, 4500, 4529]) {
    assert.deepEqual(joined(parse(pieces(tree, length))), whole, `pieces of ${length}`);
  }
});

test("empty pieces change nothing", () => {
  const cut = [...pieces(vector("complicated.nar"), 5)].flatMap((piece) => [EMPTY, piece, EMPTY]);
  assert.deepEqual(parse(cut), COMPLICATED);
});

Deno.test("contents are views of the piece fed; names and targets are copies", () => {
  const bytes = nar("nix-archive-1", "(", "type", "directory", "entry", "(", "name", "f", "node");
  const fed = concat([bytes, nar("(", "type", "regular", "contents", "content", ")", ")")]);
  const parser = new NarParser();
  parser.feed(fed);
  parser.next();
  const file = parser.next();
  assert.equal(parser.position, fed.length - 40);
  const data = parser.next();
  assert.ok(data?.type === "data" && data.bytes.buffer === fed.buffer);
  fed.fill(0);
  assert.ok(file?.type === "file");
  assert.deepEqual(file.name, fromText("f"));
});

test("copies are copies of a piece whose slice is a view, too", async () => {
  const { Buffer } = await import("node:buffer");
  const fed = Buffer.from(vector("symlink.nar"));
  const [token] = parse([fed as unknown as Bytes]);
  fed.fill(0);
  assert.deepEqual(token, { type: "symlink", name: EMPTY, target: TARGET });
});

test("finished only when the root has ended and nothing follows", () => {
  const bytes = vector("emptydirectory.nar");
  const parser = new NarParser();
  for (const piece of pieces(bytes, 1)) {
    assert.equal(parser.finished, false);
    parser.feed(piece);
    while (parser.next());
  }
  assert.equal(parser.finished, true);
  parser.finish();
  parser.feed(new Uint8Array(1));
  assert.equal(parser.finished, false);
  assert.throws(() => parser.finish(), FormatError);
  assert.equal(parser.finished, false);
});

test("a file ends only after its padding and closing were read", () => {
  const bytes = vector("onebyteregular.nar");
  for (let at = 97; at < bytes.length; at++) {
    const parser = new NarParser();
    parser.feed(bytes.subarray(0, at));
    assert.equal(parser.next()?.type, "file");
    assert.equal(parser.next()?.type, "data");
    assert.equal(parser.next(), undefined);
  }
});

test("feeding before all was read is refused and harms nothing", () => {
  const parser = new NarParser();
  const bytes = vector("helloworld.nar");
  parser.feed(bytes);
  assert.throws(() => parser.feed(bytes), TypeError);
  assert.throws(() => parser.finish(), TypeError);
  while (parser.next());
  parser.finish();
});

Deno.test("an error is thrown again at each call", () => {
  const parser = new NarParser();
  parser.feed(word("nix-archive-2"));
  assert.throws(() => parser.next(), FormatError);
  assert.throws(() => parser.next(), FormatError);
  assert.throws(() => parser.finish(), FormatError);
});

test("truncated at any byte", () => {
  for (const name of Object.keys(VECTORS)) {
    const bytes = vector(`${name}.nar`);
    for (let at = 0; at < bytes.length; at++) {
      assert.throws(
        () => parse([bytes.subarray(0, at)]),
        new FormatError("nar", `Cannot read NAR: it ends too early at byte ${at}`),
      );
    }
  }
});

test("bytes after the end", () => {
  for (const name of Object.keys(VECTORS)) {
    const bytes = vector(`${name}.nar`);
    for (const tail of [new Uint8Array(1), word(")"), bytes]) {
      const message = new RegExp(`bytes after the end of the archive at byte ${bytes.length}$`);
      refuses(concat([bytes, tail]), message);
      assert.throws(() => parse([bytes, tail]), message);
    }
  }
});

test("any byte changed that is not part of a name, target, or contents", () => {
  const free: Record<string, string[]> = {
    complicated: [".keep", "aa", "keep", "/nix/store/somewhereelse"],
    onebyteexecutable: ["\x01"],
    helloworld: ["Hello World!"],
  };
  for (const [name, texts] of Object.entries(free)) {
    const bytes = vector(`${name}.nar`);
    const text = String.fromCharCode(...bytes);
    const allowed = new Set<number>();
    for (const content of texts) {
      // Words begin at multiples of 8 and have their length before them, so these are whole words.
      const found = String.fromCharCode(...word(content));
      for (let at = text.indexOf(found); at >= 0; at = text.indexOf(found, at + 1)) {
        for (let i = 0; i < content.length; i++) allowed.add(at + 8 + i);
        // Zero padding may as well be contents: another size then makes another archive.
        if (name !== "complicated") allowed.add(at);
      }
    }
    for (let at = 0; at < bytes.length; at++) {
      if (allowed.has(at)) continue;
      for (const flip of [0x01, 0x02, 0x40, 0x80, 0xff]) {
        const wrong = bytes.slice();
        wrong[at] ^= flip;
        assert.throws(
          () => parse([wrong]),
          (error) => error instanceof FormatError || error instanceof LimitError,
          `${name} byte ${at}`,
        );
      }
    }
  }
});

Deno.test("each word wrong, missing, or twice", () => {
  const words = [
    ...["nix-archive-1", "(", "type", "directory"],
    ...[
      "entry",
      "(",
      "name",
      "a",
      "node",
      "(",
      "type",
      "regular",
      "executable",
      "",
      "contents",
      "12",
      ")",
      ")",
    ],
    ...["entry", "(", "name", "b", "node", "(", "type", "symlink", "target", "t", ")", ")"],
    ...["entry", "(", "name", "c", "node", "(", "type", "directory", ")", ")", ")"],
  ];
  parse([nar(...words)]);
  const free = new Set(["a", "b", "c", "12", "t"]);
  words.forEach((text, i) => {
    const but = (...others: string[]) => nar(...words.slice(0, i), ...others, ...words.slice(i + 1));
    refuses(but(), /./);
    refuses(but(text, text), /./);
    if (!free.has(text)) {
      for (const other of ["x", text + "x", text.toUpperCase() + "\0", "("]) {
        if (other !== text) refuses(but(other), /./);
      }
    }
  });
});

Deno.test("executable must be followed by the empty word, and stand before the contents", () => {
  const start = ["nix-archive-1", "(", "type", "regular"];
  refuses(
    nar(...start, "executable", "x", "contents", "", ")"),
    /something else than "executable" "" at byte 96$/,
  );
  refuses(nar(...start, "contents", "", "executable", "", ")"), /something else than "\)"/);
});

test("padding that is not zero", () => {
  const at = (bytes: Bytes, offset: number) => {
    const wrong = bytes.slice();
    assert.equal(wrong[offset], 0);
    wrong[offset] = 1;
    return wrong;
  };
  // After the contents, a name and a target; the offsets are of their last padding bytes.
  refuses(at(vector("onebyteregular.nar"), 103), /padding that is not zero at byte 103$/);
  refuses(at(directory(entry("name")), 143), /padding that is not zero at byte 143$/);
  const link = nar("nix-archive-1", "(", "type", "symlink", "target", "abc", ")");
  refuses(at(link, 103), /padding that is not zero at byte 103$/);
});

Deno.test("unlawful names", () => {
  refuses(directory(entry("")), /the name "" is not allowed \(it is empty\) at byte 136$/);
  refuses(directory(entry(".")), /the name "\." is not allowed/);
  refuses(directory(entry("..")), /the name "\.\." is not allowed/);
  refuses(directory(entry("a/b")), /a slash/);
  refuses(directory(entry("a\0b")), /a NUL/);
  refuses(directory(entry("n".repeat(256))), /a name of over 255 bytes at byte 128$/);
  parse([directory(entry("n".repeat(255)))]);
  parse([directory(entry("..."))]);
});

Deno.test("names out of order", () => {
  refuses(directory(entry("a"), entry("a")), /the name "a" stands twice at byte 320$/);
  refuses(directory(entry("b"), entry("a")), /the name "a" is out of order after "b"/);
  refuses(directory(entry("a0"), entry("a.b")), /out of order/);
  refuses(directory(entry("ab"), entry("a")), /out of order/);
  refuses(directory(entry(new Uint8Array([0xff])), entry(new Uint8Array([0x7f]))), /out of order/);
  // UTF-16 would order these the other way round.
  refuses(directory(entry("\u{1f600}"), entry("\uff5e")), /out of order/);
});

Deno.test("unlawful targets", () => {
  const link = (target: string) => nar("nix-archive-1", "(", "type", "symlink", "target", target, ")");
  refuses(link(""), /the target of "" is not allowed \(it is empty\)/);
  refuses(link("a\0"), /a NUL/);
  refuses(link("t".repeat(4096)), /a target of over 4095 bytes at byte 88$/);
  parse([link("t".repeat(4095))]);
});

Deno.test("a claimed length is refused as soon as it is read, whatever it claims", () => {
  const huge = [1n << 8n, 1n << 32n, 1n << 53n, 1n << 60n, 1n << 62n, (1n << 64n) - 1n];
  const starts: [string, Bytes][] = [
    ["a name", nar("nix-archive-1", "(", "type", "directory", "entry", "(", "name")],
    ["a target", nar("nix-archive-1", "(", "type", "symlink", "target")],
    ["a fixed word", EMPTY],
    ["another fixed word", nar("nix-archive-1", "(")],
  ];
  for (const [what, start] of starts) {
    for (const length of huge) {
      if (what === "a target" && length < 4096n) continue;
      const parser = new NarParser();
      parser.feed(start);
      while (parser.next());
      assert.throws(
        () => {
          parser.feed(word("", length));
          parser.next();
        },
        FormatError,
        `${what} of ${length}`,
      );
    }
  }
});

Deno.test("files of up to 2^53 - 1 bytes are begun, and take no memory before they come", () => {
  const start = nar("nix-archive-1", "(", "type", "regular", "contents");
  const parser = new NarParser();
  parser.feed(concat([start, word("", (1n << 53n) - 1n), new Uint8Array(10)]));
  assert.deepEqual(parser.next(), { type: "file", name: EMPTY, executable: false, size: 2 ** 53 - 1 });
  assert.deepEqual(parser.next(), { type: "data", bytes: new Uint8Array(10) });
  assert.equal(parser.next(), undefined);
  assert.throws(() => parser.finish(), /too early at byte 106$/);
  for (const size of [1n << 53n, 1n << 63n, (1n << 64n) - 1n]) {
    refuses(concat([start, word("", size)]), /over 2\^53 - 1 bytes/, LimitError);
  }
});

Deno.test("a fixed word that is wrong fails at its first wrong byte, before the rest has come", () => {
  const parser = new NarParser();
  parser.feed(new Uint8Array([13, 0, 0, 0, 0, 0, 0, 0, 0x6e, 0x6f]));
  assert.throws(() => parser.next(), /something else than "nix-archive-1" at byte 9$/);
});

Deno.test("limits of depth and entries", () => {
  const nested = (depth: number) => {
    const starts = Array(depth - 1).fill(["entry", "(", "name", "d", "node", "(", "type", "directory"])
      .flat();
    return nar("nix-archive-1", "(", "type", "directory", ...starts, ...Array(2 * depth - 1).fill(")"));
  };
  assert.equal(parse([nested(3)], { maxDepth: 3 }).length, 6);
  assert.throws(() => parse([nested(4)], { maxDepth: 3 }), (error) => {
    return error instanceof LimitError && error.limit === 3 && /over 3 directories/.test(error.message);
  });
  assert.equal(parse([nested(4096)]).length, 2 * 4096);
  assert.throws(() => parse([nested(4097)]), LimitError);
  const three = directory(entry("a"), entry("b"), entry("c"));
  assert.equal(parse([three], { maxEntries: 3 }).length, 8);
  assert.throws(() => parse([three], { maxEntries: 2 }), (error) => {
    return error instanceof LimitError && error.limit === 2 && /over 2 entries/.test(error.message);
  });
});
