/** Header blocks: what is refused, what is bounded, how the table's size changes, and the blocks of other implementations. */
import assert from "node:assert/strict";
import { type Bytes, concat } from "../../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../../src/bytes/hex.ts";
import { FormatError, LimitError } from "../../../src/errors.ts";
import {
  HeaderListTooLargeError,
  HpackDecoder,
  HpackError,
} from "../../../src/adapters/http2/hpack_decoder.ts";
import { HpackEncoder } from "../../../src/adapters/http2/hpack_encoder.ts";
import type { HeaderField } from "../../../src/adapters/http2/hpack_tables.ts";
import { permissions, permitted, testNeeding } from "../../needs.ts";
import {
  huffmanDecode,
  huffmanEncode,
  huffmanLength,
  huffmanMost,
} from "../../../src/adapters/http2/huffman.ts";

interface Vectors {
  huffman: [text: string, code: string][];
  connections: { fields: HeaderField[]; go: string; python: string }[][];
  damaged: { block: string; fields: HeaderField[] | null }[];
}

const test = testNeeding(permissions);
const vectors: Vectors = permitted
  ? JSON.parse(await Deno.readTextFile(new URL("../../vectors/http2/hpack.json", import.meta.url)))
  : { huffman: [], connections: [], damaged: [] };

function decoderOf(maxTableSize = 4096, maxListSize = 1 << 20): HpackDecoder {
  return new HpackDecoder({ maxTableSize, maxListSize });
}

function refused(decoder: HpackDecoder, block: string | Bytes, message: RegExp): void {
  const bytes = typeof block === "string" ? fromHex(block.replaceAll(" ", "")) : block;
  assert.throws(() => decoder.decode(bytes), (error) => {
    assert.ok(error instanceof HpackError && error instanceof FormatError, String(error));
    assert.match(error.message, /^Cannot read header block: /);
    assert.match(error.message, message);
    return true;
  });
}

function latin1(bytes: Bytes): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

test("blocks of two other encoders, connection by connection", () => {
  assert.equal(vectors.connections.length, 8);
  for (const by of ["go", "python"] as const) {
    for (const connection of vectors.connections) {
      const decoder = decoderOf();
      for (const step of connection) assert.deepEqual(decoder.decode(fromHex(step[by])), step.fields);
    }
  }
});

test("damaged blocks are read or refused as two other decoders do", () => {
  assert.ok(vectors.damaged.length >= 200);
  for (const { block, fields } of vectors.damaged) {
    if (fields) assert.deepEqual(decoderOf().decode(fromHex(block)), fields, block);
    else assert.throws(() => decoderOf().decode(fromHex(block)), HpackError, block);
  }
});

test("Huffman codes are those of another encoder, both ways", () => {
  assert.ok(vectors.huffman.length > 256);
  for (const [plain, code] of vectors.huffman) {
    const text = latin1(fromHex(plain));
    const bytes = fromHex(code);
    assert.equal(huffmanLength(text), bytes.length);
    const encoded = new Uint8Array(bytes.length + 1);
    assert.equal(huffmanEncode(text, encoded, 0), bytes.length);
    assert.equal(toHex(encoded), `${code}00`);
    const decoded = new Uint8Array(huffmanMost(bytes.length));
    assert.equal(toHex(decoded.subarray(0, huffmanDecode(bytes, 0, bytes.length, decoded))), plain);
  }
});

Deno.test("Huffman padding: up to seven ones, and nothing else", () => {
  const decode = (code: string) => {
    const bytes = fromHex(code);
    return huffmanDecode(bytes, 0, bytes.length, new Uint8Array(huffmanMost(bytes.length)));
  };
  assert.equal(decode(""), 0);
  assert.equal(decode("1f"), 1); // a and three ones
  assert.equal(decode("07"), 1); // 0 and three ones
  const wrong = ["ff", "1fff", "1fffffff", "ff9fffffff", "52bc30ffffffff", "00", "1e", "1b"];
  for (const code of wrong) assert.equal(decode(code), -1, code);
  assert.equal(decode("fffffffc"), -1, "EOS");
  assert.equal(decode("fffffffcff"), -1, "EOS and more");
});

Deno.test("refused: indices that nothing has", () => {
  refused(decoderOf(), "80", /no field 0/);
  refused(decoderOf(), "be", /no field 62/);
  refused(decoderOf(), "7e 01 61", /no field 62/);
  refused(decoderOf(), "ff ff ff ff 7f", /no field/);
  assert.deepEqual(decoderOf().decode(fromHex("bd")), [["www-authenticate", ""]]);
});

Deno.test("refused: integers that do not end, and blocks that end too soon", () => {
  refused(decoderOf(), "ff 80 80 80 80 00", /too many bytes/);
  refused(decoderOf(), "ff ff ff ff ff 0f", /too many bytes/);
  refused(decoderOf(), "3f ff ff ff ff ff ff ff ff ff 01", /too many bytes/);
  for (const block of ["ff", "ff 80", "40", "40 01", "40 01 61", "44", "00", "3f"]) {
    refused(decoderOf(), block, /ends within|longer than/);
  }
  refused(decoderOf(), "40 05 61 62", /longer than the block/);
  refused(decoderOf(), "00 7f ff ff ff 7f 61", /longer than the block/);
});

Deno.test("refused: a table larger than allowed, or changed within a block", () => {
  refused(decoderOf(), "3f e2 1f", /4097 bytes, 4096 are allowed/);
  assert.deepEqual(decoderOf().decode(fromHex("3fe11f")), []);
  refused(decoderOf(), "82 20", /after a field/);
  refused(decoderOf(), "82 20 82", /after a field/);
});

Deno.test("an update empties the table, and several may follow each other", () => {
  const decoder = decoderOf();
  decoder.decode(fromHex("40016101624001630164"));
  assert.deepEqual(decoder.decode(fromHex("bfbe")), [["a", "b"], ["c", "d"]]);
  assert.deepEqual(decoder.decode(fromHex("3f03be")), [["c", "d"]]);
  refused(decoder, "bf", /no field/);
  decoder.decode(fromHex("203fe11f"));
  refused(decoder, "be", /no field/);
});

Deno.test("a reduction by SETTINGS has to be signalled in the next block", () => {
  const decoder = decoderOf();
  decoder.setMaxTableSize(100);
  refused(decoder, "82", /begin by reducing its table to 100/);
  refused(decoder, "3f e1 1f 82", /4096 bytes, 100 are allowed/);
  assert.deepEqual(decoder.decode(fromHex("3f4582")), [[":method", "GET"]]);
  decoder.setMaxTableSize(8192);
  assert.deepEqual(decoder.decode(fromHex("82")), [[":method", "GET"]], "a larger one need not be used");
});

Deno.test("a field as large as the table empties it, and is read all the same", () => {
  const decoder = decoderOf(100);
  decoder.decode(fromHex("4001610162"));
  assert.deepEqual(decoder.decode(fromHex(`400178 7f00${"79".repeat(127)}`.replaceAll(" ", ""))), [
    ["x", "y".repeat(127)],
  ]);
  refused(decoder, "be", /no field/);
});

Deno.test("a name from a field that its own addition evicts", () => {
  const decoder = decoderOf(40);
  decoder.decode(fromHex("4003616263023132"));
  assert.deepEqual(decoder.decode(fromHex("7e023334")), [["abc", "34"]]);
  assert.deepEqual(decoder.decode(fromHex("be")), [["abc", "34"]]);
});

Deno.test("a list over its bound concerns only itself: the table stays right", () => {
  const decoder = decoderOf(4096, 100);
  assert.deepEqual(decoder.decode(fromHex("400161026263")), [["a", "bc"]]);
  // Three fields of 35 are 105; the last adds to the table.
  assert.throws(() => decoder.decode(fromHex("bebe400161026465")), (error) => {
    assert.ok(error instanceof HeaderListTooLargeError && error instanceof LimitError);
    assert.equal(error.limit, 100);
    return true;
  });
  assert.deepEqual(decoder.decode(fromHex("bebf")), [["a", "de"], ["a", "bc"]]);
  refused(decoder, "bebebebebf ff00", /no field 127/);
});

Deno.test("a bomb of references to one large field costs neither memory nor time", () => {
  const decoder = decoderOf(4096, 64 * 1024);
  decoder.decode(new HpackEncoder().encode([["x", "y".repeat(2000)]]));
  const bomb = new Uint8Array(16 << 20).fill(0xbe);
  const started = performance.now();
  const before = Deno.memoryUsage().heapUsed;
  assert.throws(() => decoder.decode(bomb), HeaderListTooLargeError);
  assert.ok(Deno.memoryUsage().heapUsed - before < 32 << 20);
  assert.ok(performance.now() - started < 5000);
  assert.equal(decoder.decode(fromHex("be"))[0][1].length, 2000);
});

Deno.test("secrets are never added, and marked so that nobody adds them", () => {
  const encoder = new HpackEncoder();
  for (const name of ["authorization", "cookie", "set-cookie", "proxy-authorization"]) {
    const first = encoder.encode([[name, "abc"]]);
    assert.equal(first[0] & 0xf0, 0x10);
    assert.deepEqual(encoder.encode([[name, "abc"]]), first);
    assert.deepEqual(encoder.encode([[name, ""]])[0] & 0xf0, 0x10);
    assert.deepEqual(decoderOf().decode(first), [[name, "abc"]]);
  }
});

Deno.test("what repeats is one byte the second time, what is fickle drives nothing out", () => {
  const encoder = new HpackEncoder();
  const decoder = decoderOf();
  const fields: HeaderField[] = [[":status", "200"], ["content-type", "application/grpc"], [
    "grpc-status",
    "0",
  ]];
  decoder.decode(encoder.encode(fields));
  for (let i = 0; i < 500; i++) {
    const length: HeaderField = ["content-length", String(i)];
    assert.deepEqual(decoder.decode(encoder.encode([length])), [length]);
  }
  const block = encoder.encode(fields);
  assert.equal(block.length, 3);
  assert.deepEqual(decoder.decode(block), fields);
});

Deno.test("the encoder tells of every smaller table on the way, and of none that is the same", () => {
  const encoder = new HpackEncoder();
  const decoder = decoderOf();
  const field: HeaderField = ["x-name", "value"];
  decoder.decode(encoder.encode([field]));
  encoder.setMaxTableSize(65536);
  assert.deepEqual(toHex(encoder.encode([field])), "be");
  encoder.setMaxTableSize(0);
  encoder.setMaxTableSize(4096);
  const block = encoder.encode([field]);
  assert.equal(toHex(block.subarray(0, 4)), "203fe11f");
  assert.deepEqual(decoder.decode(block), [field]);
  encoder.setMaxTableSize(0);
  const without = encoder.encode([field]);
  assert.equal(without[0], 0x20);
  assert.equal(without[1], 0x00, "a literal that is not added");
  assert.deepEqual(decoder.decode(without), [field]);
  refused(decoder, "be", /no field/);
});

Deno.test("a character that is no byte: a clear error, and the next block is right", () => {
  const encoder = new HpackEncoder();
  const decoder = decoderOf();
  const good: HeaderField = ["x-name", "value"];
  decoder.decode(encoder.encode([good]));
  for (const bad of [["x-name", "\u0100"], ["x-\u20ac", "1"]] as HeaderField[]) {
    assert.throws(() => encoder.encode([["x-more", "added"], bad]), (error) => {
      assert.ok(error instanceof FormatError);
      assert.match(error.message, /^Cannot write header block/);
      return true;
    });
    assert.deepEqual(decoder.decode(encoder.encode([good, good])), [good, good]);
    assert.deepEqual(decoder.decode(encoder.encode([["x-more", "added"], good])), [
      ["x-more", "added"],
      good,
    ]);
  }
});

Deno.test("a block that failed does not lose the update it began with", () => {
  const encoder = new HpackEncoder();
  const decoder = decoderOf();
  encoder.setMaxTableSize(100);
  decoder.setMaxTableSize(100);
  assert.throws(() => encoder.encode([["x-name", "\u0100"]]), FormatError);
  const fields: HeaderField[] = [["x-name", "value"], ["x-name", "value"]];
  assert.deepEqual(decoder.decode(encoder.encode(fields)), fields);
});

Deno.test("a table that many fields have passed through", () => {
  const encoder = new HpackEncoder();
  const decoder = decoderOf();
  for (let i = 0; i < 2000; i++) {
    const fields: HeaderField[] = [["x-name", `value ${i}`], ["x-name", `value ${Math.max(0, i - 50)}`]];
    assert.deepEqual(decoder.decode(encoder.encode(fields)), fields);
  }
});

Deno.test("a block may be a view, and nothing of it is kept", () => {
  const encoder = new HpackEncoder();
  const fields: HeaderField[] = [["x-first", "\xff".repeat(40)], ["x-second", "abc"]];
  const block = encoder.encode(fields);
  const around = concat([new Uint8Array(7), block, new Uint8Array(9)]);
  const decoder = decoderOf();
  assert.deepEqual(decoder.decode(around.subarray(7, 7 + block.length)), fields);
  around.fill(0);
  encoder.encode([["x-third", "d"]]);
  assert.deepEqual(decoder.decode(fromHex("bfbe")), fields);
});
