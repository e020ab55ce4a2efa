import type { Bytes } from "../bytes/bytes.ts";
import type { Digest } from "./digest.ts";
import type { Directory } from "./directory.ts";

/** A Directory and its name. */
export interface NamedDirectory {
  readonly digest: Digest;
  /** Its canonical encoding, of which `directoryItems` reads one item after the other. */
  readonly encoded: Bytes;
  /** All of it, decoded anew whenever it is asked for. */
  readonly directory: Directory;
}

/**
 * Directories under the BLAKE3 digest of their canonical encoding.
 *
 * - What is read has the digest that was asked for; stored bytes that do not are a `DamageError`.
 * - Sizes are kept as they were written (the documented and the doubled rule both exist in the wild).
 */
export interface DirectoryService {
  /** One Directory, or `undefined` if it is not there. */
  get(digest: Digest): Promise<Directory | undefined>;
  /**
   * The Directory and all below it: root first, each only after one that refers to it, each distinct one once.
   * Nothing at all if the root is not there; a `MissingError` at the place where a descendant is not.
   */
  getClosure(root: Digest): AsyncIterable<NamedDirectory>;
  /**
   * Stores a closure given leaves first: every child a Directory refers to comes before it in the same closure, sizes
   * follow one of the two rules throughout, and all are connected to the last one, the root. Resolves to the
   * root's digest once all are durable. Anything else is a `FormatError` (also no Directory at all); if the source
   * throws, so does `putClosure`. Directories of a rejected closure may have been stored: each is true by itself.
   */
  putClosure(leavesFirst: Iterable<Directory> | AsyncIterable<Directory>): Promise<Digest>;
}
