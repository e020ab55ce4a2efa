/**
 * The store in a tab: a home with its services, what is remembered beside them, and who is asked for what is not here.
 */
import { fetchFirnSite, fetchNarInfo, type FirnSite } from "../../src/adapters/nix_http/binary_cache.ts";
import { FirnContents, type FrameOpener } from "../../src/adapters/nix_http/firn_contents.ts";
import type { RemoteOptions } from "../../src/adapters/nix_http/request.ts";
import type { Node } from "../../src/castore/node.ts";
import { FormatError, MissingError, RemoteError } from "../../src/errors.ts";
import type { HashProvider } from "../../src/hash/hasher.ts";
import { formatContentAddress } from "../../src/nix/content_address.ts";
import { formatNixHash } from "../../src/nix/hash_text.ts";
import type { NarInfo } from "../../src/nix/nar_info.ts";
import { formatStorePath, isHashPart, splitStorePath } from "../../src/nix/store_path.ts";
import type { Codec } from "../../src/store/codec.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import { type Home, type Services, servicesOver } from "../../src/store/services.ts";
import type { PathSummary } from "./engine.ts";
import type { Job } from "./job.ts";
import { type OpenedRecord, Records } from "./records.ts";
import { shown } from "./shown.ts";

/** What the platform gives. */
export interface TabParts {
  readonly home: Home;
  readonly fetch: typeof fetch;
  readonly codec: Codec;
  readonly hashes: HashProvider;
  /** Opens the decoder of zstd frames when it is first wanted; without it, none are asked for. */
  readonly openFrames?: FrameOpener;
}

/** A path that is kept here. */
export interface KeptPath {
  /** What is claimed of it; of a whole path all of it is proven. */
  readonly info: PathInfo;
  readonly whole: boolean;
  readonly cache?: string;
  readonly openedAt: number;
  readonly verifiedAt?: number;
}

export class TabStore {
  readonly home: Home;
  readonly services: Services;
  readonly codec: Codec;
  readonly hashes: HashProvider;
  readonly records: Records;
  readonly #fetch: typeof fetch;
  readonly #openFrames: FrameOpener | undefined;
  /** What caches were found to be. */
  readonly #sites = new Map<string, FirnSite | undefined>();

  constructor({ home, fetch, codec, hashes, openFrames }: TabParts) {
    this.home = home;
    this.services = servicesOver(home);
    this.codec = codec;
    this.hashes = hashes;
    this.records = new Records(home.names);
    this.#fetch = fetch;
    this.#openFrames = openFrames;
  }

  /** The path that is kept under a hash part, if one is. */
  async find(hashPart: string): Promise<KeptPath | undefined> {
    const [info, record] = await Promise.all([
      this.services.pathInfos.get(hashPart),
      this.records.opened(hashPart),
    ]);
    if (info) {
      return {
        info,
        whole: true,
        openedAt: record?.openedAt ?? info.registeredAt,
        verifiedAt: record?.verifiedAt ?? info.registeredAt,
        ...(record?.cache !== undefined && { cache: record.cache }),
      };
    }
    if (!record || record.whole) return undefined; // a whole path whose info is gone was deleted, or evicted
    return { info: claimedBy(record), whole: false, openedAt: record.openedAt, cache: record.cache };
  }

  /** The path a text names. Throws {@link MissingError} if it is not kept here. */
  async get(text: string): Promise<KeptPath> {
    const hashPart = hashPartOf(text);
    const kept = await this.find(hashPart);
    if (!kept) throw new MissingError("path", hashPart, `Cannot find ${shown(text)} here: open it first`);
    return kept;
  }

  /** How a remote is asked for a job: with the token that is kept for its origin, unless another one is given. */
  async remote(address: string, job: Job, given?: string): Promise<RemoteOptions> {
    const token = given ?? (await this.records.tokens())[new URL(address).origin];
    return {
      address,
      fetch: this.#fetch,
      signal: job.signal,
      moved: job.countMoved,
      ...(token !== undefined && { token }),
    };
  }

  /** Keeps a token for the origin of an address, or none any more. */
  async giveToken(address: string, token: string | undefined): Promise<void> {
    const { origin } = new URL(address);
    await this.records.putToken(origin, token);
    // It may now say more of itself.
    for (const known of this.#sites.keys()) if (new URL(known).origin === origin) this.#sites.delete(known);
  }

  /** What a cache says of itself, asked once: `undefined` for one that is no firn server. */
  async siteOf(address: string, job: Job, token?: string): Promise<FirnSite | undefined> {
    if (!this.#sites.has(address)) {
      this.#sites.set(address, await fetchFirnSite(await this.remote(address, job, token)));
    }
    return this.#sites.get(address);
  }

  /** Where what a partial path lacks is asked for. */
  async contentsFor({ info, cache }: KeptPath, job: Job): Promise<FirnContents> {
    if (cache === undefined) {
      const path = formatStorePath(info.storePath);
      throw new MissingError("path", path, `Cannot fetch the rest of ${path}: nobody is known who has it`);
    }
    return await this.contentsAt(cache, job);
  }

  /** The contents of a firn server. */
  async contentsAt(address: string, job: Job): Promise<FirnContents> {
    return new FirnContents(await this.remote(address, job), this.#openFrames);
  }

  /** The first cache that knows a hash part, and what it says. */
  async findNarInfo(
    hashPart: string,
    caches: readonly string[],
    job: Job,
  ): Promise<{ narInfo: NarInfo; cache: string } | undefined> {
    let failure: RemoteError | undefined;
    for (const cache of caches) {
      try {
        const narInfo = await fetchNarInfo(await this.remote(cache, job), hashPart);
        if (narInfo) return { narInfo, cache };
      } catch (error) {
        if (!(error instanceof RemoteError) || caches.length === 1) throw error;
        // One that wants a token may have it: that is what can be helped.
        if (!failure || (error.status === 401 && failure.status !== 401)) failure = error;
      }
    }
    if (failure) throw failure; // nobody has it, but one could not be asked
    return undefined;
  }
}

/** What is claimed of a path that is not whole. */
function claimedBy({ narInfo, node, openedAt }: OpenedRecord): PathInfo {
  return pathInfoOf(narInfo, node, [], openedAt);
}

/** The path info of a narinfo whose contents have this root. */
export function pathInfoOf(
  narInfo: NarInfo,
  node: Node,
  unclaimedReferences: readonly string[],
  registeredAt: number,
): PathInfo {
  const { storePath, references, narHash, narSize, deriver, signatures, ca } = narInfo;
  return {
    storePath,
    node,
    references,
    narSha256: narHash,
    narSize,
    signatures,
    unclaimedReferences,
    registeredAt,
    ...(deriver && { deriver }),
    ...(ca && { ca }),
  };
}

/** The hash part in a store path, in what is below one, in a base name, or of its own. Throws {@link FormatError}. */
export function hashPartOf(text: string): string {
  const trimmed = text.trim();
  if (isHashPart(trimmed)) return trimmed;
  const absolute = trimmed.startsWith("/") ? trimmed : "/nix/store/" + trimmed;
  try {
    return splitStorePath(absolute).path.hashPart;
  } catch (cause) {
    throw new FormatError(
      "store path",
      `Cannot read ${shown(JSON.stringify(text.slice(0, 200)))}: want a store path, such as ` +
        "/nix/store/<32 characters>-<name>, or its first 32 characters",
      { cause },
    );
  }
}

/** The address of a cache as it is kept. Throws {@link FormatError} for what is none. */
export function parseAddress(text: string): string {
  const trimmed = text.trim().replace(/\/+$/, "");
  const url = URL.canParse(trimmed) ? new URL(trimmed) : undefined;
  if (!url || !/^https?:$/.test(url.protocol) || url.username || url.search || url.hash) {
    throw new FormatError(
      "address",
      `Cannot use ${
        shown(JSON.stringify(text.slice(0, 200)))
      } as a cache: want an address such as https://cache.example.org`,
    );
  }
  return trimmed;
}

/** What a page is told of a path. */
export function summaryOf(kept: KeptPath, pinned: boolean): PathSummary {
  const { info, whole, cache, openedAt } = kept;
  return {
    path: formatStorePath(info.storePath),
    hashPart: info.storePath.hashPart,
    name: info.storePath.name,
    state: whole ? "whole" : "partial",
    type: info.node.type,
    narSize: info.narSize,
    narHash: formatNixHash("sha256", info.narSha256),
    references: info.references.map((reference) => formatStorePath(reference)),
    openedAt,
    pinned,
    ...(info.deriver && { deriver: formatStorePath(info.deriver) }),
    ...(info.ca && { ca: formatContentAddress(info.ca) }),
    ...(cache !== undefined && { cache }),
  };
}
