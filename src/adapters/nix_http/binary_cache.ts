/**
 * A Nix binary cache over HTTP, to read from: narinfos, and the files of NARs. Nothing that comes is trusted here.
 */
import type { Bytes } from "../../bytes/bytes.ts";
import { FormatError, RemoteError } from "../../errors.ts";
import { MAX_NAR_INFO_LENGTH, type NarInfo, parseNarInfo } from "../../nix/nar_info.ts";
import { bodyOf, type RemoteOptions, request, textOf } from "./request.ts";

/** What a firn server says of itself at `/firn.json`. */
export interface FirnSite {
  /** The version of the routes of contents, of which there is one. */
  readonly contents: 1;
  /** An origin of its own where contents may run scripts. */
  readonly contentOrigin?: string;
}

/** A file that comes, or the rest of one. */
export interface NarFileStream {
  /** Where in the file it begins: 0 if the cache gives no parts. */
  readonly start: number;
  /** Bytes of the whole file, if it is told. */
  readonly size: number | undefined;
  readonly pieces: AsyncIterable<Bytes>;
}

/** The narinfo of a hash part; `undefined` if the cache has none. */
export async function fetchNarInfo(cache: RemoteOptions, hashPart: string): Promise<NarInfo | undefined> {
  const response = await request(cache, `${hashPart}.narinfo`, {}, absent(cache));
  if (response.status >= 400) {
    await response.body?.cancel();
    return undefined;
  }
  const narInfo = parseNarInfo(await textOf(cache, response, MAX_NAR_INFO_LENGTH));
  if (narInfo.storePath.hashPart !== hashPart) {
    throw new FormatError(
      "narinfo",
      `Cannot use ${hashPart}.narinfo of ${cache.address}: it is of ${narInfo.storePath.hashPart}`,
    );
  }
  return narInfo;
}

/** What says that something is not there. S3 says 403 for that; to who came with a token it means what it says. */
function absent({ token }: RemoteOptions): number[] {
  return token === undefined ? [403, 404, 410] : [404, 410];
}

/**
 * What the cache says of itself, if it is a firn server whose contents can be asked for; `undefined` for another cache.
 * @param unknown statuses by which another cache is known
 */
export async function fetchFirnSite(
  cache: RemoteOptions,
  unknown: readonly number[] = [400, 405, ...absent(cache)],
): Promise<FirnSite | undefined> {
  const response = await request(cache, "firn.json", {}, unknown);
  if (response.status >= 400 || !response.headers.get("content-type")?.startsWith("application/json")) {
    await response.body?.cancel();
    return undefined;
  }
  let site: unknown;
  try {
    site = JSON.parse(await textOf(cache, response, 65_536));
  } catch {
    return undefined;
  }
  if (typeof site !== "object" || site === null || (site as FirnSite).contents !== 1) return undefined;
  const { contentOrigin } = site as FirnSite;
  return { contents: 1, ...(typeof contentOrigin === "string" && { contentOrigin }) };
}

/** The file of a NAR from `start` on, which the cache may choose to give from its beginning. */
export async function fetchNarFile(cache: RemoteOptions, url: string, start = 0): Promise<NarFileStream> {
  const headers: Record<string, string> = start > 0 ? { range: `bytes=${start}-` } : {};
  const response = await request(cache, url, { headers }, [416]);
  if (response.status === 416) {
    await response.body?.cancel();
    if (start === 0) {
      throw new RemoteError(cache.address, `Cannot use ${response.url}: 416 Range Not Satisfiable`);
    }
    return await fetchNarFile(cache, url); // it has changed since
  }
  const range = /^bytes (\d+)-\d+\/(\d+)$/.exec(response.headers.get("content-range") ?? "");
  const begins = response.status === 206 && range ? Number(range[1]) : 0;
  if (response.status === 206 && begins !== start) {
    await response.body?.cancel();
    throw new RemoteError(
      cache.address,
      `Cannot use ${response.url}: it answers with another range than it was asked for`,
    );
  }
  const encoded = response.headers.has("content-encoding"); // then the length is that of something else
  const length = encoded ? null : response.headers.get("content-length");
  const size = range && begins > 0 ? Number(range[2]) : length === null ? undefined : Number(length);
  return { start: begins, size, pieces: bodyOf(cache, response) };
}
