// The codecs of Deno and Node, against the command-line tools of each format and against hostile input.
import assert from "node:assert/strict";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { type Bytes, concat, EMPTY, equals, fromText } from "../../src/bytes/bytes.ts";
import { collect, toReadable } from "../../src/bytes/streams.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import { type CompressionName, sniffCompression } from "../../src/store/codec.ts";
import { codecContract } from "../contract/codec.ts";
import { testContract } from "../contract/run.ts";
import { brotli, bzip2, gzip, type Need, permissions, testNeeding, xz, zstd } from "../needs.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const codecs = openCodecs();

type Packed = Exclude<CompressionName, "none">;

/** Each format's tool and options to try it with; the first are quick ones. */
const TOOLS: Readonly<Record<Packed, { need: Need; command: string; options: string[] }>> = {
  xz: {
    need: xz,
    command: "xz",
    options: [
      ...[
        "-1",
        "-0",
        "-6",
        "-9",
        "-6e",
        "--lzma2=dict=128MiB",
        "--lzma2=lc=0,lp=3,pb=4",
        "--block-size=100000",
      ],
      ...["--check=none", "--check=crc32", "--check=sha256"],
      ...["--x86 --lzma2=preset=1", "--delta=dist=4 --lzma2=preset=1"],
    ],
  },
  zstd: {
    need: zstd,
    command: "zstd",
    options: ["-3", "-1", "--fast=5", "-19", "--ultra -22", "--long=27", "--no-check", "-T2 --rsyncable"],
  },
  gzip: { need: gzip, command: "gzip", options: ["-1", "-6", "-9", "--rsyncable"] },
  br: {
    need: brotli,
    command: "brotli",
    options: ["-q 1", "-q 0", "-q 5", "-q 11 -w 24", "-q 4 -w 10"],
  },
  bzip2: { need: bzip2, command: "bzip2", options: ["-1", "-5", "-9"] },
};
const NAMES = Object.keys(TOOLS) as Packed[];
const test = testNeeding(...NAMES.map((name) => TOOLS[name].need));

/** Lengths around the 64 KiB of an LZMA2 chunk and a zstd block, the 900,000 of a bzip2 block, and a few MiB. */
const LENGTHS = [0, 1, 4, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 899_981, 900_001, 5 * MIB];

testContract("codecs of Deno and Node", codecContract, () => Promise.resolve(openCodecs()), [permissions]);

test("what the tools write is read: all lengths, all kinds of content", async () => {
  for (const name of NAMES) {
    for (const length of LENGTHS) {
      for (const [kind, content] of contents(length)) {
        const packed = await pack(name, content);
        await assertReads(name, packed, content, `${name}: ${length} bytes, ${kind}`);
      }
    }
  }
});

test("what the tools write is read: all options", async () => {
  const content = mixture(3 * MIB);
  for (const name of NAMES) {
    for (const options of TOOLS[name].options) {
      await assertReads(name, await pack(name, content, options), content, `${name} ${options}`);
    }
  }
});

testNeeding(xz, zstd)(
  "the longest histories are read where they are used: xz -9 with 64 MiB, zstd --long=27 with 128",
  async () => {
    const grain = noise(MIB, 1);
    const far = (length: number) => concat([grain, new Uint8Array(length), grain]);
    for (
      const [name, content, options] of [
        ["xz", far(62 * MIB), "-9"],
        ["zstd", far(126 * MIB), "-1 --long=27"],
      ] as const
    ) {
      const packed = await pack(name, content, options);
      assert.ok(packed.length < 1.5 * MIB, `${name}: the second grain was not found in the first`);
      await assertReads(name, packed, content, name);
    }
  },
);

testNeeding(zstd, xz, brotli)("what asks for more history is refused", async () => {
  const text = fromText("a");
  const zstd = await pack("zstd", text, "--long=31 --ultra -22");
  await assert.rejects(read("zstd", inPieces(zstd, 7)), LimitError);
  for (const dictionary of ["192MiB", "1GiB", "1536MiB"]) {
    const xz = await pack("xz", text, `--lzma2=preset=0,dict=${dictionary}`);
    await assert.rejects(read("xz", inPieces(xz, 7)), LimitError, dictionary);
  }
  const brotli = await pack("br", mixture(MIB), "-q 5 --large_window=30");
  await assert.rejects(read("br", inPieces(brotli, 1000)), FormatError);
});

test("what is written is read by the tools", async () => {
  for (const name of NAMES) {
    if (!codecs.compresses.has(name)) continue;
    for (const length of [...LENGTHS, 256 * KIB, 256 * KIB + 1]) {
      for (const pieceLength of [100, 30_000, 64 * KIB, MIB]) {
        if (length / pieceLength > 2000) continue;
        const content = mixture(length);
        const packed = await collect(codecs.compress(name, inPieces(content, pieceLength)));
        const unpacked = await run(name, ["-dc"], packed);
        assert.ok(equals(unpacked, content), `${name}: ${length} bytes in pieces of ${pieceLength}`);
        assert.equal(sniffCompression(packed), name === "br" ? undefined : name);
      }
    }
  }
});

testNeeding(xz)("stored xz passes the tests of xz, names its sizes and stays small", async () => {
  const content = mixture(10 * MIB + 12345);
  const file = await Deno.makeTempFile({ suffix: ".xz" });
  try {
    await Deno.writeFile(file, toReadable(codecs.compress("xz", inPieces(content, 100_000))));
    await run("xz", ["-t", file]);
    const list = new TextDecoder().decode(await run("xz", ["--robot", "-lvv", file]));
    const total = list.split("\n").find((line) => line.startsWith("file\t"))!;
    const [, streams, blocks, packedSize, size, , check] = total.split("\t");
    assert.deepEqual([streams, blocks, size, check], ["1", "1", String(content.length), "CRC32"]);
    assert.equal(Number(packedSize), (await Deno.stat(file)).size);
    assert.ok(Number(packedSize) < content.length * 1.0001);
  } finally {
    await Deno.remove(file);
  }
});

test("members of different tools, levels and lengths are read as one", async () => {
  const parts = [mixture(300_000), EMPTY, noise(70_000, 3), mixture(2 * MIB), EMPTY, fromText("x")];
  for (const name of NAMES) {
    if (name === "br") continue;
    const members: Bytes[] = [];
    for (const [i, part] of parts.entries()) {
      const own = i % 2 === 1 && codecs.compresses.has(name);
      const options = TOOLS[name].options;
      members.push(
        own
          ? await collect(codecs.compress(name, inPieces(part, MIB)))
          : await pack(name, part, options[i % options.length]),
      );
    }
    await assertReads(name, concat(members), concat(parts), name);
  }
});

testNeeding(zstd)("skippable frames of zstd are passed over, wherever they are", async () => {
  const content = mixture(200_000);
  const frame = await pack("zstd", content);
  const skippable = concat([Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 0x05, 0, 0, 0), fromText("12345")]);
  const empty = Uint8Array.of(0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0);
  const stream = concat([empty, skippable, frame, skippable, empty, frame, skippable]);
  assert.equal(sniffCompression(stream), "zstd");
  await assertReads("zstd", stream, concat([content, content]), "skippable frames");
  await assert.rejects(read("zstd", inPieces(stream.subarray(0, -1), 1000)), FormatError);
});

testNeeding(xz)("padding between and after xz streams is read, in whole words only", async () => {
  const stream = await pack("xz", fromText("grain"));
  const zeros = (length: number) => new Uint8Array(length);
  await assertReads("xz", concat([stream, zeros(8), stream, zeros(4)]), fromText("graingrain"), "padding");
  await assert.rejects(read("xz", inPieces(concat([stream, zeros(3)]), 1000)), FormatError);
  await assert.rejects(read("xz", inPieces(concat([zeros(4), stream]), 1000)), FormatError);
});

test("a stream that is cut off anywhere is a FormatError", async () => {
  for (const name of NAMES) {
    const packed = await pack(name, mixture(300_000));
    for (const length of places(packed.length)) {
      await assert.rejects(
        read(name, inPieces(packed.subarray(0, length), 5000)),
        { name: "FormatError", format: name },
        `${name}: ${length} of ${packed.length}`,
      );
    }
  }
});

test("a stream that goes on after its end is a FormatError", async () => {
  const tails = [Uint8Array.of(0), Uint8Array.of(0x1f), fromText("B"), fromText("BZ"), noise(100_000, 4)];
  for (const name of NAMES) {
    const packed = await pack(name, mixture(300_000));
    for (const tail of [...tails, packed.subarray(0, packed.length - 1), packed.subarray(1)]) {
      for (const pieceLength of [1000, packed.length, MIB]) {
        const stream = inPieces(concat([packed, tail]), pieceLength);
        await assert.rejects(
          read(name, stream),
          { name: "FormatError", format: name },
          `${name} and ${tail.length}`,
        );
      }
    }
  }
});

test("a changed byte is seen by the checksum, whatever check there is", async () => {
  const content = mixture(300_000);
  for (const name of NAMES) {
    if (name === "br") continue;
    const checks = name === "xz" ? ["--check=crc32", "--check=crc64", "--check=sha256"] : [undefined];
    for (const options of checks) {
      const packed = await pack(name, content, options);
      for (const at of places(packed.length)) {
        const damaged = packed.slice();
        damaged[at] ^= 0x10;
        try {
          const result = await read(name, inPieces(damaged, 5000));
          assert.ok(
            equals(result, content),
            `${name} ${options}: byte ${at} of ${packed.length} gave other bytes`,
          );
        } catch (error) {
          if (!(error instanceof FormatError || error instanceof LimitError)) throw error;
        }
      }
    }
  }
});

test("2 GiB of zeros are read in little memory", async () => {
  const length = 2 * 1024 * MIB;
  for (const name of NAMES) {
    // Members, only so that the tools need less time; brotli has none.
    const members = name === "br" ? 1 : 8;
    const member = await pack(name, zeros(length / members));
    const packed = concat(Array.from({ length: members }, () => member));
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", new URL("_zeros_child.ts", import.meta.url).pathname, name],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const writing = toReadable(inPieces(packed, 64 * KIB)).pipeTo(child.stdin);
    const { stdout, success } = await child.output();
    assert.ok(success, name);
    await writing;
    const { count, most } = JSON.parse(new TextDecoder().decode(stdout));
    assert.equal(count, length, name);
    assert.ok(most < 200 * MIB, `${name}: ${packed.length} bytes took ${Math.round(most / MIB)} MiB`);
  }
});

test("the event loop turns while a long stream is read from memory", async () => {
  for (const name of NAMES) {
    const packed = await pack(name, zeros(100 * MIB));
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    const started = performance.now();
    for await (const _ of codecs.decompress(name, inPieces(packed, 64 * KIB)));
    const took = performance.now() - started;
    clearInterval(timer);
    assert.ok(turns >= Math.floor(took / 200), `${name}: ${turns} turns in ${Math.round(took)} ms`);
  }
});

test("a compression is told by its first bytes", async () => {
  const nar = concat([Uint8Array.of(13, 0, 0, 0, 0, 0, 0, 0), fromText("nix-archive-1\0\0\0")]);
  assert.equal(sniffCompression(nar), "none");
  assert.equal(sniffCompression(nar.subarray(0, 23)), undefined);
  for (const name of NAMES) {
    const packed = await pack(name, nar);
    assert.equal(sniffCompression(packed), name === "br" ? undefined : name);
    assert.equal(sniffCompression(packed.subarray(0, 2)), undefined);
  }
  assert.equal(sniffCompression(EMPTY), undefined);
  assert.equal(sniffCompression(fromText("BZh0")), undefined);
  assert.equal(sniffCompression(fromText("some text that is no archive")), undefined);
});

/** Runs the tool of a format; its input is written while its output is read. */
async function run(
  name: Packed,
  args: string[],
  input: Bytes | AsyncIterable<Bytes> = EMPTY,
): Promise<Bytes> {
  const { command } = TOOLS[name];
  const child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped", stderr: "piped" }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  for await (const piece of input instanceof Uint8Array ? inPieces(input, MIB) : input) {
    await writer.write(piece);
  }
  await writer.close();
  const { success, stdout, stderr } = await output;
  if (!success) throw new Error(`${command} ${args.join(" ")} failed: ${new TextDecoder().decode(stderr)}`);
  return new Uint8Array(stdout);
}

function pack(
  name: Packed,
  content: Bytes | AsyncIterable<Bytes>,
  options = TOOLS[name].options[0],
): Promise<Bytes> {
  return run(name, [...options.split(" "), "-c"], content);
}

function read(name: CompressionName, source: AsyncIterable<Bytes>): Promise<Bytes> {
  return collect(codecs.decompress(name, source));
}

async function assertReads(name: Packed, packed: Bytes, content: Bytes, about: string): Promise<void> {
  for (const pieceLength of packed.length < 5000 ? [1, 64 * KIB] : [4099, packed.length]) {
    const result = await read(name, inPieces(packed, pieceLength));
    assert.ok(equals(result, content), `${about}, in pieces of ${pieceLength}`);
  }
}

/** Both ends of a stream, and places all through it. */
function places(length: number): number[] {
  const ends = Array.from({ length: 24 }, (_, i) => [i, length - 1 - i]).flat();
  const between = Array.from({ length: 40 }, (_, i) => Math.floor(length * (i + 0.5) / 40));
  return [...ends, ...between];
}

async function* inPieces(bytes: Bytes, length: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function* zeros(length: number): AsyncGenerator<Bytes> {
  const piece = new Uint8Array(MIB);
  for (; length > 0; length -= piece.length) yield piece;
}

function contents(length: number): [string, Bytes][] {
  return [["zeros", new Uint8Array(length)], ["noise", noise(length, 5)], ["a mixture", mixture(length)]];
}

/** Bytes that do not compress (xorshift32). */
function noise(length: number, seed: number): Bytes {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** Words, runs, copies of what was before, and noise. */
function mixture(length: number): Bytes {
  const bytes = new Uint8Array(length);
  const random = noise(length + 64, 6);
  const word = fromText("firn is old snow made of grains; ");
  for (let at = 0, step = 0; at < length; step++) {
    const size = Math.min(length - at, 1 + random[step] * 16);
    const part = bytes.subarray(at, at + size);
    if (step % 5 === 0) part.fill(random[step + 1]);
    else if (step % 5 === 1) part.set(random.subarray(at, at + size));
    else if (step % 5 === 2 && at > size) part.set(bytes.subarray(at - size, at));
    else for (let i = 0; i < size; i++) part[i] = word[(i * (1 + step % 3)) % word.length];
    at += size;
  }
  return bytes;
}
