/**
 * Sending paths of a tab to a firn server, as `nix_http/push_paths.ts` does it.
 */
import { FirnUploads } from "../../src/adapters/nix_http/firn_uploads.ts";
import { pushPaths } from "../../src/adapters/nix_http/push_paths.ts";
import { MissingError, UnsupportedError } from "../../src/errors.ts";
import { formatStorePath, type StorePath } from "../../src/nix/store_path.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import { referencesFirst } from "../../src/store/references_first.ts";
import type { Pushed, PushOptions } from "./engine.ts";
import type { Job } from "./job.ts";
import { parseToken } from "./settings.ts";
import { parseAddress, type TabStore } from "./tab_store.ts";

/** Sends a path, and first what it refers to. */
export async function pushPath(path: string, options: PushOptions, tab: TabStore, job: Job): Promise<Pushed> {
  job.enter("asking");
  const server = parseAddress(options.server);
  const token = options.token === undefined ? undefined : parseToken(options.token);
  if (!await tab.siteOf(server, job, token)) {
    throw new UnsupportedError(
      `Cannot push to ${server}: it is no firn server that takes contents from pages`,
    );
  }
  const infos = await infosOf(path, options.closure ?? true, tab);
  job.total = infos.reduce((sum, { narSize }) => sum + narSize, 0);
  const outgoing = infos.map((info) => ({
    ...info,
    open: () => Promise.resolve({ info, source: tab.services }),
  }));
  const uploads = new FirnUploads(await tab.remote(server, job, token));
  const { sent, there, bytes } = await pushPaths(outgoing, uploads, {
    signal: job.signal,
    enter: (phase, path) => job.enter(phase, path && formatStorePath(path)),
    count: (bytes, shared) => job.count(bytes, shared),
  });
  const names = (paths: readonly StorePath[]) => paths.map((path) => formatStorePath(path));
  return { paths: names(sent), there: names(there), sent: bytes, shared: job.shared };
}

/** The path infos to send, each after those it refers to. */
async function infosOf(path: string, closure: boolean, tab: TabStore): Promise<PathInfo[]> {
  const { info: root } = await tab.get(path);
  if (!closure) return [await whole(root.storePath, tab)];
  return await referencesFirst([root.storePath], async (path, from) => {
    if (from && !await tab.find(path.hashPart)) {
      const name = formatStorePath(path);
      throw new MissingError(
        "path",
        name,
        `Cannot send all that ${
          formatStorePath(root.storePath)
        } refers to: ${name} is not here; open it first, or send the path alone`,
      );
    }
    return await whole(path, tab);
  });
}

async function whole(path: StorePath, tab: TabStore): Promise<PathInfo> {
  const kept = await tab.get(path.hashPart);
  if (kept.whole) return kept.info;
  const name = formatStorePath(path);
  throw new MissingError("path", name, `Cannot send ${name}: not all of it is here; fetch the rest first`);
}
