/** The examples of RFC 7541, appendix C, with the state of the dynamic table after each block. */
import assert from "node:assert/strict";
import { fromHex, toHex } from "../../../src/bytes/hex.ts";
import { HpackDecoder, HpackError } from "../../../src/adapters/http2/hpack_decoder.ts";
import { HpackEncoder } from "../../../src/adapters/http2/hpack_encoder.ts";
import { type HeaderField, sizeOf } from "../../../src/adapters/http2/hpack_tables.ts";

interface Example {
  block: string;
  fields: HeaderField[];
  /** Newest first. */
  table: HeaderField[];
  tableSize: number;
}

function bytes(text: string) {
  return fromHex(text.replaceAll(/\s/g, ""));
}

/** The dynamic table as a decoder sees it: what the indices from 62 on stand for. */
function tableOf(decoder: HpackDecoder): HeaderField[] {
  const fields: HeaderField[] = [];
  while (true) {
    try {
      fields.push(...decoder.decode(bytes((0x80 + 62 + fields.length).toString(16))));
    } catch (error) {
      assert.ok(error instanceof HpackError);
      return fields;
    }
  }
}

function check(maxTableSize: number, examples: Example[]): void {
  const decoder = new HpackDecoder({ maxTableSize, maxListSize: 1000 });
  for (const { block, fields, table, tableSize } of examples) {
    assert.deepEqual(decoder.decode(bytes(block)), fields);
    assert.deepEqual(tableOf(decoder), table);
    assert.equal(table.reduce((sum, field) => sum + sizeOf(field), 0), tableSize);
  }
}

function request(path: string, scheme: string, ...more: HeaderField[]): HeaderField[] {
  return [[":method", "GET"], [":scheme", scheme], [":path", path], AUTHORITY, ...more];
}

const AUTHORITY: HeaderField = [":authority", "www.example.com"];
const NO_CACHE: HeaderField = ["cache-control", "no-cache"];
const CUSTOM: HeaderField = ["custom-key", "custom-value"];
const FOUND: HeaderField = [":status", "302"];
const REDIRECTED: HeaderField = [":status", "307"];
const PRIVATE: HeaderField = ["cache-control", "private"];
const DATE: HeaderField = ["date", "Mon, 21 Oct 2013 20:13:21 GMT"];
const LATER: HeaderField = ["date", "Mon, 21 Oct 2013 20:13:22 GMT"];
const LOCATION: HeaderField = ["location", "https://www.example.com"];
const GZIP: HeaderField = ["content-encoding", "gzip"];
const COOKIE: HeaderField = ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"];

const REQUESTS: Omit<Example, "block">[] = [
  { fields: request("/", "http"), table: [AUTHORITY], tableSize: 57 },
  { fields: request("/", "http", NO_CACHE), table: [NO_CACHE, AUTHORITY], tableSize: 110 },
  {
    fields: request("/index.html", "https", CUSTOM),
    table: [CUSTOM, NO_CACHE, AUTHORITY],
    tableSize: 164,
  },
];

const RESPONSES: Omit<Example, "block">[] = [
  {
    fields: [FOUND, PRIVATE, DATE, LOCATION],
    table: [LOCATION, DATE, PRIVATE, FOUND],
    tableSize: 222,
  },
  {
    fields: [REDIRECTED, PRIVATE, DATE, LOCATION],
    table: [REDIRECTED, LOCATION, DATE, PRIVATE],
    tableSize: 222,
  },
  {
    fields: [[":status", "200"], PRIVATE, LATER, LOCATION, GZIP, COOKIE],
    table: [COOKIE, GZIP, LATER],
    tableSize: 215,
  },
];

function withBlocks(examples: Omit<Example, "block">[], blocks: string[]): Example[] {
  return examples.map((example, i) => ({ ...example, block: blocks[i] }));
}

const PLAIN_REQUESTS = [
  "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
  "8286 84be 5808 6e6f 2d63 6163 6865",
  "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];

const HUFFMAN_REQUESTS = [
  "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
  "8286 84be 5886 a8eb 1064 9cbf",
  "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];

const PLAIN_RESPONSES = [
  `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
   2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d`,
  "4803 3330 37c1 c0bf",
  `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
   54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
   5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31`,
];

const HUFFMAN_RESPONSES = [
  `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
   2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
  "4883 640e ffc1 c0bf",
  `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
   77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
   9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
];

Deno.test("C.1: integers", () => {
  // An update of the table has an integer of five bits, an index one of seven; a name's length starts at a byte's seven.
  const decoder = new HpackDecoder({ maxTableSize: 1337, maxListSize: 1000 });
  assert.deepEqual(decoder.decode(bytes("2a")), []);
  assert.deepEqual(decoder.decode(bytes("3f9a0a")), []);
  assert.throws(() => decoder.decode(bytes("3f9b0a")), HpackError);
  assert.deepEqual(decoder.decode(bytes(`00 2a ${"61".repeat(42)} 00`)), [["a".repeat(42), ""]]);
  const encoder = new HpackEncoder();
  encoder.setMaxTableSize(10);
  assert.equal(toHex(encoder.encode([])), "2a");
  encoder.setMaxTableSize(1337);
  assert.equal(toHex(encoder.encode([])), "3f9a0a");
});

Deno.test("C.2: one field of each kind", () => {
  const added: HeaderField = ["custom-key", "custom-header"];
  const examples: Example[] = [
    {
      block: "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572",
      fields: [added],
      table: [added],
      tableSize: 55,
    },
    {
      block: "040c 2f73 616d 706c 652f 7061 7468",
      fields: [[":path", "/sample/path"]],
      table: [],
      tableSize: 0,
    },
    {
      block: "1008 7061 7373 776f 7264 0673 6563 7265 74",
      fields: [["password", "secret"]],
      table: [],
      tableSize: 0,
    },
    { block: "82", fields: [[":method", "GET"]], table: [], tableSize: 0 },
  ];
  for (const example of examples) check(4096, [example]);
});

Deno.test("C.3 and C.4: requests of one connection", () => {
  check(4096, withBlocks(REQUESTS, PLAIN_REQUESTS));
  check(4096, withBlocks(REQUESTS, HUFFMAN_REQUESTS));
});

Deno.test("C.5 and C.6: responses of one connection, with a table of 256 bytes that has to evict", () => {
  check(256, withBlocks(RESPONSES, PLAIN_RESPONSES));
  check(256, withBlocks(RESPONSES, HUFFMAN_RESPONSES));
});

Deno.test("the encoder writes what C.4 says, byte for byte", () => {
  const encoder = new HpackEncoder();
  for (const [i, { fields }] of REQUESTS.entries()) {
    assert.equal(toHex(encoder.encode(fields)), toHex(bytes(HUFFMAN_REQUESTS[i])));
  }
});
