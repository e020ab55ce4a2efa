import type { PathInfo } from "./path_info.ts";

/**
 * Path infos, by the hash part of their store path. A path info is written last, after all it speaks of: who finds
 * one finds the whole path.
 *
 * A remote keeps less than this, for its protocol has no more: `unclaimedReferences` come back as none and `registeredAt`
 * as 0, `delete` is an `UnsupportedError`, and `list` is in the order of the server.
 */
export interface PathInfoService {
  /** The path info, or `undefined`. */
  get(hashPart: string): Promise<PathInfo | undefined>;
  /**
   * Stores a path info. If there is one already, the signatures of both are kept and nothing else may differ: a
   * `ConflictError` says what does, and nothing is changed. Resolves to what is stored now.
   */
  put(info: PathInfo): Promise<PathInfo>;
  /** All path infos, by hash part in byte order, lazily. */
  list(): AsyncIterable<PathInfo>;
  /** Removes a path info. What it spoke of stays. Absent already is fine. */
  delete(hashPart: string): Promise<void>;
}
