/** A home that is open: what every kind of address opens. */
import type { PackedStore } from "../combinators/packed.ts";
import type { Home } from "../store/services.ts";

/** A home that is open. Disposing it writes what waits and lets go of everything. */
export interface OpenHome extends Home, AsyncDisposable {
  /** The bytes, where they are packed. */
  readonly packs?: PackedStore;
  /** Whether no other process can have it open. */
  readonly alone: boolean;
}

/** Lets go of what was opened, one after the other. */
export async function disposeAll(resources: readonly AsyncDisposable[]): Promise<void> {
  for (const resource of resources) await resource[Symbol.asyncDispose]();
}
