/**
 * What a packed store promises: all of `ByteStore` but for its one difference, that the value of a key never changes.
 */
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { byteStoreContract } from "./byte_store.ts";
import type { ContractCase } from "./case.ts";

/** Cases that replace a value: the difference excludes them. Each is seen to fail, so none is left out for nothing. */
export const REPLACING = [
  "a value that is a view into a larger buffer is stored without its surroundings",
  "a range gives those bytes, its end clamped",
  "bytes passed may be reused once the call has returned its promise",
  "bytes a caller got stay as they are",
  "a put replaces a shorter or a longer value",
  "update() creates, changes, removes and leaves a value, and resolves to what stands",
  "what change() throws is thrown, and nothing changes",
  "updates at once all count",
  "updates of long values at once all count",
  "a put or delete next to updates of its key is not lost",
];

/** Cases with keys over the 488 characters that a packed store takes. */
export const LONG_KEYS = [
  "any two different keys name different values",
  "list() gives the keys that begin with the prefix, in byte order",
];

/** It replaces values too, and in memory its readers leave no turn to the timer that ends a pack. */
const NEVER_ENDS = "a reader sees the old value, the new one or none, never a part";

/** Every promise of a packed store. */
export const packedContract: readonly ContractCase<ByteStore>[] = byteStoreContract.filter(({ name }) =>
  ![...REPLACING, ...LONG_KEYS, NEVER_ENDS].includes(name)
);
