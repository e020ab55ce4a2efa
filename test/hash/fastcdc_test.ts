/** FastCDC: chunk lengths of the `fastcdc` crate, and the kernel against plain TypeScript. */
import assert from "node:assert/strict";
import { type Bytes, EMPTY } from "../../src/bytes/bytes.ts";
import { type ChunkSizes, cutPoint, DEFAULT_CHUNK_SIZES } from "../../src/hash/fastcdc.ts";
import { plainCutPoint } from "../../src/hash/fastcdc_plain.ts";
import { GEAR } from "../../src/hash/gear.ts";
import { permissions, permitted, testNeeding } from "../needs.ts";
import { BLOB_B, seeded, seededBytes } from "./_inputs.ts";

function chunkLengths(bytes: Bytes, sizes: ChunkSizes, cut: typeof cutPoint = cutPoint): number[] {
  const lengths = [];
  for (let at = 0; at < bytes.length; at += lengths.at(-1)!) lengths.push(cut(bytes.subarray(at), sizes));
  return lengths;
}

const PICTURE = permitted
  ? Deno.readFileSync(new URL("../vectors/hash/SekienAkashita.jpg", import.meta.url))
  : EMPTY;
const SMALL = { min: 512, average: 1024, max: 2048 };
const ROWS: [string, Bytes, ChunkSizes, number[]][] = [
  ["picture, 16 KiB", PICTURE, { min: 4096, average: 16384, max: 65535 }, [
    21325,
    17140,
    28084,
    18217,
    24700,
  ]],
  ["picture, 32 KiB", PICTURE, { min: 8192, average: 32768, max: 131072 }, [66549, 42917]],
  ["blob, 1 KiB", BLOB_B, SMALL, [1130, ...Array(818).fill(1275), 400]],
  ["blob", BLOB_B, DEFAULT_CHUNK_SIZES, [524288, 520192]],
  ["zeros", new Uint8Array(3 * 1024 * 1024 + 5), DEFAULT_CHUNK_SIZES, [...Array(6).fill(524288), 5]],
];

for (const [name, bytes, sizes, lengths] of ROWS) {
  const test = testNeeding(...(bytes === PICTURE ? [permissions] : []));
  test(`chunks of other implementations: ${name}`, () => {
    assert.deepEqual(chunkLengths(bytes, sizes), lengths);
    assert.deepEqual(chunkLengths(bytes, sizes, plainCutPoint as typeof cutPoint), lengths);
  });
}

Deno.test("the gear table is the crate's", () => {
  assert.deepEqual([GEAR[0], GEAR[1], GEAR[255]], [
    0x3b5d3c7d207e37dcn,
    0x784d68ba91123086n,
    0xaabd2b2a451504e1n,
  ]);
});

Deno.test("the kernel cuts where plain TypeScript does", () => {
  const next = seeded(11);
  const bytes = seededBytes(2_000_000, 12);
  const sizes = [DEFAULT_CHUNK_SIZES, { min: 64, average: 256, max: 1024 }, {
    min: 1 << 20,
    average: 1 << 22,
    max: 1 << 24,
  }];
  for (let i = 0; i < 20; i++) {
    const min = 64 + next(20_000), average = Math.max(256, min + next(60_000));
    sizes.push({ min, average, max: Math.max(1024, average + next(100_000)) });
  }
  for (const size of sizes) {
    const input = bytes.subarray(next(9), bytes.length - next(300_000));
    assert.deepEqual(
      chunkLengths(input, size),
      chunkLengths(input, size, plainCutPoint as typeof cutPoint),
      JSON.stringify(size),
    );
    for (let i = 0; i < 20; i++) {
      const start = next(1_000_000), few = bytes.subarray(start, start + next(2 * size.max));
      assert.equal(
        cutPoint(few, size),
        plainCutPoint(few, size),
        `${JSON.stringify(size)}, ${few.length} bytes`,
      );
    }
  }
});

Deno.test("bytes past the largest chunk make no difference", () => {
  const bytes = seededBytes(3_000_000, 13);
  for (let at = 0; at < 2_000_000; at += 131_071) {
    const rest = bytes.subarray(at);
    assert.equal(cutPoint(rest), cutPoint(rest.subarray(0, DEFAULT_CHUNK_SIZES.max)));
  }
});

Deno.test("few bytes are one chunk, none are none", () => {
  const bytes = seededBytes(131_072, 14);
  assert.equal(cutPoint(bytes), 131_072);
  assert.equal(cutPoint(bytes.subarray(0, 1)), 1);
  assert.equal(cutPoint(bytes.subarray(0, 0)), 0);
});

Deno.test("sizes out of bounds or order are refused", () => {
  const bad: Partial<ChunkSizes>[] = [
    { min: 63 },
    { min: 2 ** 20 + 1 },
    { average: 255 },
    { average: 2 ** 22 + 1 },
    { max: 1023 },
    { max: 2 ** 24 + 1 },
    { min: 1025 },
    { average: 2049 },
    { average: 1024.5 },
    { max: NaN },
  ];
  for (const part of bad) {
    assert.throws(() => cutPoint(BLOB_B, { ...SMALL, ...part }), RangeError, JSON.stringify(part));
  }
});
