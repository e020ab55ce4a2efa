/** Writing: what was read comes out again, byte for byte; anything but one lawful tree is refused. */
import assert from "node:assert/strict";
import { type Bytes, concat, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { FormatError } from "../../src/errors.ts";
import { type NarToken, readNar } from "../../src/nar/reader.ts";
import { writeNar } from "../../src/nar/writer.ts";
import { permissions, testNeeding } from "../needs.ts";
import { collect, nar, parse, streamOf, vector, VECTORS, write } from "./_nars.ts";

const test = testNeeding(permissions);

const END: NarToken = { type: "end" };
const ROOT: NarToken = { type: "directory", name: EMPTY };
const dir = (name: string): NarToken => ({ type: "directory", name: fromText(name) });
const file = (name: string, size = 0, executable = false): NarToken => ({
  type: "file",
  name: fromText(name),
  executable,
  size,
});
const data = (text: string): NarToken => ({ type: "data", bytes: fromText(text) });
const link = (name: string, target: string): NarToken => ({
  type: "symlink",
  name: fromText(name),
  target: fromText(target),
});

test("every vector, read and written, is the same bytes", async () => {
  for (const name of Object.keys(VECTORS)) {
    const bytes = vector(`${name}.nar`);
    for (const length of [7, 1000, bytes.length]) {
      assert.deepEqual(await write(readNar(streamOf(bytes, length).stream)), bytes, name);
    }
    assert.deepEqual(await write(parse([bytes])), bytes, name);
  }
});

Deno.test("tokens make the archive of the grammar", async () => {
  const tokens = [
    ROOT,
    file("a", 5, true),
    data("he"),
    data(""),
    data("llo"),
    END,
    link("b", "t"),
    dir("c"),
    END,
    END,
  ];
  assert.deepEqual(
    await write(tokens),
    nar(
      ...["nix-archive-1", "(", "type", "directory"],
      ...["entry", "(", "name", "a", "node"],
      ...["(", "type", "regular", "executable", "", "contents", "hello", ")", ")"],
      ...["entry", "(", "name", "b", "node", "(", "type", "symlink", "target", "t", ")", ")"],
      ...["entry", "(", "name", "c", "node", "(", "type", "directory", ")", ")", ")"],
    ),
  );
});

/** A directory of files of these sizes, with contents cut into pieces of `length`. */
function* tree(sizes: number[], length: number): Generator<NarToken> {
  yield ROOT;
  for (const [i, size] of sizes.entries()) {
    yield file(`f${String(i).padStart(5, "0")}`, size);
    for (let at = 0; at < size; at += length) {
      yield { type: "data", bytes: new Uint8Array(Math.min(length, size - at)).fill(i + 1) };
    }
    yield END;
  }
  yield END;
}

Deno.test("pieces have at least 64 KiB, except the last, and hold the whole", async () => {
  const piece = 64 * 1024;
  for (
    const sizes of [Array(3000).fill(100), [1_000_000, 3, 65_536, 65_535, 0, 200_000], Array(40).fill(piece)]
  ) {
    for (const length of [1000, piece, 10_000_000]) {
      const written = await collect(writeNar(tree(sizes, length)));
      assert.ok(written.length > 1);
      for (const bytes of written.slice(0, -1)) assert.ok(bytes.length >= piece, `${bytes.length}`);
      const files = parse(written).filter((token) => token.type === "file");
      assert.deepEqual(files.map((token) => token.size), sizes);
      assert.deepEqual(await write(parse([concat(written)])), concat(written));
    }
  }
});

Deno.test("long contents are passed on, not copied", async () => {
  const bytes = new Uint8Array(1_000_000).fill(1);
  const tokens: NarToken[] = [file("", bytes.length), { type: "data", bytes }, END];
  const written = await collect(writeNar(tokens));
  assert.equal(written.filter((piece) => piece.buffer === bytes.buffer).length, 1);
  assert.deepEqual(parse(written).at(-1), END);
});

Deno.test("tokens are asked for only as the stream is read, and left when it is cancelled", async () => {
  let asked = 0;
  let left = false;
  function* counted() {
    try {
      for (const token of tree(Array(100).fill(30_000), 30_000)) {
        asked++;
        yield token;
      }
    } finally {
      left = true;
    }
  }
  const reader = writeNar(counted()).getReader();
  await Promise.resolve();
  assert.equal(asked, 0);
  await reader.read();
  assert.ok(asked > 0 && asked < 12, `${asked}`);
  const before = asked;
  await reader.cancel();
  assert.equal(asked, before);
  assert.ok(left);
});

test("cancelling reaches the stream the tokens are read from, also one that is stalled", async () => {
  const { stream, left } = streamOf(vector("tree.nar"), 100);
  await writeNar(readNar(stream)).cancel();
  assert.ok(left.cancelled);

  let cancelled = false;
  const stalled = new ReadableStream<Bytes>({
    cancel() {
      cancelled = true;
    },
  });
  const reader = writeNar(readNar(stalled)).getReader();
  const pending = reader.read();
  await reader.cancel();
  assert.ok(cancelled);
  assert.equal((await pending).done, true);
});

test("what the tokens throw is the stream's error", async () => {
  const bytes = vector("tree.nar");
  const cut = writeNar(readNar(streamOf(bytes.subarray(0, 5000), 100).stream));
  await assert.rejects(collect(cut), /Cannot read NAR: it ends too early at byte 5000/);
});

const REFUSED: [string, NarToken[], RegExp][] = [
  ["nothing", [], /ends too early/],
  ["a directory not ended", [ROOT], /ends too early/],
  ["a file not ended", [file("", 1), data("x")], /ends too early/],
  ["an end first", [END], /an end where nothing was begun/],
  ["data first", [data("x")], /contents where no file/],
  ["data in a directory", [ROOT, data("x")], /contents where no file/],
  ["data after a file", [ROOT, file("a"), END, data("")], /contents where no file/],
  ["two roots", [link("", "t"), link("", "t")], /follows the end/],
  ["an end too many", [ROOT, END, END], /follows the end/],
  ["a root with a name", [dir("a"), END], /the root has a name, "a"/],
  ["a node in a file", [ROOT, file("a", 1), file("b", 1)], /a file follows where/],
  ["a directory in a file", [file("", 1), dir("b")], /a directory follows where/],
  ["a file too short", [file("", 3), data("ab"), END], /1 bytes shorter than its size, 3/],
  ["a file too long", [file("", 3), data("ab"), data("cd"), END], /longer than its size, 3/],
  ["an empty file with contents", [file("", 0), data("a"), END], /longer than its size, 0/],
  ["a size below 0", [file("", -1), END], /-1 is not the size/],
  ["a size of no number", [file("", NaN), END], /NaN is not the size/],
  ["a size between numbers", [file("", 1.5), data("ab"), END], /1.5 is not the size/],
  ["a size over 2^53 - 1", [file("", 2 ** 53), END], /is not the size/],
  ["an empty name", [ROOT, dir("")], /it is empty/],
  ["the name .", [ROOT, dir(".")], /it is \. or \.\./],
  ["the name ..", [ROOT, link("..", "t")], /it is \. or \.\./],
  ["a name with a slash", [ROOT, file("a/b")], /a slash/],
  ["a name with a NUL", [ROOT, file("a\0")], /a NUL/],
  ["a name of 256 bytes", [ROOT, file("n".repeat(256))], /256 bytes/],
  ["one name twice", [ROOT, file("a"), END, file("a")], /"a" does not come after "a"/],
  ["names out of order", [ROOT, dir("b"), END, link("a", "t")], /"a" does not come after "b"/],
  ["an empty target", [link("", "")], /it is empty/],
  ["a target of 4096 bytes", [link("", "t".repeat(4096))], /4096 bytes/],
];

Deno.test("anything but one lawful tree is refused, and the tokens are left", async () => {
  for (const [what, tokens, message] of REFUSED) {
    let left = false;
    const counted = async function* () {
      try {
        yield* tokens;
      } finally {
        left = true;
      }
    };
    await assert.rejects(write(counted()), (error) => {
      assert.ok(error instanceof FormatError, what);
      assert.match(error.message, /^Cannot write NAR: /);
      assert.match(error.message, message, what);
      return true;
    }, what);
    assert.ok(left, what);
  }
});
