// Compressed streams, damaged: only the errors of the format may come out, and no stream may go on without end.
import assert from "node:assert/strict";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { type Bytes, concat } from "../../src/bytes/bytes.ts";
import { collect } from "../../src/bytes/streams.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import type { CompressionName } from "../../src/store/codec.ts";
import { brotli, bzip2, gzip, type Need, testNeeding, xz, zstd } from "../needs.ts";

const ROUNDS = 1500;

/** A stream this short, with a few bytes changed, is not read for longer. */
const MOST_SECONDS = 20;

/** Output is not taken beyond this; a few bytes changed can ask for much more. */
const MOST_OUTPUT = 64 * 1024 * 1024;

const TOOLS: Readonly<Record<Exclude<CompressionName, "none">, { need: Need; commands: string[][] }>> = {
  xz: {
    need: xz,
    commands: [["xz"], ["xz", "-0", "--check=crc32", "--block-size=700"], [
      "xz",
      "--x86",
      "--lzma2=preset=1",
    ]],
  },
  zstd: { need: zstd, commands: [["zstd"], ["zstd", "-19", "--no-check"], ["zstd", "-B1KiB"]] },
  gzip: { need: gzip, commands: [["gzip"], ["gzip", "-1"]] },
  br: { need: brotli, commands: [["brotli"], ["brotli", "-q", "1", "-w", "10"]] },
  bzip2: { need: bzip2, commands: [["bzip2"], ["bzip2", "-1"]] },
};

const codecs = openCodecs();

for (const name of Object.keys(TOOLS) as (keyof typeof TOOLS)[]) {
  testNeeding(TOOLS[name].need)(`damaged ${name} gives the errors of the format, or bytes`, async () => {
    const seeds = await makeSeeds(name);
    const below = random(7);
    let read = 0, refused = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const stream = damage(seeds, below);
      const started = performance.now();
      try {
        await take(name, cut(stream, 1 + below(stream.length + 1)));
        read++;
      } catch (error) {
        assert.ok(
          error instanceof FormatError || error instanceof LimitError,
          `round ${round}: threw ${error instanceof Error ? error.stack : error}`,
        );
        refused++;
      }
      const seconds = (performance.now() - started) / 1000;
      assert.ok(seconds < MOST_SECONDS, `round ${round}: took ${seconds} s`);
    }
    assert.ok(refused > ROUNDS / 4, `only ${refused} of ${ROUNDS} were refused, ${read} were read`);
    const whole = await collect(codecs.decompress(name, cut(seeds[0], 1000)));
    assert.equal(whole.length, CONTENT.length, "the codec is no longer sound");
  });
}

/** Words, numbers and a run: 3 KB that every format has something to say about. */
const CONTENT = new TextEncoder().encode(
  Array.from({ length: 300 }, (_, i) => `grain ${(i * 7919) % 1009}`).join("; ") + "x".repeat(400),
) as Bytes;

async function makeSeeds(name: keyof typeof TOOLS): Promise<Bytes[]> {
  const seeds: Bytes[] = [];
  for (const [command, ...options] of TOOLS[name].commands) {
    seeds.push(await pack(command, [...options, "-c"], CONTENT));
    seeds.push(await pack(command, [...options, "-c"], CONTENT.subarray(0, 40)));
  }
  if (codecs.compresses.has(name)) seeds.push(await collect(codecs.compress(name, cut(CONTENT, 1000))));
  return seeds;
}

async function pack(command: string, args: string[], content: Bytes): Promise<Bytes> {
  const child = new Deno.Command(command, { args, stdin: "piped", stdout: "piped" }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  await writer.write(content);
  await writer.close();
  const { success, stdout } = await output;
  assert.ok(success, `${command} ${args.join(" ")} failed`);
  return new Uint8Array(stdout);
}

/** One of the seeds with one to four changes: bits, bytes, pieces doubled, left out, cut off, or of another seed. */
function damage(seeds: readonly Bytes[], below: (limit: number) => number): Bytes {
  let stream = seeds[below(seeds.length)].slice();
  for (let change = below(4); change >= 0; change--) {
    // Headers decide most, and they are at the ends.
    const near = Math.min(stream.length, 40);
    const at = [below(stream.length + 1), below(near + 1), stream.length - below(near + 1)][below(3)];
    const to = Math.min(stream.length, at + 1 + below(below(2) ? 4 : 100));
    const other = seeds[below(seeds.length)];
    const from = below(other.length);
    const middle = [
      () => Uint8Array.of(stream[at] ^ (1 << below(8)), ...stream.subarray(at + 1, to)),
      () => new Uint8Array(to - at).fill([0, 0xff, below(256)][below(3)]),
      () => concat([stream.subarray(at, to), stream.subarray(at, to)]),
      () => new Uint8Array(0),
      () => other.subarray(from, from + below(200)),
      () => other,
    ][below(6)]();
    stream = concat([stream.subarray(0, at), middle, below(12) ? stream.subarray(to) : new Uint8Array(0)]);
  }
  return stream;
}

async function take(name: CompressionName, source: AsyncIterable<Bytes>): Promise<void> {
  let length = 0;
  for await (const piece of codecs.decompress(name, source)) {
    length += piece.length;
    if (length > MOST_OUTPUT) return;
  }
}

async function* cut(bytes: Bytes, length: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

function random(seed: number): (limit: number) => number {
  return (limit) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor(seed / 4294967296 * limit);
  };
}
