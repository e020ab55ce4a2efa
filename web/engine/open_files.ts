/**
 * Opening what is dropped: narinfos and NARs, folders, and whole binary caches in a zip or a folder.
 */
import type { Bytes } from "../../src/bytes/bytes.ts";
import { iterate } from "../../src/bytes/streams.ts";
import { FormatError, LimitError, MissingError } from "../../src/errors.ts";
import { MAX_NAR_INFO_LENGTH, type NarInfo, parseNarInfo } from "../../src/nix/nar_info.ts";
import { isStorePathName } from "../../src/nix/store_path.ts";
import type { Opened, Target } from "./engine.ts";
import { faultOf } from "./fault.ts";
import { folderNar, listFolder } from "./folder_nar.ts";
import type { Job } from "./job.ts";
import { openPath } from "./open_path.ts";
import type { TabStore } from "./tab_store.ts";
import { takeNar } from "./take_nar.ts";
import { ZipReader } from "./zip_reader.ts";

/** What was opened: hash parts, and what could not be. */
export interface Taken {
  readonly opened: string[];
  readonly refused: { readonly what: string; readonly fault: Opened["refused"][number]["fault"] }[];
}

/** Files of a binary cache, wherever they lie. */
interface CacheFiles {
  readonly names: Iterable<string>;
  /** The contents of a file; `undefined`: there is none. */
  open(name: string): { size: number; contents: AsyncIterable<Bytes> } | undefined;
}

/** Opens a dropped folder. */
export async function openFolder(
  target: Target & { readonly type: "folder" },
  tab: TabStore,
  job: Job,
): Promise<Taken> {
  job.enter("reading");
  const entries = await listFolder(target.entries);
  if (entries.has("nix-cache-info")) {
    return await takeCache(
      {
        names: entries.keys(),
        open: (name) => {
          const file = entries.get(name);
          return file && { size: file.size, contents: read(file, job) };
        },
      },
      tab,
      job,
    );
  }
  const nar = countedMoved(iterate(folderNar(entries, target.executables ?? "guess")), job);
  const info = await takeNar(nar, { name: pathName(target.name) }, "", tab, job);
  return { opened: [info.storePath.hashPart], refused: [] };
}

/** Opens dropped files: each NAR with its narinfo, if that is among them. */
export async function openFiles(
  files: readonly File[],
  caches: readonly string[],
  tab: TabStore,
  job: Job,
): Promise<Taken> {
  const taken: Taken = { opened: [], refused: [] };
  const narInfos: { file: File; narInfo: NarInfo; used: boolean }[] = [];
  const nars: File[] = [];
  for (const file of files) {
    await attempt(file.name, taken, job, async () => {
      if (file.name.endsWith(".narinfo")) {
        narInfos.push({ file, narInfo: await readNarInfo(file), used: false });
      } else if (await isZip(file)) {
        const { opened, refused } = await takeZip(file, tab, job);
        taken.opened.push(...opened);
        taken.refused.push(...refused);
      } else nars.push(file);
    });
  }
  for (const nar of nars) {
    await attempt(nar.name, taken, job, async () => {
      job.enter("reading");
      const alone = nars.length === 1 && narInfos.length === 1;
      const of = narInfos.find(({ narInfo }) => baseName(narInfo.url) === nar.name) ??
        (alone ? narInfos[0] : undefined);
      if (of) of.used = true;
      const claims = of ? { narInfo: of.narInfo } : { name: pathName(nar.name) };
      const hint = /\.br$/.test(nar.name) ? "br" : of?.narInfo.compression ?? "";
      const info = await takeNar(read(nar, job), claims, hint, tab, job);
      taken.opened.push(info.storePath.hashPart);
    });
  }
  for (const { file, narInfo, used } of narInfos) {
    if (used) continue;
    // A narinfo alone says what to ask for.
    await attempt(file.name, taken, job, async () => {
      const { hashPart } = narInfo.storePath;
      const [opened] = await openPath(hashPart, caches, { everything: true }, tab, job);
      taken.opened.push(opened);
    });
  }
  return taken;
}

/** Imports a zip that is a binary cache. */
async function takeZip(file: File, tab: TabStore, job: Job): Promise<Taken> {
  job.enter("reading");
  const zip = await ZipReader.open(file);
  return await takeCache(
    {
      names: zip.files.keys(),
      open: (name) => {
        const zipped = zip.files.get(name);
        return zipped && { size: zipped.size, contents: countedMoved(zip.contents(zipped), job) };
      },
    },
    tab,
    job,
  );
}

/** Takes all paths of a binary cache that are not here. */
async function takeCache(files: CacheFiles, tab: TabStore, job: Job): Promise<Taken> {
  const names = [...files.names];
  const info = names.find((name) => baseName(name) === "nix-cache-info");
  if (info === undefined) {
    throw new FormatError("cache", "Cannot import this: it has no nix-cache-info, so it is no binary cache");
  }
  const root = info.slice(0, -"nix-cache-info".length);
  const taken: Taken = { opened: [], refused: [] };
  for (const name of names) {
    if (!name.startsWith(root) || !name.endsWith(".narinfo")) continue;
    await attempt(name, taken, job, async () => {
      const { contents, size } = files.open(name)!;
      const narInfo = parseNarInfo(await textOf(contents, size));
      const { hashPart } = narInfo.storePath;
      if (!await tab.services.pathInfos.get(hashPart)) {
        const nar = files.open(root + narInfo.url);
        if (!nar) {
          throw new MissingError("nar", narInfo.url, `Cannot import ${name}: ${narInfo.url} is not with it`);
        }
        await takeNar(nar.contents, { narInfo }, narInfo.compression, tab, job);
      }
      taken.opened.push(hashPart);
    });
  }
  return taken;
}

/** Does one of several things: what it fails with is noted, except where nothing more could be done. */
async function attempt(what: string, { refused }: Taken, job: Job, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    job.signal.throwIfAborted();
    if (error instanceof Error && error.name === "StoreFullError") throw error;
    refused.push({ what, fault: faultOf(error) });
  }
}

async function readNarInfo(file: File): Promise<NarInfo> {
  return parseNarInfo(await textOf(iterate(file.stream()), file.size));
}

async function textOf(contents: AsyncIterable<Bytes>, size: number): Promise<string> {
  if (size > MAX_NAR_INFO_LENGTH) {
    throw new LimitError(
      MAX_NAR_INFO_LENGTH,
      `Cannot read the narinfo: it has over ${MAX_NAR_INFO_LENGTH} bytes`,
    );
  }
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  for await (const piece of contents) text += decoder.decode(piece, { stream: true });
  return text + decoder.decode();
}

async function isZip(file: File): Promise<boolean> {
  const [a, b, c, d] = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  return a === 0x50 && b === 0x4b && ((c === 3 && d === 4) || (c === 5 && d === 6));
}

function read(file: File, job: Job): AsyncGenerator<Bytes, void, void> {
  job.toMove = (job.toMove ?? job.moved) + file.size;
  return countedMoved(iterate(file.stream()), job);
}

async function* countedMoved(pieces: AsyncIterable<Bytes>, job: Job): AsyncGenerator<Bytes, void, void> {
  for await (const piece of pieces) {
    job.countMoved(piece.length);
    yield piece;
  }
}

const baseName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** The name of a path that is made of a file or folder of this name: what a store path's name cannot hold becomes `-`. */
export function pathName(fileName: string): string {
  const bare = fileName.replace(/\.nar(\.[a-z0-9]{1,8})?$/, "");
  const name = bare.replace(/[^A-Za-z0-9+\-._?=]+/g, "-").replace(/^\.+/, "").slice(0, 200);
  return isStorePathName(name) ? name : "unnamed";
}
