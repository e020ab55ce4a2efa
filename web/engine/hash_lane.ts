/** A worker that hashes for the engine. */

addEventListener("message", async ({ data }: MessageEvent<SharedArrayBuffer>) => {
  // Only now: the message would not wait for modules that load slowly.
  const { serveLane } = await import("../../src/hash/serve_lane.ts");
  const { portableHashes } = await import("../../src/hash/hashes.ts");
  await serveLane(data, portableHashes);
}, { once: true });
