/** Loads the hashes on a platform made poorer in the way the message names, and answers with what they give. */
import type { Bytes } from "../../src/bytes/bytes.ts";

onmessage = async (
  { data }: MessageEvent<{ without: "simd" | "compiling"; bytes: Bytes; lengths: number[] }>,
) => {
  if (data.without === "simd") WebAssembly.validate = () => false;
  else {
    const instantiate = WebAssembly.instantiate;
    WebAssembly.instantiate = ((source: BufferSource | WebAssembly.Module, imports?: WebAssembly.Imports) => {
      if (source instanceof WebAssembly.Module) return instantiate(source, imports);
      throw new WebAssembly.CompileError("forbidden");
    }) as typeof WebAssembly.instantiate;
  }
  const { blake3, createBlake3, kernelName } = await import("../../src/hash/blake3.ts");
  const { subtreeValue } = await import("../../src/hash/blake3_tree.ts");
  const { cutPoint } = await import("../../src/hash/fastcdc.ts");
  const { ownHashes } = await import("../../src/hash/blob_hashes.ts");
  const { BlobHasher } = await import("../../src/hash/blob_hasher.ts");
  const inputs = data.lengths.map((length) => data.bytes.subarray(0, length));
  const hashers = inputs.map(() => createBlake3());
  for (const from of [0, 50_000]) {
    hashers.forEach((hasher, i) => hasher.update(inputs[i].subarray(from, from === 0 ? 50_000 : undefined)));
  }
  const blob = new BlobHasher(ownHashes);
  const chunks: unknown[] = [];
  for (let at = 0; at < data.bytes.length;) {
    const { length, digest } = blob.cut(data.bytes.subarray(at, at + 524_288));
    chunks.push(await digest);
    at += length;
  }
  postMessage({
    together: ownHashes.digests(inputs),
    chunks,
    blob: (await blob.end()).digest,
    kernelName,
    digests: inputs.map((input) => blake3(input)),
    inPieces: hashers.map((hasher) => hasher.digest()),
    subtrees: inputs.map((input) => subtreeValue(input, 1024)),
    cuts: inputs.map((input) => cutPoint(input)),
  });
};
