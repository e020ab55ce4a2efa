/** What the server's rooms share. */
import type { Budget } from "../bytes/budget.ts";
import type { SizeRule } from "../castore/directory.ts";
import type { HashProvider } from "../hash/hasher.ts";
import type { SecretKey } from "../nix/signature.ts";
import type { Codec } from "../store/codec.ts";
import type { PathInfoService } from "../store/path_info_service.ts";
import type { NarForm } from "../store/nar_url.ts";
import type { ProofOptions } from "../store/prove.ts";
import type { Services } from "../store/services.ts";
import type { DoorOptions } from "./door.ts";
import type { KeptNarInfos } from "./kept_nar_infos.ts";
import type { PageFiles } from "./page.ts";
import type { PressedNars } from "./pressed_nars.ts";
import type { Readiness } from "./readiness.ts";
import type { RootOwners } from "./root_owners.ts";

/** The platform's way to make a WebSocket of a request, with the subprotocol chosen. */
export type UpgradeWebSocket = (request: Request, protocol: string) => {
  socket: WebSocket;
  response: Response;
};

/** Options that have no default. */
type Optional =
  | keyof DoorOptions
  | "bytes"
  | "page"
  | "upgradeWebSocket"
  | "stopping"
  | "contentOrigin"
  | "metrics";

/** A store and how it is to be served. */
export interface ServerOptions extends Services, DoorOptions {
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
  /**
   * What narinfos say NARs are served as: `zstd` where they are pressed, which is then done when a path is published. Needs `bytes`, and
   * a store that gives chunks as they are stored. Default `none`. Both are served at their URLs, whatever this is.
   */
  readonly narCompression?: NarForm;
  /** Which sizes Directories get; default `documented`. */
  readonly sizes?: SizeRule;
  /**
   * Origins whose pages may write, besides the server's own, as `https://example.org`; `*` for all. Default none: whoever
   * opens a page of theirs would write with it. All may read.
   */
  readonly writingOrigins?: readonly string[];
  /** Longest NAR taken, in bytes; default 1 TiB. */
  readonly maxNarSize?: number;
  /** How long a client may send nothing in the middle of an upload, in milliseconds; default 300,000. */
  readonly stallMs?: number;
  /** Longest message of a remote call, and longest Directory or path info put over HTTP, in bytes; default 4 MiB. */
  readonly maxMessageBytes?: number;
  /**
   * Whether all changes of the path infos pass through this server, because no other process writes to the store and
   * this one has no other way to it: then narinfos are kept as they are served. Default false.
   */
  readonly alone?: boolean;
  /** The page of a store in a tab, served at `/`; without it there is a page that says what this is. */
  readonly page?: PageFiles;
  /** How this platform makes a WebSocket of a request; without it calls over WebSocket are refused. */
  readonly upgradeWebSocket?: UpgradeWebSocket;
  /** An origin of its own where contents of store paths are served and may run scripts; told to pages. */
  readonly contentOrigin?: string;
  /** Whether the server can do its work, told at `/readyz` and as health of gRPC; default: while `names` answers. */
  readonly readiness?: Readiness;
  /** The figures that `/metrics` gives, in Prometheus' text format; without it there are none. */
  readonly metrics?: () => string;
  /** Aborted when the server begins to stop: its health is told from that. */
  readonly stopping?: AbortSignal;
  /** Told what an operator wants to read: uploads, refusals, failures. One line each, default nowhere. */
  readonly log?: (line: string) => void;
}

/** The options, complete, and what is shared between requests. */
export interface ServerContext
  extends Required<Omit<ServerOptions, Optional>>, Pick<ServerOptions, Optional> {
  /** Bytes of small files of all uploads on their way to the store. */
  readonly budget: Budget;
  /** The path infos, for who comes with one and no NAR: `put` proves it from what is stored. */
  readonly provenPathInfos: PathInfoService;
  /** Told of requests that are refused or fail, unless who watches tells that with the request. */
  readonly logFailure: (line: string) => void;
  /** Narinfos that were served, if the server is alone with its store. */
  readonly narInfos: KeptNarInfos | undefined;
  /** Paths of root nodes, for messages. */
  readonly owners: RootOwners;
  /** The NARs that are pressed, if the store can do that. */
  readonly pressed: PressedNars | undefined;
  readonly pressedFile: ProofOptions["pressedFile"];
}
