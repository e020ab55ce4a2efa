/**
 * Any number of hashers over one WASM instance. An instance for each would leave the collector with WASM memories,
 * each reserving gigabytes of address space. So one serves all: the hasher that is fed owns it, and when another's
 * turn comes the state of the first is copied out. All that an abandoned hasher leaves is one small array.
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { Hasher } from "./hasher.ts";

/** A hash with one state, which can be copied out and in. The hashes of hash-wasm are such. */
export interface HashInstance {
  /** Forgets the state and begins anew. */
  init(): unknown;
  update(bytes: Bytes): unknown;
  /** Ends the hash. `init` or `load` come next. */
  digest(format: "binary"): Uint8Array;
  save(): Uint8Array;
  load(saved: Uint8Array): unknown;
}

/** Gives a function that starts a new hash over this instance, which nobody else may use. */
export function hashersOver(instance: HashInstance): () => Hasher {
  let owner: SharedHasher | undefined;

  class SharedHasher implements Hasher {
    #saved: Uint8Array | undefined;

    update(bytes: Bytes): void {
      if (owner !== this) this.#own();
      instance.update(bytes);
    }

    digest(): Bytes {
      if (owner !== this) this.#own();
      owner = undefined;
      return instance.digest("binary") as Bytes;
    }

    /** Puts this hasher's state into the instance, after the present owner's is saved. */
    #own(): void {
      if (owner) owner.#saved = instance.save();
      if (this.#saved) instance.load(this.#saved);
      else instance.init();
      this.#saved = undefined;
      owner = this;
    }
  }

  return () => new SharedHasher();
}
