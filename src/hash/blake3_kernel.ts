/** BLAKE3 over the kernel. */
import type { Bytes } from "../bytes/bytes.ts";
import { Slab } from "../bytes/slab.ts";
import type { HashInstance } from "./shared_instance.ts";
import type { Kernel } from "./wasm/kernel.ts";

const DIGEST_LENGTH = 32;

/** Hashes in one call, and parts of the tree. The instance is for hashers that take input piece by piece. */
export interface KernelBlake3 {
  /** The digest of these bytes. */
  hash(bytes: Bytes): Bytes;
  /** The chaining value of these bytes as a subtree that begins at this chunk. */
  subtree(bytes: Bytes, firstChunk: number): Bytes;
  /** The chaining value of the parent of two nodes; as the root, the digest. */
  parent(left: Bytes, right: Bytes, isRoot: boolean): Bytes;
  readonly instance: HashInstance;
}

/** BLAKE3 over this kernel. The instance is one and the same state, however often this is called. */
export function blake3Over(kernel: Kernel): KernelBlake3 {
  const { memory, oneShotState, incrementalState, windowSize } = kernel;
  const fillAt = incrementalState + kernel.fillOffset >> 2;
  const words = new Uint32Array(memory.buffer);

  /** Feeds all but what fits the window that holds `fill` bytes already, and writes that too; gives its length. */
  function feed(state: number, fill: number, bytes: Bytes): number {
    const window = state + kernel.windowOffset;
    let at = 0;
    while (fill + bytes.length - at > windowSize) {
      const end = at + windowSize - fill;
      memory.set(bytes.subarray(at, end), window + fill);
      kernel.absorb(state, end - at);
      at = end;
      fill = 0;
    }
    memory.set(at === 0 ? bytes : bytes.subarray(at), window + fill);
    return bytes.length - at;
  }

  const digests = new Slab();

  function digestOf(state: number): Bytes {
    const at = state + kernel.digestOffset;
    return digests.copy(memory.subarray(at, at + DIGEST_LENGTH));
  }

  function finish(state: number, rest: number, isRoot: boolean): Bytes {
    kernel.finish(state, rest, isRoot);
    return digestOf(state);
  }

  kernel.reset(oneShotState, 0);
  return {
    hash: (bytes) => finish(oneShotState, feed(oneShotState, 0, bytes), true),
    subtree(bytes, firstChunk) {
      kernel.reset(oneShotState, firstChunk);
      return finish(oneShotState, feed(oneShotState, 0, bytes), false);
    },
    parent(left, right, isRoot) {
      const window = oneShotState + kernel.windowOffset;
      memory.set(left, window);
      memory.set(right, window + DIGEST_LENGTH);
      kernel.parent(oneShotState, isRoot);
      return digestOf(oneShotState);
    },
    instance: {
      init: () => kernel.reset(incrementalState, 0),
      update: (bytes) => kernel.absorb(incrementalState, feed(incrementalState, words[fillAt], bytes)),
      digest: () => finish(incrementalState, 0, true),
      save: () => memory.slice(incrementalState, incrementalState + kernel.windowOffset + words[fillAt]),
      load: (saved) => memory.set(saved, incrementalState),
    },
  };
}
