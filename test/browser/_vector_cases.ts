/** The vectors, for browsers: hashes and chunks, outboards and slices, archives, narinfos. */
import { type Bytes, concat, equals } from "../../src/bytes/bytes.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { collect, iterate, toReadable } from "../../src/bytes/streams.ts";
import { outboardOf } from "../../src/hash/bao.ts";
import { blake3, createBlake3, kernelName } from "../../src/hash/blake3.ts";
import { type ChunkSizes, cutPoint, DEFAULT_CHUNK_SIZES } from "../../src/hash/fastcdc.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { formatNarInfo, parseNarInfo } from "../../src/nix/nar_info.ts";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { parsePublicKey, verify } from "../../src/nix/signature.ts";
import { readNar } from "../../src/nar/reader.ts";
import { writeNar } from "../../src/nar/writer.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import { BLOB_B, countedBytes } from "../hash/_inputs.ts";
import { blobOf, integerBytes, outcomeOf, sliceOf } from "../hash/_bao.ts";
import { VECTORS } from "../nar/_nars.ts";
import { ensure, ensureSame } from "../contract/case.ts";
import official from "../vectors/bao/bao.json" with { type: "json" };
import baoTree from "../vectors/bao/bao_tree.json" with { type: "json" };
import blake3Vectors from "../vectors/hash/blake3.json" with { type: "json" };
import narInfos from "../vectors/nix/narinfo.json" with { type: "json" };
import oddNarInfos from "../vectors/nix/narinfo_odd.json" with { type: "json" };
import type { BrowserCase, Suite } from "./_case.ts";
import { openIdbHome } from "./_homes.ts";

/** A file of the vectors, from the server of the page. */
async function vectorFile(path: string): Promise<Bytes> {
  const answer = await fetch(new URL(`/vectors/${path}`, location.origin));
  ensure(answer.ok, `no ${path}: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

const hashCases: BrowserCase[] = [
  {
    name: "the compiled kernel runs here",
    run: () => Promise.resolve(ensureSame(kernelName, "wasm-simd", "the kernel")),
  },
  {
    name: "BLAKE3: the official vectors, at once and in pieces",
    // deno-lint-ignore require-await -- so that what is thrown rejects
    async run() {
      ensureSame(blake3Vectors.cases.length, 35, "how many there are");
      for (const { length, digest } of blake3Vectors.cases) {
        const bytes = countedBytes(length);
        ensureSame(toHex(blake3(bytes)), digest, `${length} bytes`);
        const hasher = createBlake3();
        for (let at = 0; at < length; at += 1000) hasher.update(bytes.subarray(at, at + 1000));
        ensureSame(toHex(hasher.digest()), digest, `${length} bytes in pieces`);
      }
    },
  },
  {
    name: "FastCDC: the chunks of the picture and the blobs of its crate",
    async run() {
      const picture = await vectorFile("hash/SekienAkashita.jpg");
      const sizes16 = { min: 4096, average: 16384, max: 65535 };
      const sizes32 = { min: 8192, average: 32768, max: 131072 };
      const rows: [Bytes, ChunkSizes, number[]][] = [
        [picture, sizes16, [21325, 17140, 28084, 18217, 24700]],
        [picture, sizes32, [66549, 42917]],
        [BLOB_B, { min: 512, average: 1024, max: 2048 }, [1130, ...Array(818).fill(1275), 400]],
        [BLOB_B, DEFAULT_CHUNK_SIZES, [524288, 520192]],
      ];
      for (const [bytes, sizes, want] of rows) {
        const lengths: number[] = [];
        for (let at = 0; at < bytes.length; at += lengths.at(-1)!) {
          lengths.push(cutPoint(bytes.subarray(at), sizes));
        }
        ensureSame(lengths, want, `chunks of ${bytes.length} bytes`);
      }
    },
  },
  {
    name: "the hashes of Nix are those of the platform",
    async run() {
      const bytes = countedBytes(100_001);
      for (
        const [name, platform] of [["sha1", "SHA-1"], ["sha256", "SHA-256"], ["sha512", "SHA-512"]] as const
      ) {
        const hasher = await portableHashes.create(name);
        for (let at = 0; at < bytes.length; at += 999) hasher.update(bytes.subarray(at, at + 999));
        const want = new Uint8Array(await crypto.subtle.digest(platform, bytes));
        ensureSame(toHex(hasher.digest()), toHex(want), name);
      }
    },
  },
];

const baoCases: BrowserCase[] = [
  {
    name: "official outboards, groups of one chunk",
    // deno-lint-ignore require-await -- so that what is thrown rejects
    async run() {
      ensureSame(official.outboard.length, 13, "how many there are");
      for (const { input_len, bao_hash, encoded_blake3 } of official.outboard) {
        const { digest, outboard } = blobOf(integerBytes(input_len), 0);
        const size = new Uint8Array(8);
        new DataView(size.buffer).setBigUint64(0, BigInt(input_len), true);
        ensureSame(toHex(digest), bao_hash, `digest of ${input_len} bytes`);
        ensureSame(toHex(blake3(concat([size, outboard]))), encoded_blake3, `outboard of ${input_len} bytes`);
      }
    },
  },
  {
    name: "the outboards of bao-tree, groups of 16 KiB",
    async run() {
      ensureSame(baoTree.cases.length, 17, "how many there are");
      for (const { size, digest, outboard } of baoTree.cases) {
        const bao = await outboardOf(integerBytes(size));
        ensureSame(toHex(bao.digest), digest, `digest of ${size} bytes`);
        const found = [bao.outboard.length, toHex(blake3(bao.outboard as Bytes)).slice(0, 32)];
        ensureSame(found, outboard, `outboard of ${size} bytes`);
      }
    },
  },
  {
    name: "the slices of bao-tree, made and verified",
    async run() {
      let slices = 0;
      for (const { size, digest, slices: vectors } of baoTree.cases) {
        const blob = blobOf(integerBytes(size), 4);
        for (const [start, end, length, hash] of vectors as [number, number, number, string][]) {
          const slice = await sliceOf(blob, { start, end }, { proveSize: false });
          ensureSame([slice.length, toHex(blake3(slice)).slice(0, 32)], [length, hash], `${size}, ${start}`);
          const outcome = await outcomeOf({ ...blob, digest: fromHex(digest) }, { start, end }, slice, {
            proveSize: false,
          });
          ensureSame(outcome.error, undefined, `verifying ${size}, ${start} to ${end}`);
          ensure(equals(outcome.bytes, blob.bytes.slice(start, end)), `bytes of ${size}, ${start} to ${end}`);
          slices++;
        }
      }
      ensure(slices > 300, `${slices} slices`);
    },
  },
];

const narCases: BrowserCase[] = Object.entries(VECTORS).map(([name, sha256]) => ({
  name: `${name}.nar is read and written, ingested and rendered, to the byte`,
  async run() {
    const nar = await vectorFile(`nar/${name}.nar`);
    ensureSame(toHex(await digestOf(nar)), sha256, "the file");
    for (const length of [1, 7, nar.length]) {
      const written = await collect(iterate(writeNar(readNar(toReadable(piecesOf(nar, length))))));
      ensureSame(toHex(await digestOf(written)), sha256, `read in pieces of ${length} bytes and written`);
    }
    await using home = await openIdbHome();
    const { node, narSha256, narSize } = await ingestNar(toReadable(piecesOf(nar, 1000)), {
      ...home,
      hashes: portableHashes,
    });
    ensureSame([toHex(narSha256), narSize], [sha256, nar.length], "what was ingested");
    const rendered = await collect(renderNar(await narLayout(node, home.directories), home.blobs));
    ensureSame(toHex(await digestOf(rendered)), sha256, "what was rendered");
  },
}));

async function digestOf(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

async function* piecesOf(bytes: Bytes, length: number): AsyncGenerator<Bytes> {
  for (let at = 0; at < bytes.length; at += length) yield await bytes.slice(at, at + length);
}

const nixCases: BrowserCase[] = [
  {
    name: "narinfos of cache.nixos.org are read and written to the byte, and their signatures verify",
    async run() {
      const key = parsePublicKey("cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=");
      ensure(narInfos.length >= 15, `${narInfos.length} narinfos`);
      for (const text of narInfos) {
        const info = parseNarInfo(text);
        ensureSame(formatNarInfo(info), text, "written again");
        ensureSame(await verify([key], fingerprint(info), info.signatures[0]), true, text);
        const other = fingerprint({ ...info, narSize: info.narSize + 1 });
        ensureSame(await verify([key], other, info.signatures[0]), false, "another size");
      }
    },
  },
  {
    name: "odd narinfos are read, and read the same when they are written",
    // deno-lint-ignore require-await -- so that what is thrown rejects
    async run() {
      ensure(oddNarInfos.length > 0, "there are none");
      for (const text of oddNarInfos) {
        const written = formatNarInfo(parseNarInfo(text));
        ensureSame(formatNarInfo(parseNarInfo(written)), written, text);
      }
    },
  },
];

export const vectorCases: readonly Suite[] = [
  { name: "vectors of hashes and chunks", cases: hashCases },
  { name: "vectors of bao", cases: baoCases },
  { name: "vectors of archives", cases: narCases },
  { name: "vectors of narinfos", cases: nixCases },
];
