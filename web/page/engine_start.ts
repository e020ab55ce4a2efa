/**
 * What the engine's worker begins with. Its modules wait for WebAssembly as they load, and messages that come while they do
 * would be lost: they are kept here, and given to the engine once it listens.
 */
const early: MessageEvent[] = [];
const keep = (event: Event) => void early.push(event as MessageEvent);
addEventListener("message", keep);
await import("../engine/worker.ts");
removeEventListener("message", keep);
for (const { data, ports } of early) dispatchEvent(new MessageEvent("message", { data, ports: [...ports] }));
