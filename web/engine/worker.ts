/**
 * The worker the engine runs in: opens the store of this origin in IndexedDB and answers the page. The line is open at once;
 * calls wait for the store, and fail with what it failed with.
 */
import * as Comlink from "comlink";
import { lazyFrames, openLazyCodecs } from "./lazy_codecs.ts";
import { openIdb } from "../../src/adapters/idb/open_idb.ts";
import type { HashProvider } from "../../src/hash/hasher.ts";
import { openHashPool } from "../../src/hash/hash_pool.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import "./connect.ts";
import type { Engine } from "./engine.ts";
import { openKeeping } from "./keeping_over.ts";
import { TabEngine } from "./tab_engine.ts";

/** Where the build put what is loaded later, relative to the page. */
declare const __LIBLZMA__: string;
declare const __BROTLI__: string;
declare const __HASH_LANE__: string;

/** The name of the store in IndexedDB, and of the channel between tabs. */
export const STORE = "firn";
/**
 * The name the page gives this worker if it remembers (outside of what browsers evict together with the store) that there was a
 * store already.
 */
export const HAD_STORE = "firn again";

/** The page's folder: the worker itself lies in `assets/`. */
const base = new URL("..", import.meta.url);

async function compile(path: string): Promise<WebAssembly.Module> {
  return await WebAssembly.compileStreaming(fetch(new URL(path, base)));
}

/** SHA-256 of long streams is hashed in a worker beside this one, where memory can be shared. */
function hashes(): HashProvider {
  if (!globalThis.crossOriginIsolated) return portableHashes;
  const spawn = () => new Worker(new URL(__HASH_LANE__, base), { type: "module", name: "firn hash" });
  return openHashPool({ hashes: portableHashes, spawn, workers: 1, hashers: 1 });
}

/** What the platform tells of answers that came encoded: it gives their bytes decoded. */
function countSaved(): () => number {
  let saved = 0;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as PerformanceResourceTiming[]) {
      saved += Math.max(0, entry.decodedBodySize - entry.encodedBodySize);
    }
  }).observe({ type: "resource" });
  return () => saved;
}

async function start(): Promise<Engine> {
  const home = await openIdb({ indexedDB, name: STORE });
  return new TabEngine({
    home,
    fetch,
    codec: openLazyCodecs({ liblzma: () => compile(__LIBLZMA__), brotli: () => compile(__BROTLI__) }),
    openFrames: lazyFrames(),
    hashes: hashes(),
    keeping: openKeeping(home),
    ...(base.protocol.startsWith("http") && { origin: base.href.replace(/\/$/, "") }),
    storage: navigator.storage,
    lock: async (mode, signal, work) => await navigator.locks.request(STORE, { mode, signal }, work),
    saved: countSaved(),
    channel: new BroadcastChannel(STORE),
    evicted: home.created && self.name === HAD_STORE,
  });
}

const engine = start();
engine.catch(() => {}); // told to every call

/** Every method of the engine, waiting until it is there. */
const waiting = new Proxy({}, {
  get: (_, method: keyof Engine) => async (...args: unknown[]) => {
    const started = await engine;
    return await (started[method] as (...args: unknown[]) => unknown)(...args);
  },
});

Comlink.expose(waiting);
