/**
 * A `file://` binary cache that real nix wrote, read as material for uploads over plain HTTP: for orders, faults and
 * changes that a nix client never produces, or only a version that is not at hand.
 */
import { type Closure } from "./closures.ts";
import { type Nix, User } from "./nix.ts";

/** One path of the cache. */
export interface CachedPath {
  readonly storePath: string;
  /** `<hash part>.narinfo`. */
  readonly narInfoName: string;
  /** The text nix wrote. */
  readonly narInfo: string;
  /** The `URL` field: where the NAR is in the folder, and where nix would upload it. */
  readonly url: string;
  /** Store paths it refers to, itself left out. */
  readonly references: string[];
}

/** A cache folder, its paths in reference order: each after those it refers to. */
export class CacheFolder {
  private constructor(readonly folder: string, readonly paths: CachedPath[]) {}

  /** Let nix copy a closure into a folder. @param compression a name nix knows */
  static async write(nix: Nix, closure: Closure, folder: string, compression: string): Promise<CacheFolder> {
    const user = new User(nix, `${folder}.home`);
    await user.push(`file://${folder}?compression=${compression}`, closure.root);
    const paths = await Promise.all(closure.paths.map((path) => readCached(folder, path)));
    return new CacheFolder(folder, paths);
  }

  /** The compressed NAR of a path. */
  nar(path: CachedPath): Promise<Uint8Array<ArrayBuffer>> {
    return Deno.readFile(`${this.folder}/${path.url}`);
  }
}

async function readCached(folder: string, storePath: string): Promise<CachedPath> {
  const narInfoName = `${hashPart(storePath)}.narinfo`;
  const narInfo = await Deno.readTextFile(`${folder}/${narInfoName}`);
  const references = field(narInfo, "References").split(" ").filter((name) => name !== "");
  return {
    storePath,
    narInfoName,
    narInfo,
    url: field(narInfo, "URL"),
    references: references.map((name) => `/nix/store/${name}`).filter((path) => path !== storePath),
  };
}

/** The 32 characters that name a store path. */
export function hashPart(storePath: string): string {
  return storePath.slice("/nix/store/".length).slice(0, 32);
}

/** The value of a narinfo field, empty if it is not there. */
export function field(narInfo: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, "m").exec(narInfo)?.[1] ?? "";
}

/** PUT a body and read the answer. @param token that may write, where one is wanted */
export async function put(
  url: string,
  body: string | Uint8Array<ArrayBuffer>,
  token?: string,
): Promise<{ status: number; text: string }> {
  const headers: HeadersInit = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const response = await fetch(url, { method: "PUT", body, headers });
  return { status: response.status, text: await response.text() };
}

/** Run a task for every item, so many at a time, until one fails. */
export async function forEach<T>(
  items: Iterable<T>,
  atOnce: number,
  task: (item: T) => Promise<void>,
): Promise<void> {
  const queue = items[Symbol.iterator]();
  const worker = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) await task(next.value);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}
