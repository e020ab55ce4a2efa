/**
 * What calls of the engine take and give. All of it goes by structured clone; how names, jobs and errors are told stands in `engine.ts`.
 */
/** `/nix/store/<hash part>-<name>`. */
export type StorePathText = string;
/** Names joined by `/`, see above. */
export type FilePath = string;
/** Bytes in lower-case hex. */
export type Hex = string;
/** An http(s) URL, without a slash at its end. */
export type Address = string;

/** What went wrong, as data. `message` says it in a sentence that can be shown. */
export interface Fault {
  /**
   * `FormatError` (not what it should be), `ClaimError` (a claim is not true of the bytes), `MissingError`, `LimitError`,
   * `ConflictError`, `DamageError` (stored or fetched bytes are not what their digest says), `StoreFullError`,
   * `RemoteError` (a server cannot be reached or fails), `UnsupportedError`, `AbortError` (cancelled), or another error's.
   */
  readonly name: string;
  readonly message: string;
  /** Of a `ClaimError`: which claim (`NarHash`, `FileHash`, `NarSize`, `CA`, …), what was claimed, what the bytes give. */
  readonly claim?: string;
  readonly claimed?: string;
  readonly actual?: string;
  /** Of a `MissingError` or `DamageError`: of what kind of thing (`blob`, `directory`, `path`, …) and its name. */
  readonly kind?: string;
  readonly key?: string;
  /** Of a `LimitError`: the bound. */
  readonly limit?: number;
  /** Of a `RemoteError`: who was asked, and the HTTP status of its refusal (401 and 403: it wants a token, or another one). */
  readonly address?: string;
  readonly status?: number;
}

export type Phase =
  | "asking" // narinfos, which chunks are missing
  | "waiting" // until no tab writes
  | "directories"
  | "fetching" // bytes of files, or of a NAR, which is unpacked and stored on the way
  | "reading" // dropped files
  | "verifying" // rendering and hashing what is stored
  | "sending"
  | "packing" // a zip or a NAR that is saved
  | "collecting"
  | "done";

/**
 * How far a job is. Counts are of the whole job. They never fall, but for `moved`: bytes are counted as they arrive, and what compression
 * spared on the way is taken off a moment later.
 */
export interface Progress {
  readonly phase: Phase;
  /** The path that is worked on. */
  readonly path?: StorePathText;
  /** Bytes that came or went over the network, or were read from dropped files. */
  readonly moved: number;
  /** Bytes that will have been moved at the end, where that is known. */
  readonly toMove?: number;
  /** Bytes of contents that are done, moved or not. */
  readonly done: number;
  /** Bytes of contents in all, where that is known. */
  readonly total?: number;
  /** Bytes of contents that were here (or there, for a push) already and were not moved or stored again. */
  readonly shared: number;
  /** Milliseconds since the job began: `moved / elapsed` is the rate. */
  readonly elapsed: number;
}

export type Report = (progress: Progress) => void;

/** What to open. */
export type Target =
  /**
   * A store path, its base name or hash part, or the URL of a narinfo or of `<cache>/nix/store/…`, and the cache to ask. Without `cache` the caches
   * of the settings are asked in order.
   */
  | { readonly type: "path"; readonly path: string; readonly cache?: Address }
  /**
   * Dropped files: a narinfo and its NAR; a NAR alone (`.nar`, `.nar.zst`, `.nar.xz`, `.nar.gz`, `.nar.bz2`, `.nar.br`; the bytes tell, not
   * the name), which becomes a content-addressed path named after the file; an exported `.zip` or another binary cache in
   * one.
   */
  | { readonly type: "files"; readonly files: readonly File[] }
  /**
   * A folder, which becomes a content-addressed path of that name; or, when it has a `nix-cache-info`, the binary cache in
   * it. `entries` are its files with paths below the folder (`webkitRelativePath` without its first part).
   */
  | {
    readonly type: "folder";
    readonly name: string;
    readonly entries: readonly FolderEntry[] | FileSystemDirectoryHandle;
    /** Browsers do not tell what is executable: `guess` (the default) marks files that begin with `#!` or as ELF. */
    readonly executables?: "guess" | "none";
  };

/** One thing in a dropped folder. Folders need an entry only when they are empty. */
export interface FolderEntry {
  readonly path: string;
  /** Absent: an empty folder. */
  readonly file?: File;
}

export interface OpenOptions {
  /** Fetch all contents at once, not those of the files that are looked at. Other caches than firn's always give all. */
  readonly everything?: boolean;
  /** Open all that the path refers to as well, directly or not. */
  readonly closure?: boolean;
}

/** What became of an `open`. */
export interface Opened {
  /** The path that was asked for first; what it refers to after it. */
  readonly paths: readonly PathSummary[];
  /** Parts that could not be opened, where others were: of dropped files and imports. */
  readonly refused: readonly { readonly what: string; readonly fault: Fault }[];
}

/**
 * `partial`: its Directories are here, and those chunks that were looked at. `whole`: all is here, and every claim was
 * recomputed from the bytes.
 */
export type PathState = "partial" | "whole";

/** A store path that is kept here. */
export interface PathSummary {
  readonly path: StorePathText;
  readonly hashPart: string;
  readonly name: string;
  readonly state: PathState;
  readonly type: "directory" | "file" | "symlink";
  readonly narSize: number;
  /** `sha256:<nixbase32>` */
  readonly narHash: string;
  readonly references: readonly StorePathText[];
  readonly deriver?: StorePathText;
  /** Content address, `fixed:r:sha256:…` */
  readonly ca?: string;
  /** Where it came from: a cache's address, or absent for what was dropped here. */
  readonly cache?: Address;
  /** Milliseconds since 1970. */
  readonly openedAt: number;
  readonly pinned: boolean;
}

/** An open that did not come to its end. The same target goes on where it was. */
export interface Unfinished {
  readonly path: StorePathText;
  readonly cache: Address;
  readonly options: OpenOptions;
  readonly startedAt: number;
}

/** What is known of a claim. `unverified`: not all bytes are here yet, or nobody looked. */
export type Verdict = "true" | "false" | "unverified";

export interface ClaimTruth {
  readonly verdict: Verdict;
  readonly claimed: string;
  /** What the bytes give, if that differs. */
  readonly actual?: string;
}

export interface SignatureTruth {
  /** The name of the key, `cache.nixos.org-1`. */
  readonly key: string;
  /** The whole signature, `name:base64`. */
  readonly text: string;
  /** `unknown key`: no trusted key has that name, so it proves nothing. */
  readonly verdict: "valid" | "invalid" | "unknown key";
}

/** How far a path is known to be true. */
export interface Truth {
  readonly path: StorePathText;
  readonly state: PathState;
  readonly signatures: readonly SignatureTruth[];
  /** A trusted key vouches for it, or it is content-addressed and that was recomputed. */
  readonly trusted: boolean;
  readonly narHash: ClaimTruth;
  readonly narSize: ClaimTruth;
  /** Absent: the path is not content-addressed. */
  readonly contentAddress?: ClaimTruth;
  readonly references: {
    /** `true`: the contents mention no store path that is not listed. */
    readonly verdict: Verdict;
    readonly listed: readonly StorePathText[];
    /** Hash parts that the contents mention and the path does not list. */
    readonly unlisted: readonly string[];
    /** Listed paths that are not kept here. */
    readonly absent: readonly StorePathText[];
  };
  /** What is not what its digest says, with the files it is seen in (`""` and a fault where it is no file). At most 100. */
  readonly damage: readonly { readonly file: FilePath; readonly fault: Fault }[];
  /** When it was last recomputed from the bytes, in milliseconds since 1970. */
  readonly verifiedAt?: number;
}

/** One thing in a store path. */
export interface Item {
  readonly name: string;
  readonly type: "directory" | "file" | "symlink";
  /** Bytes of a file; of a folder, those of all files below, or absent if there are too many to count. */
  readonly size?: number;
  /** Things below a folder, at all depths. */
  readonly below?: number;
  readonly executable?: boolean;
  /** Of a symlink. */
  readonly target?: string;
  /** BLAKE3 of a file's contents or of a folder's Directory: equal digests are equal contents. */
  readonly digest?: Hex;
}

export interface ListOptions {
  /** Default 0. */
  readonly offset?: number;
  /** Default and bound 1000. */
  readonly limit?: number;
  /** `name` (the default): byte order. `size`: largest first. Folders are among the files in both; `folders` puts them first. */
  readonly order?: "name" | "size" | "folders";
}

/** A part of a folder. */
export interface Page {
  /** Items in the whole folder. */
  readonly total: number;
  readonly offset: number;
  readonly items: readonly Item[];
}

/** Where a name leads. */
export interface Found {
  readonly path: StorePathText;
  readonly file: FilePath;
  readonly item: Item;
  /** Symlinks that were followed, in order, as `path/file`. */
  readonly via: readonly string[];
}

export interface SearchOptions {
  /** `*` and `?` are wildcards if there are any; otherwise any part of the path. Case does not matter unless told. */
  readonly matchCase?: boolean;
  /** Default and bound 10,000; the search ends there. */
  readonly limit?: number;
}

export interface SearchHit {
  readonly file: FilePath;
  readonly item: Item;
}

export interface SearchEnd {
  readonly hits: number;
  /** There were more than the limit. */
  readonly more: boolean;
  readonly looked: number;
}

/** What to save as a file. */
export type Saved =
  | { readonly type: "file"; readonly path: StorePathText; readonly file: FilePath }
  | { readonly type: "nar"; readonly path: StorePathText }
  /** A folder of a path (`""`: all of it) as a `.zip` with symlinks and executable marks. */
  | { readonly type: "zip"; readonly path: StorePathText; readonly file?: FilePath }
  /** These paths (all that are whole, if not told) as a `.zip` that is a Nix binary cache: `unzip`, then `nix copy --from file://…`. */
  | { readonly type: "cache"; readonly paths?: readonly StorePathText[] };

export interface SavedFile {
  /** A name to save it under, safe on every system. */
  readonly name: string;
  readonly size: number;
  /** Absent where it was written to a handle. */
  readonly blob?: Blob;
}

/** What is kept here, in figures. */
export interface Overview {
  readonly paths: number;
  readonly partial: number;
  /** Sum of the NARs of whole paths: what they would take one by one. */
  readonly logical: number;
  /** Bytes of the contents of whole paths, each piece once. */
  readonly distinct: number;
  /** Bytes that all contents take as they are stored, compressed or not. */
  readonly stored: number;
  /** Those of them that no whole path needs: contents of partial ones, and what a collection would delete. */
  readonly garbage: number;
  /** Distinct chunks of whole paths. */
  readonly chunks: number;
  /** The browser's own estimate for this origin, where it gives one. */
  readonly usage?: number;
  readonly quota?: number;
  /** Whether the browser has promised not to evict the store. */
  readonly persisted: boolean;
  /** Set once when the browser was found to have evicted what was stored. */
  readonly evicted?: boolean;
}

export interface Collected {
  /** Paths that are gone. */
  readonly paths: readonly StorePathText[];
  /** Bytes of contents that are gone. */
  readonly freed: number;
}

export interface PushOptions {
  readonly server: Address;
  readonly token?: string;
  /** Send what the path refers to as well (the default); a server refuses none whose references come later. */
  readonly closure?: boolean;
}

export interface Pushed {
  readonly paths: readonly StorePathText[];
  /** Paths that were there already. */
  readonly there: readonly StorePathText[];
  /** Bytes of contents sent, and those that were there already. */
  readonly sent: number;
  readonly shared: number;
}

export interface Settings {
  /** Public keys, `name:base64`, that vouch for paths. At first that of cache.nixos.org. */
  readonly trustedKeys: readonly string[];
  /** Asked in order for paths. At first this page's server, if it is one, and cache.nixos.org. */
  readonly caches: readonly Address[];
  /** Origins for which a token is kept. The tokens themselves do not leave the engine but for their origins. */
  readonly tokens: readonly Address[];
}

/** Where the page came from. */
export interface Site {
  /** The firn server that serves the page: absent on a host of plain files. */
  readonly server?: Address;
  /** An origin of the same server where contents may run scripts: `<contentOrigin>/nix/store/…`. */
  readonly contentOrigin?: Address;
}
