/** A home that is open: what every kind of address opens. */
import type { KvOperation } from "../adapters/deno_kv/watched_kv.ts";
import type { S3RequestReport } from "../adapters/s3/open_s3.ts";
import type { PackedStore } from "../combinators/packed.ts";
import type { Home } from "../store/services.ts";
import type { FrameOptions } from "./frames.ts";

/** What opening a home may be told besides its address. */
export interface HomeOptions {
  /** How chunks are compressed; they are stored plain unless given. */
  readonly frames?: FrameOptions;
  /** Where packs are, if not with the rest. */
  readonly packs?: string;
  /** Milliseconds a server of Deno KV may take to answer; default 30,000. */
  readonly kvTimeoutMs?: number;
  /** Told of each operation of Deno KV. */
  readonly onOperation?: (operation: KvOperation) => void;
  /** Told of each request to S3. */
  readonly onRequest?: (report: S3RequestReport) => void;
}

/** What hears of what a store asks of others. */
export type StoreHooks = Pick<HomeOptions, "onOperation" | "onRequest">;

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
