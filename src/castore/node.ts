/**
 * Nodes: what a name in a Directory, or a root, stands for. The rules for names and targets are in `bytes/names.ts`.
 */
import type { Bytes } from "../bytes/bytes.ts";
import type { Digest } from "./digest.ts";

/** A file: a blob, its length in bytes, and whether it may be executed. */
export interface FileNode {
  readonly type: "file";
  readonly digest: Digest;
  readonly size: number;
  readonly executable: boolean;
}

/** A symbolic link. The target is not resolved and need not exist. */
export interface SymlinkNode {
  readonly type: "symlink";
  readonly target: Bytes;
}

/** A folder: the digest of its Directory, and that Directory's size (entries below it, unsigned 64 bits). */
export interface DirectoryNode {
  readonly type: "directory";
  readonly digest: Digest;
  readonly size: bigint;
}

export type Node = FileNode | SymlinkNode | DirectoryNode;
