/**
 * What the engine's answers about closures and differences are made of. Like all its values they go by structured clone.
 */
import type { FilePath, Hex, PathState, StorePathText } from "./values.ts";

/** A path in a closure. */
export interface ClosureNode {
  readonly path: StorePathText;
  readonly name: string;
  /** Bytes of its own NAR. */
  readonly narSize: number;
  /** Bytes of the NARs of all that it refers to, itself included. */
  readonly closureSize: number;
  /** `known`: its narinfo says so, and its contents are not here. */
  readonly state: PathState | "known";
  /** Steps from the root, by the shortest way. */
  readonly depth: number;
}

/** A path and all that it refers to. */
export interface ClosureGraph {
  /** The root first, each after one that refers to it. */
  readonly nodes: readonly ClosureNode[];
  /** Indices into `nodes`: the first refers to the second. References to itself are left out. */
  readonly edges: readonly (readonly [number, number])[];
  /** Paths that are referred to and that nobody who was asked knows. */
  readonly absent: readonly StorePathText[];
  /** There were more paths than 20,000: the rest is left out. */
  readonly more: boolean;
}

/** One step of a chain: a path, and where it mentions the next. */
export interface DependsStep {
  readonly path: StorePathText;
  /**
   * Where the next path's hash part was found: files, and symlinks by their targets. At most 20. Empty for the last step, and
   * where contents are not here (`unread`).
   */
  readonly seen: readonly { readonly file: FilePath; readonly inTarget: boolean; readonly offset: number }[];
  /** Not all of its contents are here, so nothing was looked for. */
  readonly unread: boolean;
}

/** A shortest chain from one path to another. */
export interface WhyDepends {
  readonly chain: readonly DependsStep[];
}

export interface DifferenceOptions {
  /** Most entries in each list; default and bound 10,000. Sums count all. */
  readonly limit?: number;
}

export interface DifferingFile {
  readonly file: FilePath;
  readonly type: "directory" | "file" | "symlink";
  /** Bytes; of a folder, those of all files below. */
  readonly size: number;
  readonly digest?: Hex;
}

export interface ChangedFile {
  readonly file: FilePath;
  readonly before: DifferingFile;
  readonly after: DifferingFile;
  /**
   * What changed: `contents`, `executable` (only the mark), `target` (of a symlink) or `type`.
   */
  readonly change: "contents" | "executable" | "target" | "type";
  /** Bytes in chunks that both have, where the chunks of both are known. */
  readonly shared?: number;
}

/** A file whose contents were at another place before. */
export interface MovedFile {
  readonly from: FilePath;
  readonly to: FilePath;
  readonly size: number;
  readonly digest: Hex;
}

/** A list that may be cut off, and the sums of all of it. */
export interface Sums {
  readonly count: number;
  readonly bytes: number;
}

/** How two paths differ. A folder that only one has stands for all below it. */
export interface Difference {
  readonly before: StorePathText;
  readonly after: StorePathText;
  readonly added: readonly DifferingFile[];
  readonly removed: readonly DifferingFile[];
  readonly changed: readonly ChangedFile[];
  readonly moved: readonly MovedFile[];
  readonly sums: {
    readonly added: Sums;
    readonly removed: Sums;
    readonly changed: Sums;
    readonly moved: Sums;
    /** Files that are the same in the same place. */
    readonly same: Sums;
  };
  readonly bytes: {
    readonly before: number;
    readonly after: number;
    /** Bytes of distinct files of `after` that are files of `before` too, wherever they stand. */
    readonly inSharedFiles: number;
    /** The same by chunks, files included; absent where the chunks of too many files are not known. */
    readonly inSharedChunks?: number;
  };
}
