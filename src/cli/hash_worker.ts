/** A worker that hashes beside the main thread, with the platform's own hashes. */

// Imported when asked: modules that take their time to load would let the first message pass by.
onmessage = async ({ data }: MessageEvent<SharedArrayBuffer>) => {
  const { serveLane } = await import("../hash/serve_lane.ts");
  const { nativeHashes } = await import("../adapters/native/hashes.ts");
  await serveLane(data, nativeHashes);
  close();
};
