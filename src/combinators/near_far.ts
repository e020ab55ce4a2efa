/**
 * A near store in front of a far one: what was read once is read near. Far is the truth, near is a copy of some of it that
 * may be emptied at any time.
 *
 * Reads ask near first; what they get from far is verified and kept near, chunk by chunk. Nothing is remembered of what
 * is absent. Reads of one thing at one time share one call. Whatever near fails at (no room, damage) is told to a
 * log, and the answer comes from far.
 *
 * Writes go to far, and only when far has confirmed them to near: nothing is reported as stored that far does not have.
 * If far fails, near has nothing of it. If near fails, or the process ends in between, far has it and a read will bring
 * it near. Because nothing is written near before, what is written has to be held until then: of a stream of more than
 * 8 MiB nothing is kept near.
 *
 * A path info that is near is not asked for again: signatures that far gets later from somebody else, and deletions by
 * somebody else, are not seen. Near by itself, without far, is not a store: its path infos speak of contents that may be
 * far only. `list` is that of far.
 *
 * Near is a home and not services, because a chunk list must be kept apart from its chunks, and only once it is proven; no
 * service stores one without the other.
 */
import type { BlobService } from "../castore/blob_service.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import { ConflictError } from "../errors.ts";
import type { PathInfo } from "../store/path_info.ts";
import type { PathInfoService } from "../store/path_info_service.ts";
import { pathInfosOver } from "../store/path_infos_over.ts";
import type { Home } from "../store/services.ts";
import { NearFarBlobs } from "./near_far_blobs.ts";
import { NearFarDirectories } from "./near_far_directories.ts";
import { SingleFlight } from "./single_flight.ts";

/** The services of a store that may be somewhere else: it has no `names`. */
export interface FarServices {
  readonly blobs: BlobService;
  readonly directories: DirectoryService;
  readonly pathInfos: PathInfoService;
}

export interface NearFarOptions {
  readonly near: Home;
  readonly far: FarServices;
  /** Told what near failed at, one line each; default nowhere. */
  readonly log?: (line: string) => void;
}

/** The services of a far store with a near one in front. */
export function nearFar({ near, far, log = () => {} }: NearFarOptions): FarServices {
  const forgiving = new Forgiving(log);
  return {
    blobs: new NearFarBlobs(near.bytes, far.blobs, forgiving),
    directories: new NearFarDirectories(near.bytes, far.directories, forgiving),
    pathInfos: new NearFarPathInfos(pathInfosOver(near.names), far.pathInfos, forgiving),
  };
}

/** Work in the near store, whose failures are told and not thrown. */
export class Forgiving {
  constructor(readonly log: (line: string) => void) {}

  /** What the work gives, or `undefined` where it fails. */
  async try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.log(`the near store failed: ${error instanceof Error ? error.message : error}`);
      return undefined;
    }
  }
}

class NearFarPathInfos implements PathInfoService {
  #near: PathInfoService;
  #far: PathInfoService;
  #forgiving: Forgiving;
  #flight = new SingleFlight();

  constructor(near: PathInfoService, far: PathInfoService, forgiving: Forgiving) {
    this.#near = near;
    this.#far = far;
    this.#forgiving = forgiving;
  }

  async get(hashPart: string): Promise<PathInfo | undefined> {
    const kept = await this.#forgiving.try(() => this.#near.get(hashPart));
    return kept ?? await this.#flight.run(hashPart, async () => {
      const info = await this.#far.get(hashPart);
      if (info) await this.#keep(info);
      return info;
    });
  }

  async put(info: PathInfo): Promise<PathInfo> {
    const stored = await this.#far.put(info);
    await this.#keep(stored);
    return stored;
  }

  list(): AsyncIterable<PathInfo> {
    return this.#far.list();
  }

  async delete(hashPart: string): Promise<void> {
    await this.#far.delete(hashPart);
    await this.#near.delete(hashPart);
  }

  async #keep(info: PathInfo): Promise<void> {
    await this.#forgiving.try(async () => {
      try {
        await this.#near.put(info);
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
        await this.#near.delete(info.storePath.hashPart); // far was changed since, and is right
        await this.#near.put(info);
      }
    });
  }
}
