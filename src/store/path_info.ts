/** What this store knows of a store path: the record, apart from the texts and messages it is told in. */
import type { Bytes } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import type { Node } from "../castore/node.ts";
import type { ContentAddress } from "../nix/content_address.ts";
import type { NixHash } from "../nix/hash_text.ts";
import type { NarInfo } from "../nix/nar_info.ts";
import type { Signature } from "../nix/signature.ts";
import type { StorePath } from "../nix/store_path.ts";

/** A published store path. */
export interface PathInfo {
  readonly storePath: StorePath;
  /** Its contents. */
  readonly node: Node;
  /** Paths it refers to, itself included if it does, in the order they were claimed in. */
  readonly references: readonly StorePath[];
  /** SHA-256 of its NAR, 32 bytes. */
  readonly narSha256: Bytes;
  /** Bytes in its NAR. */
  readonly narSize: number;
  /** The derivation that made it, with the `.drv` that its name ends in. */
  readonly deriver?: StorePath;
  readonly signatures: readonly Signature[];
  readonly ca?: ContentAddress;
  /** Hash parts found in the contents that `references` does not list. */
  readonly unclaimedReferences: readonly string[];
  /** When it was published, in milliseconds since 1970; 0 if not known. */
  readonly registeredAt: number;
}

/** Where and how a cache offers the NAR of a path. */
export interface NarFile {
  readonly url: string;
  readonly compression: string;
  /** Bytes in the file, compressed. */
  readonly fileSize?: number;
  /** Hash of the file, compressed. */
  readonly fileHash?: NixHash;
}

/** The narinfo of a path whose NAR is offered as this file. */
export function toNarInfo(info: PathInfo, file: NarFile): NarInfo {
  const { storePath, references, deriver, signatures, ca, narSha256, narSize } = info;
  const { url, compression, fileHash, fileSize } = file;
  return {
    storePath,
    url,
    compression,
    ...(fileHash && { fileHash }),
    ...(fileSize !== undefined && { fileSize }),
    narHash: narSha256,
    narSize,
    references,
    ...(deriver && { deriver }),
    signatures,
    ...(ca && { ca }),
  };
}

/** The signatures of both, those of `a` first, each name and data once (one name may sign with several keys). */
export function mergeSignatures(a: readonly Signature[], b: readonly Signature[]): Signature[] {
  const merged = new Map<string, Signature>();
  for (const signature of [...a, ...b]) {
    merged.set(`${signature.name}:${toHex(signature.data)}`, signature); // a Map keeps the first place of a key
  }
  return [...merged.values()];
}
