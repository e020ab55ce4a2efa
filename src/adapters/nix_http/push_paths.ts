/**
 * Sending paths to a firn server: which it lacks is asked first, then which blobs of those, then which chunks of long blobs; what is
 * missing is sent, many in a body and several bodies at once; then Directories; then each path info, after those it refers to,
 * which the server proves from its bytes. What arrived stays there, so a push that was interrupted goes on by asking again.
 *
 * That the server has a Directory does not say that it has what is below: Directories may be put before blobs, and garbage collection
 * may have taken those of an upload that did not end. So every blob is asked for, which takes 32 bytes; and when the server finds in the
 * end that something is missing after all, it is asked again.
 */
import { ahead } from "../../bytes/ahead.ts";
import { Background } from "../../bytes/background.ts";
import { Budget } from "../../bytes/budget.ts";
import type { Bytes } from "../../bytes/bytes.ts";
import { toHex } from "../../bytes/hex.ts";
import {
  type BlobReader,
  type BlobService,
  type ChunkMeta,
  SHORT_LENGTH,
} from "../../castore/blob_service.ts";
import { filesBelow, leavesFirst } from "../../castore/closure_contents.ts";
import { type Digest, formatDigest } from "../../castore/digest.ts";
import type { DirectoryService } from "../../castore/directory_service.ts";
import type { FileNode } from "../../castore/node.ts";
import { DamageError, MissingError } from "../../errors.ts";
import type { StorePath } from "../../nix/store_path.ts";
import type { PathInfo } from "../../store/path_info.ts";
import type { FirnUploads } from "./firn_uploads.ts";
import { RefusedError } from "./refused_error.ts";

/** Files that are asked about together, and bytes in them. */
const GROUP = 8192;
const GROUP_BYTES = 64 * 1024 * 1024;
/** Paths that are published together. */
const PATHS = 128;
/** Requests under way at once. */
const REQUESTS = 4;
/** How often the server may find that something is missing that it had. */
const ROUNDS = 3;

/** Where the contents of a path are read from. What is read has the digest that was asked for. */
export interface ContentSource {
  /** Chunks of files, and each chunk; and files of at most 128 KiB, which are a chunk. */
  readonly blobs: Pick<BlobService, "chunks"> & {
    open(digest: Digest): Promise<Pick<BlobReader, "bytes"> | undefined>;
  };
  readonly directories: Pick<DirectoryService, "getClosure">;
}

/** A path to be sent. */
export interface Outgoing {
  readonly storePath: StorePath;
  /** About as many bytes as its contents have: only for telling how far it is. */
  readonly narSize: number;
  /** What is claimed of it, and its contents. Asked if the server lacks it; two of them at once. */
  open(): Promise<Opened>;
}

export interface Opened {
  readonly info: PathInfo;
  readonly source: ContentSource;
}

/** What happens to a path. */
export type PushPhase = "asking" | "sending" | "verifying";

export interface PushOptions {
  readonly signal?: AbortSignal;
  /** Told what is done from now on, and to which path. */
  readonly enter?: (phase: PushPhase, path?: StorePath) => void;
  /** Told bytes of contents that the server has now; `shared`: it had them already. */
  readonly count?: (bytes: number, shared: boolean) => void;
  /** Told so many paths that the server has published now, or had. */
  readonly published?: (paths: number) => void;
}

export interface PushedPaths {
  readonly sent: readonly StorePath[];
  /** Paths that were there already. */
  readonly there: readonly StorePath[];
  /** Bytes of contents that were sent. */
  readonly bytes: number;
}

/** Sends paths, each given after those it refers to; one that is given twice is sent once. */
export async function pushPaths(
  given: readonly Outgoing[],
  uploads: FirnUploads,
  options: PushOptions = {},
): Promise<PushedPaths> {
  options.enter?.("asking");
  const byHashPart = new Map(given.map((path) => [path.storePath.hashPart, path]));
  const paths = [...byHashPart.values()];
  const lacking = new Set(await uploads.missingPaths([...byHashPart.keys()]));
  const there = paths.filter(({ storePath }) => !lacking.has(storePath.hashPart));
  for (const { narSize } of there) options.count?.(narSize, true);
  options.published?.(there.length);
  const push = new Push(uploads, options);
  const toSend = paths.filter(({ storePath }) => lacking.has(storePath.hashPart));
  for await (const opened of ahead(toSend, 2, (path) => path.open())) await push.add(opened);
  await push.publish();
  return { sent: push.published, there: there.map(({ storePath }) => storePath), bytes: push.bytes };
}

interface Sourced<T> {
  readonly item: T;
  readonly source: ContentSource;
}

class Push {
  bytes = 0;
  readonly published: StorePath[] = [];
  /** Paths whose files were looked at, and which are not published yet. */
  #waiting: Opened[] = [];
  #waitingBytes = 0;
  /** Files that were not asked about yet. */
  #files = new Map<string, Sourced<FileNode>>();
  #fileBytes = 0;

  constructor(readonly uploads: FirnUploads, readonly options: PushOptions) {}

  async add(opened: Opened): Promise<void> {
    const { info } = opened;
    this.options.enter?.("asking", info.storePath);
    await this.#gather(opened, true);
    this.#waiting.push(opened);
    this.#waitingBytes += info.narSize;
    if (this.#waitingBytes >= GROUP_BYTES || this.#waiting.length === PATHS) await this.publish();
  }

  /** Publishes the paths that wait for it, with all they are made of. */
  async publish(): Promise<void> {
    await this.#send(true);
    for (let round = 1; this.#waiting.length > 0; round++) {
      const before = this.bytes;
      try {
        await this.#writeDirectories();
        await this.#writeInfos();
      } catch (error) {
        if (!lacksSomething(error) || round === ROUNDS) throw error;
        for (const opened of this.#waiting) await this.#gather(opened, false);
        await this.#send(false);
        if (round > 1 && this.bytes === before) throw error;
      }
    }
    this.#waitingBytes = 0;
  }

  async #gather({ info, source }: Opened, first: boolean): Promise<void> {
    for await (const file of filesBelow(info.node, source.directories)) {
      this.options.signal?.throwIfAborted();
      const key = toHex(file.digest);
      if (this.#files.has(key)) continue;
      this.#files.set(key, { item: file, source });
      this.#fileBytes += file.size;
      if (this.#files.size >= GROUP || this.#fileBytes >= GROUP_BYTES) await this.#send(first);
    }
  }

  /** Sends what the server lacks of the gathered files. */
  async #send(first: boolean): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    this.#fileBytes = 0;
    for (let round = 1; files.length > 0; round++) {
      try {
        return await this.#sendFiles(files, first && round === 1);
      } catch (error) {
        if (!lacksSomething(error) || round === ROUNDS) throw error;
      }
    }
  }

  async #sendFiles(files: readonly Sourced<FileNode>[], first: boolean): Promise<void> {
    const lacking = await this.#lacking(files, first);
    const chunks = new Map<string, Sourced<ChunkMeta>>();
    const parts = new Map<string, Sourced<ChunkMeta>>();
    const long: { file: FileNode; chunks: readonly ChunkMeta[] }[] = [];
    for (const { item: file, source } of lacking) {
      const list = file.size <= SHORT_LENGTH ? [file] : await source.blobs.chunks(file.digest);
      if (!list) throw new MissingError("blob", formatDigest(file.digest));
      if (list.length > 1) long.push({ file, chunks: list });
      const into = list.length > 1 ? parts : chunks;
      for (const { digest, size } of list) into.set(toHex(digest), { item: { digest, size }, source });
    }
    // Blobs of one chunk were asked about already; chunks of longer ones were not.
    const asked = [...parts].filter(([key]) => !chunks.has(key)).map(([, part]) => part);
    const missing = await this.#lacking(asked, first);
    await this.#sendChunks([...chunks.values(), ...missing]);
    await together(long, async ({ file, chunks }) => await this.uploads.joinBlob(file.digest, chunks));
  }

  /** Those that the server lacks. @param first whether the others are to be counted */
  async #lacking<T extends ChunkMeta>(asked: readonly Sourced<T>[], first: boolean): Promise<Sourced<T>[]> {
    if (asked.length === 0) return [];
    const missing = await this.uploads.missingBlobs(asked.map(({ item }) => item.digest));
    const keys = new Set(missing.map(toHex));
    const [lacking, there]: [Sourced<T>[], Sourced<T>[]] = [[], []];
    for (const one of asked) (keys.has(toHex(one.item.digest)) ? lacking : there).push(one);
    if (first) { for (const { item } of there) this.options.count?.(item.size, true); }
    return lacking;
  }

  async #sendChunks(chunks: readonly Sourced<ChunkMeta>[]): Promise<void> {
    if (chunks.length === 0) return;
    this.options.enter?.("sending");
    const { uploads } = this;
    const sending = new Background(REQUESTS * uploads.bodyBytes);
    let held: Bytes[] = [];
    let contents = 0;
    let length = 0;
    const send = async () => {
      const [blobs, bytes, weight] = [held, contents, length];
      [held, contents, length] = [[], 0, 0];
      await sending.room(weight);
      const written = uploads.writeBlobs(blobs).then(() => {
        this.bytes += bytes;
        this.options.count?.(bytes, false);
      });
      sending.follow(weight, written);
    };
    try {
      for (const { item, source } of chunks) {
        this.options.signal?.throwIfAborted();
        if (!uploads.fits(length, item.size) && held.length > 0) await send();
        held.push(await readChunk(item, source));
        contents += item.size;
        length += uploads.weight(item.size);
      }
      if (held.length > 0) await send();
    } finally {
      await sending.idle();
    }
    sending.check();
  }

  async #writeDirectories(): Promise<void> {
    this.options.enter?.("sending");
    await together(this.#waiting, async ({ info: { node }, source }) => {
      if (node.type !== "directory") return;
      await this.uploads.writeClosure(await leavesFirst(node, source.directories));
    });
  }

  /** Publishes what waits, each after what it refers to. What was published waits no longer. */
  async #writeInfos(): Promise<void> {
    const slots = new Budget(REQUESTS);
    const publishing = new Map<string, Promise<void>>();
    const publish = async ({ info }: Opened, before: (Promise<void> | undefined)[]) => {
      await Promise.all(before);
      await slots.take(1);
      try {
        this.options.enter?.("verifying", info.storePath);
        await this.uploads.writePathInfo(info);
        this.published.push(info.storePath);
        this.options.published?.(1);
      } finally {
        slots.give(1);
      }
    };
    for (const opened of this.#waiting) {
      const { references, storePath } = opened.info;
      const before = references.map(({ hashPart }) => publishing.get(hashPart));
      publishing.set(storePath.hashPart, publish(opened, before));
    }
    const results = await Promise.allSettled(publishing.values());
    this.#waiting = this.#waiting.filter((_, i) => results[i].status === "rejected");
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }
}

/** Whether the server may have lost what it had, or was said to have. */
function lacksSomething(error: unknown): boolean {
  return error instanceof RefusedError && error.status === 400;
}

async function readChunk({ digest, size }: ChunkMeta, { blobs }: ContentSource): Promise<Bytes> {
  const blob = await blobs.open(digest);
  if (!blob) throw new MissingError("blob", formatDigest(digest));
  const bytes = await blob.bytes();
  if (bytes.length !== size) throw new DamageError("blob", formatDigest(digest));
  return bytes;
}

/** Does something for each, a few at once, and throws what the first that failed failed with. */
async function together<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const working = new Background(REQUESTS);
  try {
    for (const item of items) {
      await working.room(1);
      working.follow(1, work(item));
    }
  } finally {
    await working.idle();
  }
  working.check();
}
