/** A worker that hashes with `node:crypto`, or, when its name says so, one whose hashes fail. */
const failing = { create: () => Promise.reject(new Error("no hashes here")) };

// Imported when asked: modules that take their time to load would let the first message pass by.
onmessage = async ({ data }: MessageEvent<SharedArrayBuffer>) => {
  const { serveLane } = await import("../../src/hash/serve_lane.ts");
  const { nativeHashes } = await import("../../src/adapters/native/hashes.ts");
  await serveLane(data, self.name === "failing" ? failing : nativeHashes);
  close();
};
