/** Stores a blob where the kernel cannot run, asks for its outboard, and answers with that and the keys before and after. */
import { openMemory } from "../../src/adapters/memory/memory_store.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";

onmessage = async ({ data: bytes }: MessageEvent<Bytes>) => {
  WebAssembly.validate = () => false;
  const { blobsOver } = await import("../../src/castore/blobs_over.ts");
  const store = openMemory();
  const blobs = blobsOver(store);
  const { digest } = await blobs.put(bytes);
  await blobs.put((async function* () {
    yield await bytes;
  })());
  const before = await Array.fromAsync(store.list("outboard/"));
  const outboard = await blobs.outboard(digest);
  postMessage({ before, outboard, after: await Array.fromAsync(store.list("outboard/")) });
};
