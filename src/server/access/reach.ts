/** What a caller's right reaches: store paths by their names. */
import { parseStorePathBase } from "../../nix/store_path.ts";
import type { PathInfoService } from "../../store/path_info_service.ts";
import type { Caller, Right } from "../door.ts";
import { lacking, outOfReach } from "./refusals.ts";

/** The path infos that a caller may see; others are as absent. */
export function pathInfosFor({ reads }: Caller, pathInfos: PathInfoService): PathInfoService {
  if (!reads) return pathInfos;
  return {
    async get(hashPart) {
      const info = await pathInfos.get(hashPart);
      return info && reads(info.storePath.name) ? info : undefined;
    },
    async *list() {
      for await (const info of pathInfos.list()) if (reads(info.storePath.name)) yield info;
    },
    put: (info) => pathInfos.put(info),
    delete: (hashPart) => pathInfos.delete(hashPart),
  };
}

/** Throws an `HttpError` of status 403 unless the caller may write a path of this name. */
export function checkWrites(caller: Caller, name: string): void {
  if (caller.writes && !caller.writes(name)) throw outOfReach(caller, "write", name);
}

/** Throws an `HttpError` of status 403 unless the caller has the right. */
export function checkRight(caller: Caller, right: Right): void {
  if (!caller.rights.has(right)) throw lacking(caller, right);
}

/**
 * Names by which a side file is about a store path: of a derivation with and without its ending. None for what belongs to no
 * path, as debug information: that is for who may reach all.
 *
 * @param key its path, as `log/<base>.drv`, `realisations/<hash>!out.doi`, `build-trace-v2/<base>/out.doi`
 * @param json what it says, where it is JSON
 */
export function namesOfSideFile(key: string, json?: unknown): string[] {
  const [, dir, base] = /^([^/]+)\/([^/]+)/.exec(key) ?? [];
  const about = dir === "log" || dir === "build-trace-v2" ? base : undefined;
  const made = (json as { outPath?: unknown } | undefined)?.outPath;
  const bases = [about, typeof made === "string" ? made.replace(/^.*\//, "") : undefined];
  return bases.filter((base) => base !== undefined).map(nameOf).filter((name) => name !== undefined);
}

/** Whether a right with this pattern reaches a side file: all names it is about. */
export function reachesSideFile(
  matches: ((name: string) => boolean) | undefined,
  names: readonly string[],
): boolean {
  if (!matches) return true;
  return names.length > 0 && names.every((name) => matches(name) || matches(name.replace(/\.drv$/, "")));
}

function nameOf(base: string): string | undefined {
  try {
    return parseStorePathBase(base).name;
  } catch {
    return undefined; // logs and realisations have all sorts of names
  }
}
