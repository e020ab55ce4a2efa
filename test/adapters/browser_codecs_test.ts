// The codecs of browsers, which run here too: they keep the contract, and read what the tools write.
import assert from "node:assert/strict";
import { openBrowserCodecs } from "../../src/adapters/codecs/browser_codecs.ts";
import { equals } from "../../src/bytes/bytes.ts";
import { collect } from "../../src/bytes/streams.ts";
import type { CompressionName } from "../../src/store/codec.ts";
import { codecContract } from "../contract/codec.ts";
import { testContract } from "../contract/run.ts";
import { brotli, bzip2, gzip, permissions, testNeeding, xz, zstd } from "../needs.ts";
import { compress, noise } from "../server/_site.ts";

async function compile(specifier: string): Promise<WebAssembly.Module> {
  return await WebAssembly.compile(await Deno.readFile(new URL(import.meta.resolve(specifier))));
}

const open = () =>
  openBrowserCodecs({
    liblzma: () => compile("node-liblzma/wasm/liblzma.wasm"),
    brotli: () => compile("brotli-dec-wasm/web/bg.wasm"),
  });

testContract("codecs of browsers", codecContract, () => Promise.resolve(open()), [permissions]);

testNeeding(xz, zstd, gzip, brotli, bzip2)("codecs of browsers: what the tools write is read", async () => {
  const codec = open();
  const texts = "some words that stand here again and again\n".repeat(70_000);
  const contents = [new TextEncoder().encode(texts), noise(3_000_000), new Uint8Array(5_000_000)];
  for (const bytes of contents) {
    for (const name of ["xz", "zstd", "gzip", "br", "bzip2"] as CompressionName[]) {
      const packed = await compress(name, bytes);
      const back = await collect(codec.decompress(name, [packed]));
      assert.ok(equals(back, bytes), `${name} of ${bytes.length} bytes`);
    }
  }
});
