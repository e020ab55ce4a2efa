/**
 * NAR → castore: an archive comes in as a stream, its files become blobs and its folders Directories.
 *
 * One pass: each piece is hashed, scanned for references and parsed. Files under 1 MiB are stored in the
 * background while parsing goes on, many at a time, with a bound on their bytes; short ones that lie in one piece, together; longer
 * ones are streamed. A Directory is stored as soon as all below it is. Contents are passed on as views of the source's pieces, which it may use again:
 * nothing is allocated for a piece, so memory stays flat however fast a NAR comes.
 */
import { Budget } from "../bytes/budget.ts";
import { type Bytes, EMPTY } from "../bytes/bytes.ts";
import { Channel } from "../bytes/channel.ts";
import { type ByteSource, iterate } from "../bytes/streams.ts";
import { type BlobService, SHORT_LENGTH } from "../castore/blob_service.ts";
import {
  type Directory,
  directoryDigest,
  type DirectoryItem,
  directoryOf,
  directorySize,
  type SizeRule,
} from "../castore/directory.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import type { Node } from "../castore/node.ts";
import { LimitError } from "../errors.ts";
import type { HashProvider } from "../hash/hasher.ts";
import { type NarLimits, NarParser, type NarToken } from "../nar/reader.ts";
import { ReferenceScanner } from "../nix/references.ts";

/** Files of fewer bytes are stored in the background. */
const SMALL = 1024 * 1024;
/** Bytes of small files that may be on their way to the store at once. */
const IN_FLIGHT = 128 * 1024 * 1024;
/** What a small file counts at least: an empty one is on its way too. */
const LEAST_WEIGHT = 4096;
/** Bytes of short files, and how many of them, that are stored together. */
const TOGETHER = 512 * 1024, MOST_TOGETHER = 512;
/** Bytes of a long file that may wait for the store. */
const STREAM_WINDOW = 2 * 1024 * 1024;

export interface IngestOptions extends NarLimits {
  readonly blobs: Pick<BlobService, "put" | "putAll" | "hurry">;
  readonly directories: Pick<DirectoryService, "putClosure">;
  readonly hashes: HashProvider;
  /** Which sizes Directories get; default `documented`. */
  readonly sizes?: SizeRule;
  /** Longest NAR in bytes; default no bound. */
  readonly maxNarSize?: number;
  /** Bounds the bytes of small files in flight, of this NAR and others it is shared with; default 128 MiB for this one. */
  readonly budget?: Budget;
  /** Told the NAR bytes read so far, once a piece. */
  readonly onProgress?: (narBytes: number) => void;
}

/** What became of a NAR. */
export interface IngestedNar {
  /** The root node, of which nothing refers to yet. */
  readonly node: Node;
  readonly narSize: number;
  readonly narSha256: Bytes;
  /** Hash parts of store paths found in the archive; `overflowed`: there were more than are kept. */
  readonly found: ReadonlySet<string>;
  readonly overflowed: boolean;
}

/**
 * Stores the contents of a NAR. Resolves when all of it is durable. Throws `FormatError` for an archive that is not
 * strictly one NAR (also for bytes after its end), `LimitError` past a bound, and whatever the source or the store
 * throws; then blobs and Directories may have been stored, which nothing refers to. Each piece of the source needs to be
 * valid only until the next is asked for.
 */
export async function ingestNar(source: ByteSource, options: IngestOptions): Promise<IngestedNar> {
  const sha256 = await options.hashes.create("sha256");
  const scanner = new ReferenceScanner();
  const parser = new NarParser(options);
  const tree = new TreeBuilder(options);
  const limit = options.maxNarSize ?? Infinity;
  let narSize = 0;
  try {
    for await (const piece of iterate(source)) {
      narSize += piece.length;
      if (narSize > limit) {
        throw new LimitError(limit, `Cannot take the NAR: it is longer than ${limit} bytes`);
      }
      sha256.update(piece);
      scanner.update(piece);
      parser.feed(piece);
      for (let token = parser.next(); token; token = parser.next()) {
        const wait = tree.take(token);
        if (wait) await wait;
      }
      const done = tree.endPiece();
      if (done) await done;
      options.onProgress?.(narSize);
    }
    parser.finish();
    const node = await tree.finish();
    return {
      node,
      narSize,
      narSha256: sha256.digest(),
      found: scanner.found,
      overflowed: scanner.overflowed,
    };
  } catch (error) {
    await tree.abandon(error);
    throw error;
  }
}

/** A folder whose entries are still coming, or still being stored. */
interface Frame {
  readonly name: Bytes;
  readonly parent: Frame | undefined;
  readonly items: DirectoryItem[];
  /** Children that have no node yet, plus one while the folder is open. */
  waiting: number;
}

/** A short file being gathered. */
interface ShortFile {
  readonly name: Bytes;
  readonly size: number;
  readonly executable: boolean;
  bytes: Bytes | undefined;
  /** Whether `bytes` is a view of the source's piece. */
  borrowed: boolean;
  filled: number;
}

/** A short file that is all there, in the source's piece, and the folder it is in. */
interface WholeFile {
  readonly frame: Frame | undefined;
  readonly name: Bytes;
  readonly executable: boolean;
  readonly bytes: Bytes;
}

/** Builds the tree from the tokens of a NAR, storing as it goes. */
class TreeBuilder {
  #options: IngestOptions;
  #budget: Budget;
  #frame: Frame | undefined;
  #short: ShortFile | undefined;
  /** What is to be stored together, and its bytes. */
  #whole: WholeFile[] = [];
  #wholeBytes = 0;
  #scratch: Bytes | undefined;
  /** The long file on its way to the store. */
  #long: Channel<Bytes> | undefined;
  #root: Node | undefined;
  #failure: { error: unknown } | undefined;
  /** Blobs that are being stored. */
  #underWay = 0;
  /** Called when something that was waited for may have come: nothing is under way, or something failed. */
  #wake: (() => void) | undefined;
  #directories = new Channel<Directory>(Infinity);
  #closure: Promise<void> | undefined;

  constructor(options: IngestOptions) {
    this.#options = options;
    this.#budget = options.budget ?? new Budget(IN_FLIGHT);
  }

  /** Takes the next token. Returns a promise to wait for when too much is under way. */
  take(token: NarToken): Promise<void> | undefined {
    this.#check();
    switch (token.type) {
      case "directory":
        if (this.#frame) this.#frame.waiting++;
        this.#frame = { name: token.name, parent: this.#frame, items: [], waiting: 1 };
        return;
      case "symlink":
        this.#add(this.#frame, token.name, { type: "symlink", target: token.target });
        return;
      case "file":
        if (token.size < SMALL) {
          this.#short = {
            name: token.name,
            size: token.size,
            executable: token.executable,
            bytes: undefined,
            borrowed: false,
            filled: 0,
          };
        } else this.#startLong(token.name, token.size, token.executable);
        return;
      case "data":
        if (this.#long) return this.#long.push(token.bytes, token.bytes.length);
        this.#gather(this.#short!, token.bytes);
        return;
      case "end":
        if (this.#long) return this.#endLong();
        else if (this.#short) return this.#endShort();
        else this.#endFolder();
    }
  }

  /** The piece the last tokens are views of will not last: keeps what is still needed of it, or waits for who reads it. */
  endPiece(): Promise<void> | undefined {
    if (this.#short?.borrowed) {
      this.#short.bytes = this.#scratchFor(this.#short, this.#short.bytes!);
      this.#short.borrowed = false;
    }
    const stored = this.#storeWhole();
    const drained = this.#long?.drained();
    return stored && drained ? stored.then(() => drained) : stored ?? drained;
  }

  /** Waits for all that is under way and returns the root node. */
  async finish(): Promise<Node> {
    const calm = this.#options.blobs.hurry?.();
    try {
      while (this.#underWay > 0 && !this.#failure) await this.#change();
      this.#check();
      this.#directories.close();
      await this.#closure;
      this.#check();
      return this.#root!;
    } finally {
      calm?.();
    }
  }

  /** Gives up: waits until nothing is under way any more. */
  async abandon(error: unknown): Promise<void> {
    this.#failure ??= { error };
    this.#long?.fail(error);
    this.#directories.fail(error);
    while (this.#underWay > 0) await this.#change();
    await this.#closure;
  }

  #check(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #change(): Promise<void> {
    return new Promise((wake) => this.#wake = wake);
  }

  #gather(file: ShortFile, bytes: Bytes): void {
    if (bytes.length === file.size) {
      file.bytes = bytes; // all of it in one piece: no copy, if the file ends there too
      file.borrowed = true;
      return;
    }
    file.bytes = this.#scratchFor(file, bytes);
    file.filled += bytes.length;
  }

  /** The one buffer short files are put together in: a blob is read before its `put` returns, so one serves all. */
  #scratchFor(file: ShortFile, bytes: Bytes): Bytes {
    this.#scratch ??= new Uint8Array(SMALL);
    this.#scratch.set(bytes, file.filled);
    return this.#scratch.subarray(0, file.size);
  }

  #endShort(): Promise<void> | undefined {
    const { name, size, executable, bytes = EMPTY, borrowed } = this.#short!;
    const frame = this.#frame;
    this.#short = undefined;
    if (frame) frame.waiting++;
    const { blobs } = this.#options;
    if (blobs.putAll && size <= SHORT_LENGTH && (borrowed || size === 0)) {
      const full = this.#wholeBytes + size > TOGETHER || this.#whole.length === MOST_TOGETHER;
      const stored = full ? this.#storeWhole() : undefined;
      this.#whole.push({ frame, name, executable, bytes });
      this.#wholeBytes += size;
      return stored;
    }
    const weight = Math.max(size, LEAST_WEIGHT);
    return this.#withRoom(weight, () =>
      this.#watch(blobs.put(bytes), weight, (blob) => {
        this.#settle(frame, name, { type: "file", digest: blob.digest, size, executable });
      }));
  }

  /** Begins to store the files that wait for it together. Returns a promise to wait for when too much is under way. */
  #storeWhole(): Promise<void> | undefined {
    const files = this.#whole;
    if (files.length === 0) return undefined;
    const weight = Math.max(this.#wholeBytes, LEAST_WEIGHT * files.length);
    this.#whole = [];
    this.#wholeBytes = 0;
    return this.#withRoom(weight, () => {
      const putting = this.#options.blobs.putAll!(files.map(({ bytes }) => bytes));
      this.#watch(putting, weight, (stored) => {
        files.forEach(({ frame, name, executable }, i) => {
          const { digest, size } = stored[i];
          this.#settle(frame, name, { type: "file", digest, size, executable });
        });
      });
    });
  }

  /** Begins something when there is room for it, which may be now. */
  #withRoom(weight: number, begin: () => void): Promise<void> | undefined {
    const wait = this.#budget.take(weight);
    if (wait) return wait.then(begin);
    begin();
    return undefined;
  }

  #startLong(name: Bytes, size: number, executable: boolean): void {
    const frame = this.#frame;
    if (frame) frame.waiting++;
    const channel = new Channel<Bytes>(STREAM_WINDOW);
    this.#long = channel;
    this.#watch(this.#options.blobs.put(channel), 0, (blob) => {
      this.#settle(frame, name, { type: "file", digest: blob.digest, size, executable });
    });
  }

  #endLong(): Promise<void> | undefined {
    const channel = this.#long!;
    this.#long = undefined;
    const drained = channel.drained();
    channel.close();
    return drained;
  }

  /** Follows what is being stored, in the background. */
  #watch<T>(putting: Promise<T>, weight: number, stored: (blobs: T) => void): void {
    this.#underWay++;
    const ended = () => {
      if (weight) this.#budget.give(weight);
      if (--this.#underWay === 0 || this.#failure) this.#wake?.();
    };
    const failed = (error: unknown) => {
      this.#failure ??= { error };
      this.#long?.fail(error);
      ended();
    };
    putting.then((blob) => {
      try {
        stored(blob);
      } catch (error) {
        return failed(error);
      }
      ended();
    }, failed);
  }

  #endFolder(): void {
    const frame = this.#frame!;
    this.#frame = frame.parent;
    this.#release(frame);
  }

  /** A child that was waited for has its node now. */
  #settle(frame: Frame | undefined, name: Bytes, node: Node): void {
    this.#add(frame, name, node);
    if (frame) this.#release(frame);
  }

  #add(frame: Frame | undefined, name: Bytes, node: Node): void {
    if (frame) frame.items.push({ name, node });
    else this.#root = node;
  }

  /** One thing less that a folder waits for; if it was the last, the folder is stored, and its own folder waits for less. */
  #release(frame: Frame): void {
    for (let at: Frame | undefined = frame; at && --at.waiting === 0 && !this.#failure; at = at.parent) {
      this.#add(at.parent, at.name, this.#storeFolder(at));
    }
  }

  #storeFolder({ items }: Frame): Node {
    const directory = directoryOf(items);
    this.#closure ??= this.#options.directories.putClosure(this.#directories).then(() => {}, (error) => {
      this.#failure ??= { error };
    });
    this.#directories.push(directory);
    return {
      type: "directory",
      digest: directoryDigest(directory),
      size: directorySize(directory, this.#options.sizes ?? "documented"),
    };
  }
}
