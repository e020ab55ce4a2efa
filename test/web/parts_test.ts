/** The parts of the page that are figures: rows of bytes, windows of lists, layers of graphs, kinds of files. */
import assert from "node:assert/strict";
import { fromText } from "../../src/bytes/bytes.ts";
import { kindOf, languageOf } from "../../web/page/contents.ts";
import { ago, bytes, count, percent, rate } from "../../web/page/figures.ts";
import { colour } from "../../web/page/highlighter.ts";
import { layered } from "../../web/page/layered.ts";
import { hexRow } from "../../web/page/part/hex_view.tsx";
import { progressText } from "../../web/page/part/progress_bar.tsx";
import { windowOf } from "../../web/page/part/virtual.tsx";

Deno.test("figures read as people write them", () => {
  assert.deepEqual([0, 1, 12, 1023, 1024, 1536, 10_240, 123_456_789, 2 ** 41].map(bytes), [
    "0 bytes",
    "1 byte",
    "12 bytes",
    "1,023 bytes",
    "1.00 KiB",
    "1.50 KiB",
    "10.0 KiB",
    "118 MiB",
    "2.00 TiB",
  ]);
  assert.equal(count(1, "path"), "1 path");
  assert.equal(count(2310, "entry", "entries"), "2,310 entries");
  assert.deepEqual([[0, 0], [1, 1000], [999, 1000], [1, 2], [5, 5]].map(([a, b]) => percent(a, b)), [
    "0 %",
    "< 1 %",
    "> 99 %",
    "50 %",
    "100 %",
  ]);
  assert.equal(rate(1024 * 1024, 500), "2.00 MiB/s");
  assert.equal(rate(5, 100), undefined, "too early to say");
  assert.equal(ago(0, 3 * 60_000), "3 minutes ago");
});

Deno.test("progress says what moved, how fast, and what was here", () => {
  const text = progressText({
    phase: "fetching",
    moved: 12 * 2 ** 20,
    toMove: 40 * 2 ** 20,
    done: 15 * 2 ** 20,
    total: 50 * 2 ** 20,
    shared: 3 * 2 ** 20,
    elapsed: 2000,
  });
  assert.equal(text, "Fetching 12.0 MiB of 40.0 MiB, 6.00 MiB/s, 3.00 MiB were here already");
});

Deno.test("a list of a million rows has a first and a last one, and no gap between", () => {
  for (const total of [0, 1, 10, 1000, 1_000_000, 3_000_000]) {
    const height = 600;
    const { room } = windowOf(0, height, total, 28);
    assert.ok(room <= 12_000_000);
    let reached = 0;
    for (let top = 0; top <= Math.max(0, room - height); top += Math.max(1, (room - height) / 997)) {
      const { start, end, shift } = windowOf(top, height, total, 28);
      if (total < 100_000) {
        assert.ok(start <= reached, `rows ${reached} to ${start} are never seen`);
        reached = Math.max(reached, end);
      }
      assert.ok(
        shift <= top + 1 && (end === total || shift + (end - start) * 28 >= top + height),
        "the window is filled",
      );
    }
    const last = windowOf(room - height, height, total, 28);
    assert.equal(last.end, total);
    assert.equal(windowOf(0, height, total, 28).start, 0);
  }
});

Deno.test("bytes are told in hex and as characters", () => {
  const row = hexRow(Uint8Array.from([0, 0x41, 0x7f, 0xff, 0x20]), 16);
  assert.equal(row.hex.length, 48);
  assert.match(row.hex, /^00 41 7f ff 20 /);
  assert.equal(row.ascii, ".A.. ");
});

Deno.test("a graph lies in layers, without edges that follow from others", () => {
  const { nodes, edges, layers } = layered(4, [[0, 1], [0, 2], [0, 3], [1, 2], [2, 3], [3, 3]]);
  assert.deepEqual(nodes.map(({ layer }) => layer), [0, 1, 2, 3]);
  assert.deepEqual([...edges].sort(), [[0, 1], [1, 2], [2, 3]]);
  assert.deepEqual(layers, [1, 1, 1, 1]);
  const circle = layered(3, [[0, 1], [1, 2], [2, 0]]);
  assert.equal(circle.edges.length, 2, "a circle is cut open");
  const wide = layered(301, Array.from({ length: 300 }, (_, i) => [0, i + 1] as const));
  assert.deepEqual(wide.layers, [1, 300]);
  assert.equal(new Set(wide.nodes.map(({ layer, order }) => `${layer} ${order}`)).size, 301);
});

Deno.test("files are told apart by what is in them", () => {
  const png = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0]);
  assert.equal(kindOf("a.txt", png), "image");
  assert.equal(kindOf("a.png", fromText("no image\n")), "text");
  assert.equal(kindOf("a.svg", fromText('<?xml version="1.0"?><svg xmlns="…"/>')), "image");
  assert.equal(kindOf("a", fromText("grüße\n").subarray(0, 3)), "text", "cut off in a character");
  assert.equal(kindOf("a", Uint8Array.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0])), "binary");
  assert.equal(kindOf("a", Uint8Array.from({ length: 400 }, (_, i) => 128 + i % 100)), "binary");
  assert.equal(kindOf("a", new Uint8Array()), "empty");
  assert.equal(languageOf("default.nix", ""), "nix");
  assert.equal(languageOf("setup", "#!/nix/store/x-bash/bin/bash -e"), "bash");
  assert.equal(languageOf("Makefile", ""), "makefile");
  assert.equal(languageOf("constructor", ""), undefined);
  assert.equal(languageOf("x.constructor", ""), undefined);
});

Deno.test("colours are pieces of the text and nothing else", () => {
  const text = '# <script>alert(1)</script>\n{ x = "a\n  b"; }\n';
  const lines = colour("nix", text);
  assert.equal(lines.map((line) => line.map(([piece]) => piece).join("")).join("\n"), text);
  assert.deepEqual(lines[0], [["# <script>alert(1)</script>", "t-comment"]]);
  assert.ok(lines[2].some(([, kind]) => kind === "t-string"), "a text over two lines has its colour in both");
  for (
    const language of ["bash", "c", "javascript", "python", "json", "ini", "xml", "css", "markdown", "rust"]
  ) {
    assert.equal(
      colour(language, text).map((line) => line.map(([piece]) => piece).join("")).join("\n"),
      text,
    );
  }
});
