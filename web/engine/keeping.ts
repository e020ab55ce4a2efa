/**
 * What the engine needs of a store to keep things and let go of them: pins and the collection of garbage. Which contents are
 * still needed is the store's own matter; of paths that are only partly here it is told the roots.
 */
import type { Node } from "../../src/castore/node.ts";
import type { Overview } from "./engine.ts";

export interface CollectRequest {
  /** Hash parts of paths to delete; a `ConflictError` if one is pinned or something that stays refers to it. */
  readonly remove: readonly string[];
  /** Which other paths stay. */
  readonly keep: "all" | "pinned";
  /** Roots of what is partly here and stays; not all below them is there. */
  readonly partial: readonly Node[];
  readonly signal: AbortSignal;
}

export interface Keeping {
  pinned(): Promise<ReadonlySet<string>>;
  pin(hashPart: string): Promise<void>;
  unpin(hashPart: string): Promise<void>;
  /** Deletes, while nobody else writes, and resolves to the hash parts of paths that are gone and the bytes of contents that are. */
  collect(request: CollectRequest): Promise<{ readonly paths: readonly string[]; readonly freed: number }>;
  /** What is stored, as `Overview` has it. */
  statistics(signal: AbortSignal): Promise<Pick<Overview, "distinct" | "stored" | "garbage" | "chunks">>;
}
