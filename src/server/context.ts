/** What the server's rooms share. */
import type { Budget } from "../bytes/budget.ts";
import type { SizeRule } from "../castore/directory.ts";
import type { HashProvider } from "../hash/hasher.ts";
import type { SecretKey } from "../nix/signature.ts";
import type { Codec } from "../store/codec.ts";
import type { Services } from "../store/services.ts";

/** A store and how it is to be served. */
export interface ServerOptions extends Services {
  readonly codec: Codec;
  readonly hashes: HashProvider;
  /** Every narinfo served is signed with these. */
  readonly secretKeys?: readonly SecretKey[];
  /** In `nix-cache-info`: lower is asked first; default 40. */
  readonly priority?: number;
  /** In `nix-cache-info`; default true. */
  readonly wantMassQuery?: boolean;
  /** Refuse paths whose contents mention paths they do not list; default false: they are logged and recorded. */
  readonly strictReferences?: boolean;
  /** Which sizes Directories get; default `documented`. */
  readonly sizes?: SizeRule;
  /** Longest NAR taken, in bytes; default 1 TiB. */
  readonly maxNarSize?: number;
  /** How long a client may send nothing in the middle of an upload, in milliseconds; default 300,000. */
  readonly stallMs?: number;
  /** Told what an operator wants to read: uploads, refusals, failures. One line each, default nowhere. */
  readonly log?: (line: string) => void;
}

/** The options, complete, and what is shared between requests. */
export interface ServerContext extends Required<ServerOptions> {
  /** Bytes of small files of all uploads on their way to the store. */
  readonly budget: Budget;
}
