// Input made to do harm: the engine says what is wrong, before it has read all of it, and keeps nothing of it.
import assert from "node:assert/strict";
import { zstdCompressSync } from "node:zlib";
import { type Bytes, concat, EMPTY, fromText } from "../../../src/bytes/bytes.ts";
import { iterate } from "../../../src/bytes/streams.ts";
import type { NarToken } from "../../../src/nar/parser.ts";
import { writeNar } from "../../../src/nar/writer.ts";
import type { Fault, SearchHit } from "../../../web/engine/engine.ts";
import { permissions, testNeeding } from "../../needs.ts";
import { narFile, narInfo, pathOf } from "../../server/_site.ts";
import { Tab } from "./_tab.ts";

const test = testNeeding(permissions);
const MIB = 1024 * 1024;
const offline = () => new Tab(() => Response.error());

async function blobOf(pieces: AsyncIterable<Bytes>): Promise<Blob> {
  const parts: Bytes[] = [];
  for await (const piece of pieces) parts.push(piece.slice());
  return new Blob(parts);
}

async function refusedOf(tab: Tab, ...files: File[]): Promise<Fault> {
  const { paths, refused } = await tab.engine.open({ type: "files", files });
  assert.deepEqual(paths, []);
  assert.deepEqual(await tab.engine.stored(), []);
  return refused[0].fault;
}

test("hostile: a folder of 1,000,000 entries opens, is paged, searched and sorted", async () => {
  const COUNT = 1_000_000;
  function* tokens(): Generator<NarToken> {
    yield { type: "directory", name: EMPTY };
    for (let i = 0; i < COUNT; i++) {
      const name = fromText("f" + String(i).padStart(7, "0"));
      if (i % 2 === 0) yield { type: "symlink", name, target: name };
      else {
        yield { type: "file", name, executable: false, size: 1 };
        yield { type: "data", bytes: fromText("x") };
        yield { type: "end" };
      }
    }
    yield { type: "end" };
  }
  const tab = offline();
  const blob = await blobOf(iterate(writeNar(tokens())));
  const { paths, refused } = await tab.engine.open({ type: "files", files: [new File([blob], "many.nar")] });
  assert.deepEqual(refused, []);
  const { path } = paths[0];
  const page = await tab.engine.list(path, "", { offset: 777_776, limit: 3 });
  assert.deepEqual([page.total, ...page.items.map(({ name }) => name)], [
    COUNT,
    "f0777776",
    "f0777777",
    "f0777778",
  ]);
  const sorted = await tab.engine.list(path, "", { order: "size", limit: 1 });
  assert.equal(sorted.items[0].type, "file");
  const found: string[] = [];
  const hits = (batch: readonly SearchHit[]) => void found.push(...batch.map(({ file }) => file));
  const end = await tab.engine.search(path, "99999", {}, "search", hits);
  assert.deepEqual([end.more, end.looked], [false, COUNT]);
  assert.ok(found.includes("f0999990") && found.every((file) => file.includes("99999")));
});

test("hostile: folders 10,000 deep are refused", async () => {
  function* tokens(): Generator<NarToken> {
    const depth = 10_000;
    for (let i = 0; i < depth; i++) yield { type: "directory", name: i === 0 ? EMPTY : fromText("d") };
    for (let i = 0; i < depth; i++) yield { type: "end" };
  }
  const nar = await blobOf(iterate(writeNar(tokens()))).catch(() => undefined);
  const blob = nar ?? new Blob([deepNar(10_000)]);
  const fault = await refusedOf(offline(), new File([blob], "deep.nar"));
  assert.equal(fault.name, "LimitError");
  assert.match(fault.message, /4096/);
  const entries = [{ path: "d/".repeat(10_000) + "f", file: new File(["x"], "f") }];
  await assert.rejects(offline().engine.open({ type: "folder", name: "deep", entries }), {
    name: "LimitError",
  });
});

/** Written by hand, for the writer refuses what the reader does. */
function deepNar(depth: number): Bytes {
  const word = (text: string) => {
    const bytes = new Uint8Array(8 + Math.ceil(text.length / 8) * 8);
    bytes[0] = text.length;
    bytes.set(fromText(text), 8);
    return bytes;
  };
  const words = (...texts: string[]) => concat(texts.map(word));
  const inner = words("entry", "(", "name", "d", "node", "(", "type", "directory");
  return concat([
    words("nix-archive-1", "(", "type", "directory"),
    ...Array<Bytes>(depth).fill(inner),
    ...Array<Bytes>(depth).fill(words(")", ")")),
    words(")"),
  ]);
}

test("hostile: an archive that expands without end is refused", async () => {
  // A frame of a NAR's beginning, and then frames that each stand for 128 MiB of zeros.
  const size = 16 * 1024 * MIB;
  const head = new Uint8Array(deepNar(0).subarray(0, 24 + 16));
  const file = concat([
    head.subarray(0, 24),
    ...["(", "type", "regular", "contents"].map((text) => {
      const bytes = new Uint8Array(16);
      bytes[0] = text.length;
      bytes.set(fromText(text), 8);
      return bytes;
    }),
    (() => {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true);
      return bytes;
    })(),
  ]);
  const zeros = new Uint8Array(zstdCompressSync(new Uint8Array(128 * MIB)));
  const bomb = concat([
    new Uint8Array(zstdCompressSync(file)),
    ...Array<Bytes>(size / (128 * MIB)).fill(zeros),
  ]);
  assert.ok(bomb.length < 2 * MIB, `${bomb.length}`);
  const tab = offline();
  const fault = await refusedOf(tab, new File([bomb], "bomb.nar.zst"));
  assert.equal(fault.name, "LimitError");
  assert.match(fault.message, /^Cannot open this: it expands to over \d+ times its length/);

  const base = pathOf("bomb");
  const claimed = narInfo(base, await narFile(fromText("nar")), {
    URL: "nar/bomb.nar.zst",
    Compression: "zstd",
    FileHash: null,
    FileSize: null,
  });
  const small = await refusedOf(
    offline(),
    new File([claimed], "x.narinfo"),
    new File([bomb], "bomb.nar.zst"),
  );
  assert.equal(small.name, "LimitError");
  assert.match(small.message, /longer than 4 bytes/);
});

test("hostile: a cache that answers with anything is told as what it is", async () => {
  const answers: [Response | (() => Response), string][] = [
    [new Response("<!doctype html><title>login</title>"), "FormatError"],
    [
      new Response(
        "StorePath: /nix/store/" + pathOf("other") + "\nURL: x\nNarHash: sha256:" + "0".repeat(52) +
          "\nNarSize: 1\n",
      ),
      "FormatError",
    ],
    [new Response(new Uint8Array(3 * MIB).fill(0x41)), "LimitError"],
    [new Response(Uint8Array.of(0xff, 0xfe)), "FormatError"],
    [new Response("no\n", { status: 500 }), "RemoteError"],
    [new Response("no\n", { status: 404 }), "MissingError"],
  ];
  for (const [answer, name] of answers) {
    const tab = new Tab(() => answer as Response);
    const target = { type: "path", path: pathOf("wanted"), cache: "https://cache.test" } as const;
    await assert.rejects(tab.engine.open(target), { name }, name);
    assert.deepEqual(await tab.engine.stored(), []);
  }
});

test("hostile: addresses and keys that are none are refused, and nothing is changed", async () => {
  const tab = offline();
  const before = await tab.engine.settings();
  for (
    const address of ["cache.example", "ftp://x", "https://user:pw@x", "https://x?y", "javascript:alert(1)"]
  ) {
    await assert.rejects(tab.engine.configure({ caches: [address] }), { name: "FormatError" }, address);
  }
  await assert.rejects(tab.engine.configure({ trustedKeys: ["nonsense"] }), { name: "FormatError" });
  assert.deepEqual(await tab.engine.settings(), before);
  const { caches } = await tab.engine.configure({ caches: ["https://a.example/", "https://a.example"] });
  assert.deepEqual(caches, ["https://a.example"]);
});
