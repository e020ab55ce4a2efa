/**
 * Sending a path to a firn server: which chunks it lacks is asked in bulk, those are sent, and blobs of several are joined
 * there; then Directories; then the path info, which the server proves from its bytes. What arrived stays there, so a push that was
 * interrupted goes on by asking again.
 */
import { FirnContents } from "../../src/adapters/nix_http/firn_contents.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { toHex } from "../../src/bytes/hex.ts";
import type { ChunkMeta } from "../../src/castore/blob_service.ts";
import { formatDigest } from "../../src/castore/digest.ts";
import { type Directory, directoryDigest } from "../../src/castore/directory.ts";
import type { FileNode } from "../../src/castore/node.ts";
import { MissingError, UnsupportedError } from "../../src/errors.ts";
import { formatStorePath } from "../../src/nix/store_path.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import type { Pushed, PushOptions } from "./engine.ts";
import type { Job } from "./job.ts";
import { filesOf } from "./open_path.ts";
import { parseToken } from "./settings.ts";
import { parseAddress, type TabStore } from "./tab_store.ts";

/** Files that are asked about together. */
const GROUP = 4096;
/** Bytes and blobs sent in one request. */
const REQUEST_BYTES = 4 * 1024 * 1024;
const REQUEST_COUNT = 1024;

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
  const contents = new FirnContents(await tab.remote(server, job, token));
  const infos = await leavesFirst(path, options.closure ?? true, tab);
  job.total = infos.reduce((sum, { narSize }) => sum + narSize, 0);
  const sent: string[] = [];
  const there: string[] = [];
  const push = new Push(contents, tab, job);
  for (const info of infos) {
    const name = formatStorePath(info.storePath);
    job.enter("asking", name);
    if (await contents.hasPath(info.storePath.hashPart)) {
      job.count(info.narSize, true);
      there.push(name);
      continue;
    }
    await push.contentsOf(info);
    job.enter("verifying", name);
    await contents.writePathInfo(info);
    sent.push(name);
  }
  return { paths: sent, there, sent: push.sent, shared: job.shared };
}

/** The path infos to send: each after those it refers to, as far as they do not refer to each other in a circle. */
async function leavesFirst(path: string, closure: boolean, tab: TabStore): Promise<PathInfo[]> {
  const ordered: PathInfo[] = [];
  const seen = new Set<string>();
  const open = async (hashPart: string) => {
    const kept = await tab.get(hashPart);
    const name = formatStorePath(kept.info.storePath);
    if (!kept.whole) {
      throw new MissingError(
        "path",
        name,
        `Cannot send ${name}: not all of it is here; fetch the rest first`,
      );
    }
    return kept.info;
  };
  const root = await open(path);
  seen.add(root.storePath.hashPart);
  const stack = [{ info: root, next: 0 }];
  while (stack.length > 0) {
    const top = stack[stack.length - 1];
    const reference = closure ? top.info.references[top.next++] : undefined;
    if (!reference) {
      ordered.push(top.info);
      stack.pop();
    } else if (!seen.has(reference.hashPart)) {
      seen.add(reference.hashPart);
      const name = formatStorePath(reference);
      if (!await tab.find(reference.hashPart)) {
        throw new MissingError(
          "path",
          name,
          `Cannot send all that ${
            formatStorePath(root.storePath)
          } refers to: ${name} is not here; open it first, or send the path alone`,
        );
      }
      stack.push({ info: await open(reference.hashPart), next: 0 });
    }
  }
  return ordered;
}

class Push {
  /** Bytes of contents sent. */
  sent = 0;

  constructor(readonly contents: FirnContents, readonly tab: TabStore, readonly job: Job) {}

  /** Sends what the server lacks of a path's files and Directories. */
  async contentsOf({ node }: PathInfo): Promise<void> {
    let group: FileNode[] = [];
    for await (const file of filesOf(node, this.tab)) {
      group.push(file);
      if (group.length < GROUP) continue;
      await this.#files(group);
      group = [];
    }
    await this.#files(group);
    if (node.type !== "directory") return;
    this.job.enter("sending");
    const directories: Directory[] = [];
    for await (const { directory } of this.tab.services.directories.getClosure(node.digest)) {
      directories.push(directory);
    }
    // Root first, each after one that refers to it: turned around that is not always leaves first.
    await this.contents.writeClosure(sortLeavesFirst(directories));
  }

  async #files(files: readonly FileNode[]): Promise<void> {
    if (files.length === 0) return;
    this.job.enter("asking");
    const lacking = new Set((await this.contents.missingBlobs(files.map(({ digest }) => digest))).map(toHex));
    const chunks = new Map<string, ChunkMeta>();
    const long: { file: FileNode; chunks: readonly ChunkMeta[] }[] = [];
    for (const file of files) {
      if (!lacking.has(toHex(file.digest))) {
        this.job.count(file.size, true);
        continue;
      }
      const list = await this.tab.services.blobs.chunks(file.digest);
      if (!list) throw new MissingError("blob", formatDigest(file.digest));
      const parts = list.length === 0 ? [{ digest: file.digest, size: 0 }] : list;
      for (const chunk of parts) chunks.set(toHex(chunk.digest), chunk);
      if (parts.length > 1) long.push({ file, chunks: parts });
    }
    await this.#chunks([...chunks.values()], long.length > 0);
    for (const { file, chunks } of long) {
      this.job.enter("sending");
      await this.contents.joinBlob(file.digest, chunks);
    }
  }

  async #chunks(chunks: readonly ChunkMeta[], some: boolean): Promise<void> {
    // Blobs of one chunk were asked about already; chunks of longer ones were not.
    const wanted = some
      ? new Set((await this.contents.missingBlobs(chunks.map(({ digest }) => digest))).map(toHex))
      : undefined;
    this.job.enter("sending");
    let held: Bytes[] = [];
    let length = 0;
    const send = async () => {
      if (held.length > 0) await this.contents.writeBlobs(held);
      this.sent += length;
      this.job.count(length);
      held = [];
      length = 0;
    };
    for (const { digest, size } of chunks) {
      this.job.signal.throwIfAborted();
      if (wanted && !wanted.has(toHex(digest))) {
        this.job.count(size, true);
        continue;
      }
      if (length + size > REQUEST_BYTES || held.length === REQUEST_COUNT) await send();
      const blob = await this.tab.services.blobs.open(digest);
      if (!blob) throw new MissingError("blob", formatDigest(digest));
      held.push(await blob.bytes());
      length += size;
    }
    await send();
  }
}

/** Directories so that each comes after all it refers to; the first given is the root, which is the last then. */
function sortLeavesFirst(directories: readonly Directory[]): Directory[] {
  const byKey = new Map(directories.map((directory) => [toHex(directoryDigest(directory)), directory]));
  const done = new Set<string>();
  const sorted: Directory[] = [];
  const stack = [toHex(directoryDigest(directories[0]))];
  while (stack.length > 0) {
    const key = stack[stack.length - 1];
    if (done.has(key)) {
      stack.pop();
      continue;
    }
    const directory = byKey.get(key)!;
    const before = stack.length;
    for (const { node } of directory.items) {
      if (node.type !== "directory") continue;
      const below = toHex(node.digest);
      if (!done.has(below)) stack.push(below);
    }
    if (stack.length > before) continue;
    stack.pop();
    done.add(key);
    sorted.push(directory);
  }
  return sorted;
}
