/**
 * Writes the AssemblyScript of BLAKE3's compression function, unrolled: `hash1` (one input, 32-bit integers), `hash4`
 * (four inputs, one in each lane of the vectors), `hash8` (two sets of four), and `gather8` (two sets of four inputs that
 * lie anywhere and differ in length).
 *
 * Text is generated because AssemblyScript has no way to say "this step on these four variables", and a state kept in
 * memory would halve the speed. `hash8` is the fast one: one set of four is bound by the latency of its chains of
 * additions and rotations, and a second set in between uses the time the first one waits (an eighth faster).
 *
 *   hash1(input, length, counter, flags, start, end, out)
 *   hash4 and hash8(input, stride, blocks, counter, step, flags, start, end, out)
 *   gather8(jobs, start)
 *
 * hash1 takes one run of `length` bytes, zeros up to the block's end after it. The others take a run of `blocks` whole
 * blocks at every `stride` bytes, with counters going up by `step` (1 or 0) from lane to lane. `start` and `end` are
 * the flags of a run's first and last block. The chaining values go to `out`, 32 bytes each.
 *
 * gather8 takes eight jobs, 32 bytes each: u32 input, u32 length, u32 counter, u32 end, u32 out, 12 bytes free. Their runs are like
 * those of hash1, but `end` is each job's own. A lane whose run is over goes on for nothing until the longest is.
 */

/** The order in which each round takes the message's words: this permutation, applied once more each round. */
const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const COLUMNS = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15]];
const DIAGONALS = [[0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];

/** How a word of the state is added, mixed and rotated, in AssemblyScript. */
interface Words {
  add(a: string, b: string): string;
  xor(a: string, b: string): string;
  rotate(a: string, bits: number): string;
}

const INTEGERS: Words = {
  add: (a, b) => `${a} + ${b}`,
  xor: (a, b) => `${a} ^ ${b}`,
  rotate: (a, bits) => `rotr<u32>(${a}, ${bits})`,
};

const VECTORS: Words = {
  add: (a, b) => `i32x4.add(${a}, ${b})`,
  xor: (a, b) => `v128.xor(${a}, ${b})`,
  // By whole bytes it is one swizzle. The masks are loaded from memory, as V8 builds constant ones anew at each use.
  rotate: (a, bits) =>
    bits % 8 === 0
      ? `i8x16.swizzle(${a}, v128.load(ROTATE_${bits}))`
      : `v128.or(i32x4.shr_u(${a}, ${bits}), i32x4.shl(${a}, ${32 - bits}))`,
};

/** One state of sixteen variables `name0` to `name15`, and where its message's words are. */
interface Stream {
  name: string;
  word(index: number): string;
}

/** BLAKE3's G on four variables of the state, with two words of the message. */
function mix({ add, xor, rotate }: Words, [a, b, c, d]: string[], first: string, second: string): string {
  const half = (word: string, right: number, left: number) => `
    ${a} = ${add(`${add(a, word)}`, b)};
    ${d} = ${rotate(xor(d, a), right)};
    ${c} = ${add(c, d)};
    ${b} = ${rotate(xor(b, c), left)};`;
  return half(first, 16, 12) + half(second, 8, 7);
}

/** Seven rounds; where there are several streams they take turns. */
function rounds(words: Words, streams: Stream[]): string {
  let text = "";
  let order = PERMUTATION.map((_, index) => index);
  for (let round = 0; round < 7; round++) {
    [...COLUMNS, ...DIAGONALS].forEach((places, i) => {
      for (const { name, word } of streams) {
        const state = places.map((place) => name + place);
        text += mix(words, state, word(order[2 * i]), word(order[2 * i + 1]));
      }
    });
    order = PERMUTATION.map((index) => order[index]);
  }
  return text;
}

function lines(count: number, line: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => line(index)).join("\n");
}

function hash1(): string {
  return `
export function hash1(
  input: usize, length: u32, counter: u64, flags: u32, start: u32, end: u32, out: usize,
): void {
  ${lines(8, (i) => `let h${i} = IV${i};`)}
  let first = start;
  while (true) {
    const size = min<u32>(length, 64);
    const last = length <= 64;
    ${lines(8, (i) => `let v${i} = h${i};`)}
    ${lines(4, (i) => `let v${8 + i} = IV${i};`)}
    let v12 = <u32> counter;
    let v13 = <u32> (counter >> 32);
    let v14 = size;
    let v15 = flags | first | (last ? end : 0);
    ${rounds(INTEGERS, [{ name: "v", word: (index) => `load<u32>(input, ${4 * index})` }])}
    ${lines(8, (i) => `h${i} = v${i} ^ v${8 + i};`)}
    if (last) break;
    first = 0;
    input += 64;
    length -= 64;
  }
  ${lines(8, (i) => `store<u32>(out, h${i}, ${4 * i});`)}
}`;
}

/** Four vectors of words as four vectors of lanes, or back: the transposed matrix. */
function transpose(rows: string[], store: (index: number, vector: string) => string): string {
  const [a, b, c, d] = rows;
  return `{
    const low01 = i32x4.shuffle(${a}, ${b}, 0, 4, 1, 5);
    const high01 = i32x4.shuffle(${a}, ${b}, 2, 6, 3, 7);
    const low23 = i32x4.shuffle(${c}, ${d}, 0, 4, 1, 5);
    const high23 = i32x4.shuffle(${c}, ${d}, 2, 6, 3, 7);
    ${store(0, "i64x2.shuffle(low01, low23, 0, 2)")}
    ${store(1, "i64x2.shuffle(low01, low23, 1, 3)")}
    ${store(2, "i64x2.shuffle(high01, high23, 0, 2)")}
    ${store(3, "i64x2.shuffle(high01, high23, 1, 3)")}
  }`;
}

function hashLanes(sets: number): string {
  const names = ["a", "b"].slice(0, sets);
  const streams = names.map((name, set) => ({
    name,
    word: (index: number) => `v128.load(MESSAGE, ${256 * set + 16 * index})`,
  }));
  return `
export function hash${4 * sets}(
  input: usize, stride: usize, blocks: u32, counter: u64, step: u32, flags: u32, start: u32, end: u32, out: usize,
): void {
  ${names.map((name) => lines(8, (i) => `let ${name}h${i} = i32x4.splat(IV${i});`)).join("\n")}
  const counters = i32x4.add(i32x4.splat(<u32> counter), i32x4.mul(i32x4.splat(step), i32x4(0, 1, 2, 3)));
  const high = i32x4.splat(<u32> (counter >> 32));
  for (let block: u32 = 0; block < blocks; block++) {
    const blockFlags = flags | (block == 0 ? start : 0) | (block == blocks - 1 ? end : 0);
    let lane = input + 64 * block;
    for (let message = MESSAGE; message < MESSAGE + ${256 * sets}; message += 256) {
      ${
    lines(4, (part) =>
      transpose(
        lines(4, (row) => `v128.load(lane + ${row} * stride, ${16 * part})`).split("\n"),
        (index, vector) => `v128.store(message, ${vector}, ${16 * (4 * part + index)});`,
      ))
  }
      lane += 4 * stride;
    }
    ${
    names.map((name, set) => `
    ${lines(8, (i) => `let ${name}${i} = ${name}h${i};`)}
    ${lines(4, (i) => `let ${name}${8 + i} = i32x4.splat(IV${i});`)}
    let ${name}12 = i32x4.add(counters, i32x4.splat(${4 * set} * step));
    let ${name}13 = high;
    let ${name}14 = i32x4.splat(64);
    let ${name}15 = i32x4.splat(blockFlags);`).join("\n")
  }
    ${rounds(VECTORS, streams)}
    ${
    names.map((name) => lines(8, (i) => `${name}h${i} = v128.xor(${name}${i}, ${name}${8 + i});`)).join("\n")
  }
  }
  ${
    names.map((name, set) =>
      lines(2, (half) =>
        transpose(
          lines(4, (i) => `${name}h${4 * half + i}`).split("\n"),
          (index, vector) => `v128.store(out, ${vector}, ${128 * set + 32 * index + 16 * half});`,
        ))
    ).join("\n")
  }
}`;
}

function gather8(): string {
  const sets = [{ name: "a", at: 0 }, { name: "b", at: 4 }];
  const streams = sets.map(({ name }, set) => ({
    name,
    word: (index: number) => `v128.load(MESSAGE, ${256 * set + 16 * index})`,
  }));
  const jobs = (at: number) => lines(4, (i) => `v128.load(jobs, ${32 * (at + i)})`).split("\n");
  const fields = ["input", "length", "counter", "end"];
  return `
export function gather8(jobs: usize, start: u32): void {
  ${
    sets.map(({ name, at }) => `
  ${fields.map((field) => `let ${name}${field} = i32x4.splat(0);`).join("\n")}
  ${transpose(jobs(at), (index, vector) => `${name}${fields[index]} = ${vector};`)}
  ${lines(4, (i) => `let ${name}at${i} = <usize> i32x4.extract_lane(${name}input, ${i});`)}
  ${lines(8, (i) => `let ${name}h${i} = i32x4.splat(IV${i});`)}`).join("\n")
  }
  const longest = i32x4.max_u(alength, blength);
  let length = max<u32>(
    max<u32>(i32x4.extract_lane(longest, 0), i32x4.extract_lane(longest, 1)),
    max<u32>(i32x4.extract_lane(longest, 2), i32x4.extract_lane(longest, 3)),
  );
  const full = i32x4.splat(64);
  let first = start;
  while (true) {
    ${
    sets.map(({ name }, set) =>
      lines(4, (part) =>
        transpose(
          lines(4, (i) => `v128.load(${name}at${i}, ${16 * part})`).split("\n"),
          (index, vector) => `v128.store(MESSAGE, ${vector}, ${256 * set + 16 * (4 * part + index)});`,
        ))
    ).join("\n")
  }
    ${
    sets.map(({ name }) => `
    ${lines(8, (i) => `let ${name}${i} = ${name}h${i};`)}
    ${lines(4, (i) => `let ${name}${8 + i} = i32x4.splat(IV${i});`)}
    let ${name}12 = ${name}counter;
    let ${name}13 = i32x4.splat(0);
    let ${name}14 = i32x4.min_s(${name}length, full);
    let ${name}15 = v128.or(i32x4.splat(first), v128.and(i32x4.le_s(${name}length, full), ${name}end));`)
      .join(
        "\n",
      )
  }
    ${rounds(VECTORS, streams)}
    ${
    sets.map(({ name }) =>
      `{
      const over = v128.and(i32x4.le_s(${name}length, i32x4.splat(0)), i32x4.eq(i32x4.splat(first), i32x4.splat(0)));
      ${
        lines(8, (i) =>
          `${name}h${i} = v128.bitselect(${name}h${i}, v128.xor(${name}${i}, ${name}${8 + i}), over);`)
      }
      ${name}length = i32x4.sub(${name}length, full);
      ${
        lines(4, (i) => `${name}at${i} += 64;`)
      }
    }`
    ).join("\n")
  }
    if (length <= 64) break;
    length -= 64;
    first = 0;
  }
  ${
    sets.map(({ name, at }) =>
      lines(2, (half) =>
        transpose(
          lines(4, (i) => `${name}h${4 * half + i}`).split("\n"),
          (index, vector) =>
            `v128.store(load<u32>(jobs, ${32 * (at + index) + 16}), ${vector}, ${16 * half});`,
        ))
    ).join("\n")
  }
}`;
}

/** The module `assembly/compression`. */
export function compressionSource(): string {
  const constants = lines(8, (i) => `IV${i},`);
  return `import { ${constants} MESSAGE, ROTATE_8, ROTATE_16 } from "./layout";\n${hash1()}\n${
    hashLanes(1)
  }\n${hashLanes(2)}\n${gather8()}\n`;
}
