/**
 * Decompresses its standard input, `_zeros_child.ts COMPRESSION`, and prints how many zeros that were and the most memory it
 * took. A process of its own, because memory belongs to a process, and tests share one.
 */
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import type { CompressionName } from "../../src/store/codec.ts";

const codecs = openCodecs();
const before = Deno.memoryUsage().rss;
let count = 0;
let most = 0;
let pieces = 0;
for await (const piece of codecs.decompress(Deno.args[0] as CompressionName, Deno.stdin.readable)) {
  count += piece.length;
  if (pieces++ % 64 !== 0) continue;
  most = Math.max(most, Deno.memoryUsage().rss - before);
  if (!piece.every((byte) => byte === 0)) throw new Error("not only zeros");
}
console.log(JSON.stringify({ count, most }));
