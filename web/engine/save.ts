/**
 * Making files of what is kept here: one file, a NAR, a zip of a folder, or a zip that is a binary cache.
 */
import { type Bytes, fromText } from "../../src/bytes/bytes.ts";
import { toNixBase32 } from "../../src/bytes/nixbase32.ts";
import { filesBelow } from "../../src/castore/closure_contents.ts";
import type { Digest } from "../../src/castore/digest.ts";
import type { FileNode, Node } from "../../src/castore/node.ts";
import { formatDigest } from "../../src/castore/digest.ts";
import { LimitError, MissingError, UnsupportedError } from "../../src/errors.ts";
import { formatCacheInfo } from "../../src/nix/cache_info.ts";
import { formatNarInfo } from "../../src/nix/nar_info.ts";
import { formatStorePath, STORE_DIR, storePathBase } from "../../src/nix/store_path.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { type PathInfo, toNarInfo } from "../../src/store/path_info.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import type { Saved, SavedFile } from "./engine.ts";
import { safeName, zipPath } from "./file_name.ts";
import type { Job } from "./job.ts";
import { fetchFiles } from "./lacking_blobs.ts";
import { below, nameText } from "./path_text.ts";
import type { KeptPath, TabStore } from "./tab_store.ts";
import { walk } from "./walk_path.ts";
import { writeZip, type ZipEntry } from "./zip_writer.ts";

/** Pieces of a Blob are put together in Blobs of this length, which browsers move to the disk. */
const BLOB_PIECE = 16 * 1024 * 1024;

/** Most entries of a zip: few Directories that hold each other can stand for more than anybody could unpack. */
const MOST_ENTRIES = 5_000_000;

/** What is being saved: its name, and its bytes. */
interface Source {
  readonly name: string;
  readonly type: string;
  readonly bytes: AsyncIterable<Bytes>;
}

/** Makes the file: in the handle if there is one, else as a Blob. */
export async function saveFile(
  what: Saved,
  handle: FileSystemFileHandle | undefined,
  tab: TabStore,
  job: Job,
): Promise<SavedFile> {
  const { name, type, bytes } = await sourceOf(what, tab, job);
  if (handle) return { name, size: await writeInto(handle, bytes, job) };
  const blob = await gather(bytes, type, job);
  return { name, size: blob.size, blob };
}

async function sourceOf(what: Saved, tab: TabStore, job: Job): Promise<Source> {
  if (what.type === "cache") {
    const infos = await wholePaths(what.paths, tab);
    job.total = infos.reduce((sum, { narSize }) => sum + narSize, 0);
    return { name: "nix-cache.zip", type: "application/zip", bytes: writeZip(cacheEntries(infos, tab, job)) };
  }
  const kept = await tab.get(what.path);
  const base = storePathBase(kept.info.storePath);
  job.enter("packing", formatStorePath(kept.info.storePath));
  if (what.type === "nar") {
    await fetchBelow(kept, kept.info.node, tab, job);
    return { name: `${base}.nar`, type: "application/x-nix-nar", bytes: narOf(kept.info, tab) };
  }
  const found = await walk(kept, what.file ?? "", tab);
  if (!found) throw new MissingError("file", what.file ?? "");
  const last = found.file.slice(found.file.lastIndexOf("/") + 1) || base;
  if (what.type === "zip") {
    if (found.node.type !== "symlink") await fetchBelow(kept, found.node, tab, job);
    return {
      name: `${safeName(last)}.zip`,
      type: "application/zip",
      bytes: writeZip(entriesOf(found.node, zipPath(last), tab)),
    };
  }
  if (found.node.type !== "file") {
    throw new UnsupportedError(`Cannot save ${last} as a file: it is a ${found.node.type}; save it as a zip`);
  }
  await fetchBelow(kept, found.node, tab, job);
  return { name: safeName(last), type: "application/octet-stream", bytes: await open(found.node, tab) };
}

/** Fetches the contents below a node that are not here. */
async function fetchBelow(kept: KeptPath, node: Node, tab: TabStore, job: Job): Promise<void> {
  if (kept.whole) return;
  const fetch = {
    store: tab.home.bytes,
    blobs: tab.services.blobs,
    contents: await tab.contentsFor(kept, job),
    job,
  };
  await fetchFiles(filesBelow(node, tab.services.directories), fetch);
  job.enter("packing");
}

async function open(node: FileNode, { services }: TabStore): Promise<AsyncIterable<Bytes>> {
  const blob = await services.blobs.open(node.digest);
  if (!blob) throw new MissingError("blob", formatDigest(node.digest));
  return blob;
}

async function* narOf(info: PathInfo, { services }: TabStore): AsyncGenerator<Bytes, void, void> {
  yield* renderNar(await narLayout(info.node, services.directories), services.blobs);
}

/**
 * The entries of a node. All symlinks come last: whoever unpacks then follows none of them on the way to a file, however the
 * names compare where it is unpacked.
 */
async function* entriesOf(root: Node, name: string, tab: TabStore): AsyncGenerator<ZipEntry, void, void> {
  const symlinks: ZipEntry[] = [];
  const todo: { node: Node; path: string }[] = [{ node: root, path: name }];
  let count = 0;
  for (let next = todo.pop(); next; next = todo.pop()) {
    if (++count > MOST_ENTRIES) {
      throw new LimitError(
        MOST_ENTRIES,
        `Cannot make a zip of this: it has over ${MOST_ENTRIES} files; save it as a NAR`,
      );
    }
    const { node, path } = next;
    if (node.type === "symlink") {
      symlinks.push({ name: path, kind: "symlink", contents: node.target, size: node.target.length });
    } else if (node.type === "file") {
      const kind = node.executable ? "executable" : "file";
      yield { name: path, kind, contents: await open(node, tab), size: node.size };
    } else {
      yield { name: path + "/", kind: "folder", contents: new Uint8Array(0), size: 0 };
      todo.push(...(await childrenOf(node.digest, path, tab)).reverse());
    }
  }
  yield* symlinks;
}

/** What is in a folder, under names that differ in a zip too. */
async function childrenOf(
  digest: Digest,
  path: string,
  { services }: TabStore,
): Promise<{ node: Node; path: string }[]> {
  const directory = await services.directories.get(digest);
  if (!directory) throw new MissingError("directory", formatDigest(digest));
  const taken = new Set(directory.items.map(({ name }) => nameText(name)));
  return directory.items.map(({ name, node }) => {
    const text = nameText(name);
    let safe = zipPath(text);
    for (let i = 2; safe !== text && taken.has(safe); i++) safe = `${zipPath(text)}~${i}`;
    taken.add(safe);
    return { node, path: below(path, safe) };
  });
}

async function wholePaths(paths: readonly string[] | undefined, tab: TabStore): Promise<PathInfo[]> {
  const infos: PathInfo[] = [];
  if (!paths) {
    for await (const info of tab.services.pathInfos.list()) infos.push(info);
    return infos;
  }
  for (const path of paths) {
    const { info, whole } = await tab.get(path);
    if (!whole) {
      const name = formatStorePath(info.storePath);
      throw new MissingError(
        "path",
        name,
        `Cannot export ${name}: not all of it is here; fetch the rest first`,
      );
    }
    infos.push(info);
  }
  return infos;
}

/** A binary cache of these paths. */
async function* cacheEntries(
  infos: readonly PathInfo[],
  tab: TabStore,
  job: Job,
): AsyncGenerator<ZipEntry, void, void> {
  yield text("nix-cache-info", formatCacheInfo({ storeDir: STORE_DIR, wantMassQuery: true, priority: 40 }));
  const written = new Set<string>();
  for (const info of infos) {
    job.enter("packing", formatStorePath(info.storePath));
    const url = `nar/${toNixBase32(info.narSha256)}.nar`;
    if (!written.has(url)) {
      written.add(url);
      yield { name: url, kind: "file", contents: counted(narOf(info, tab), job), size: info.narSize };
    }
    const narInfo = toNarInfo(info, {
      url,
      compression: "none",
      fileSize: info.narSize,
      fileHash: { algorithm: "sha256", digest: info.narSha256 },
    });
    yield text(`${info.storePath.hashPart}.narinfo`, formatNarInfo(narInfo));
  }
}

function text(name: string, contents: string): ZipEntry {
  const bytes = fromText(contents);
  return { name, kind: "file", contents: bytes, size: bytes.length };
}

async function* counted(bytes: AsyncIterable<Bytes>, job: Job): AsyncGenerator<Bytes, void, void> {
  for await (const piece of bytes) {
    job.count(piece.length);
    yield piece;
  }
}

async function writeInto(
  handle: FileSystemFileHandle,
  bytes: AsyncIterable<Bytes>,
  job: Job,
): Promise<number> {
  const stream = await handle.createWritable();
  let size = 0;
  try {
    for await (const piece of bytes) {
      job.signal.throwIfAborted();
      size += piece.length;
      await stream.write(piece);
    }
    await stream.close();
  } catch (error) {
    await stream.abort().catch(() => {}); // the file stays as it was
    throw error;
  }
  return size;
}

async function gather(bytes: AsyncIterable<Bytes>, type: string, job: Job): Promise<Blob> {
  const blobs: Blob[] = [];
  let parts: Bytes[] = [];
  let length = 0;
  for await (const piece of bytes) {
    job.signal.throwIfAborted();
    parts.push(piece.slice()); // a view of much more would keep that in memory
    length += piece.length;
    if (length < BLOB_PIECE) continue;
    blobs.push(new Blob(parts));
    parts = [];
    length = 0;
  }
  return new Blob([...blobs, ...parts], { type });
}
