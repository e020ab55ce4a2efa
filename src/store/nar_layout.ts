/**
 * Where everything of a NAR lies, without rendering it. Sizes of all Directories' archives are worked out once; any
 * stretch of the NAR is then found by walking down to it. So a NAR has a length before a blob was read, reading
 * starts anywhere, and memory is that of the distinct Directories, however often they stand in the tree. They are kept
 * encoded, which takes a fifth of the memory, and decoded one at a time on the way.
 */
import { type Bytes, EMPTY, toText } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { quoteName } from "../bytes/names.ts";
import { formatDigest } from "../castore/digest.ts";
import type { DirectoryItem } from "../castore/directory.ts";
import type { DirectoryService } from "../castore/directory_service.ts";
import type { DirectoryNode, FileNode, Node, SymlinkNode } from "../castore/node.ts";
import { directoryItems } from "../castore/read_directory.ts";
import { FormatError, LimitError, MissingError } from "../errors.ts";
import { formatListedLeaf, type ListedFile, type ListedSymlink } from "../nar/listing.ts";
import {
  DIRECTORY_END,
  DIRECTORY_START,
  ENTRY_END,
  entryStartLength,
  fileEndLength,
  fileStartLength,
  NAR_START,
  symlinkLength,
  writeBytes,
  writeEntryStart,
  writeFileEnd,
  writeFileStart,
  writeSymlink,
} from "../nar/wire.ts";

/** Most folders inside each other. */
const MAX_DEPTH = 4096;
/** A short stretch of an archive needs one buffer of this length. */
const LITERAL_FIRST = 512;
/** Most nodes in a listing. */
const MAX_LISTED = 4_000_000;
/** Words of the archive are handed out in pieces of about this length. */
const LITERAL = 32 * 1024;
/** Longest words around one node: a symlink in a folder. */
const LITERAL_ROOM = 8 * 1024;
/** Memory of a folder besides its encoded Directory, about. */
const FOLDER_WEIGHT = 400;

/** A stretch of a NAR: words of the archive, or bytes `start` to `end` (not included) of a file. */
export type Segment =
  | { readonly type: "literal"; readonly bytes: Bytes }
  | { readonly type: "blob"; readonly file: FileNode; readonly start: number; readonly end: number };

/**
 * Lays out the NAR of a root node. Throws {@link MissingError} if a Directory is not stored, {@link LimitError} for a
 * tree of more than 4096 folders inside each other or an archive of 2^53 bytes and more.
 */
export async function narLayout(root: Node, directories: DirectoryService): Promise<NarLayout> {
  const closure = new Map<string, Bytes>();
  if (root.type === "directory") {
    for await (const { digest, encoded } of directories.getClosure(root.digest)) {
      closure.set(toHex(digest), encoded);
    }
    if (closure.size === 0) throw new MissingError("directory", formatDigest(root.digest));
  }
  return new NarLayout(root, closure);
}

interface Folder {
  readonly encoded: Bytes;
  /** Length of the folder's node in the archive. */
  readonly length: number;
  /** Folders inside each other, this one included. */
  readonly height: number;
  /** Nodes in it, itself included; one that stands there twice counts twice. */
  readonly nodes: number;
}

/** A folder on the way down, and how far the walk is in it. */
interface Step {
  readonly items: Iterator<DirectoryItem, void, void>;
  /** Whether an entry was begun and not ended. */
  open: boolean;
}

/** A NAR laid out. */
export class NarLayout {
  /** Length of the NAR in bytes. */
  readonly size: number;
  /** Memory held, in bytes, about. */
  readonly weight: number;
  #root: Node;
  #folders = new Map<string, Folder>();

  /** @param closure every Directory from the root down, encoded, by its digest in hex */
  constructor(root: Node, closure: ReadonlyMap<string, Bytes>) {
    this.#root = root;
    if (root.type === "directory") this.#measure(toHex(root.digest), closure);
    this.size = NAR_START.length + this.#nodeLength(root);
    if (this.size > Number.MAX_SAFE_INTEGER) {
      throw new LimitError(Number.MAX_SAFE_INTEGER, "Cannot lay out the NAR: it has 2^53 bytes or more");
    }
    let weight = 1000;
    for (const encoded of closure.values()) weight += encoded.length + FOLDER_WEIGHT;
    this.weight = weight;
  }

  /** The stretches that make up bytes `start` to `end` (not included; clamped), in order. */
  *segments(start = 0, end: number = this.size): Generator<Segment, void, void> {
    const cut = new Cut(start, Math.min(end, this.size));
    const steps: Step[] = [];
    cut.write(NAR_START.length, (buffer, at) => writeBytes(buffer, at, NAR_START));
    yield* this.#enter(this.#root, cut, steps);
    while (steps.length > 0 && !cut.done) {
      const step = steps[steps.length - 1];
      if (step.open) {
        cut.write(ENTRY_END.length, (buffer, at) => writeBytes(buffer, at, ENTRY_END));
        step.open = false;
      }
      const { done, value: item } = step.items.next();
      if (done) {
        cut.write(DIRECTORY_END.length, (buffer, at) => writeBytes(buffer, at, DIRECTORY_END));
        steps.pop();
        continue;
      }
      const { name, node } = item;
      if (cut.skip(this.#entryLength(name, node))) continue;
      cut.write(entryStartLength(name.length), (buffer, at) => writeEntryStart(buffer, at, name));
      step.open = true;
      if (cut.full) yield* cut.drain();
      yield* this.#enter(node, cut, steps);
    }
    yield* cut.drain();
  }

  /** The words and contents of a node, of a folder only what it begins with. */
  *#enter(node: Node, cut: Cut, steps: Step[]): Generator<Segment, void, void> {
    if (node.type === "directory") {
      cut.write(DIRECTORY_START.length, (buffer, at) => writeBytes(buffer, at, DIRECTORY_START));
      steps.push({ items: this.#itemsOf(node), open: false });
    } else if (node.type === "symlink") {
      const { target } = node;
      cut.write(symlinkLength(target.length), (buffer, at) => writeSymlink(buffer, at, target));
    } else {
      const { executable, size } = node;
      cut.write(fileStartLength(executable), (buffer, at) => writeFileStart(buffer, at, executable, size));
      const part = cut.contents(size);
      if (part) {
        yield* cut.drain();
        yield { type: "blob", file: node, start: part.start, end: part.end };
      }
      cut.write(fileEndLength(size), (buffer, at) => writeFileEnd(buffer, at, size));
    }
  }

  /**
   * The listing as Nix writes it, with the offset of each file's contents in the NAR: JSON, piece by piece. Throws
   * {@link FormatError} for names and targets that are not UTF-8, which a listing cannot hold, and {@link LimitError} for
   * over 4,000,000 nodes: few Directories that hold each other can stand for more than anybody could read.
   */
  *listing(): Generator<string, void, void> {
    const { nodes } = this.#root.type === "directory"
      ? this.#folders.get(toHex(this.#root.digest))!
      : { nodes: 1 };
    if (nodes > MAX_LISTED) {
      throw new LimitError(MAX_LISTED, `Cannot list the NAR: it has over ${MAX_LISTED} nodes`);
    }
    yield '{"version":1,"root":';
    yield* this.#list(this.#root, NAR_START.length);
    yield "}";
  }

  /** @param at where the root begins in the NAR */
  *#list(root: Node, at: number): Generator<string, void, void> {
    const steps: Step[] = [];
    let node: Node | undefined = root;
    while (true) {
      if (node?.type === "directory") {
        yield '{"type":"directory","entries":{';
        at += DIRECTORY_START.length;
        steps.push({ items: this.#itemsOf(node), open: false });
      } else if (node) {
        yield formatListedLeaf(leaf(node, at));
        at += this.#nodeLength(node);
      }
      const step = steps[steps.length - 1];
      if (!step) return;
      if (step.open) at += ENTRY_END.length;
      const item: DirectoryItem | undefined = step.items.next().value ?? undefined;
      if (item) {
        yield `${step.open ? "," : ""}${JSON.stringify(listed(item.name))}:`;
        at += entryStartLength(item.name.length);
        step.open = true;
      } else {
        yield "}}";
        at += DIRECTORY_END.length;
        steps.pop();
      }
      node = item?.node;
    }
  }

  #itemsOf(node: DirectoryNode): Generator<DirectoryItem, void, void> {
    return directoryItems(this.#folders.get(toHex(node.digest))!.encoded);
  }

  /** Works out the folders below a Directory, those that lie deepest first. */
  #measure(root: string, closure: ReadonlyMap<string, Bytes>): void {
    const todo = [root];
    while (todo.length > 0) {
      const key = todo[todo.length - 1];
      if (this.#folders.has(key)) {
        todo.pop();
        continue;
      }
      const encoded = closure.get(key)!;
      const before = todo.length;
      for (const { node } of directoryItems(encoded)) {
        if (node.type !== "directory") continue;
        const below = toHex(node.digest);
        if (!this.#folders.has(below)) todo.push(below);
      }
      if (todo.length > before) continue;
      todo.pop();
      this.#folders.set(key, this.#folderOf(encoded));
    }
  }

  #folderOf(encoded: Bytes): Folder {
    let length = DIRECTORY_START.length + DIRECTORY_END.length;
    let height = 1;
    let nodes = 1;
    for (const { name, node } of directoryItems(encoded)) {
      length += this.#entryLength(name, node);
      const folder = node.type === "directory" ? this.#folders.get(toHex(node.digest))! : undefined;
      nodes += folder?.nodes ?? 1;
      height = Math.max(height, 1 + (folder?.height ?? 0));
    }
    if (height > MAX_DEPTH) {
      throw new LimitError(MAX_DEPTH, `Cannot lay out the NAR: over ${MAX_DEPTH} folders inside each other`);
    }
    return { encoded, length, height, nodes };
  }

  #entryLength(name: Bytes, node: Node): number {
    return entryStartLength(name.length) + this.#nodeLength(node) + ENTRY_END.length;
  }

  #nodeLength(node: Node): number {
    if (node.type === "file") return fileStartLength(node.executable) + node.size + fileEndLength(node.size);
    if (node.type === "symlink") return symlinkLength(node.target.length);
    return this.#folders.get(toHex(node.digest))!.length;
  }
}

/** Gathers words of an archive, of which only the bytes `start` to `end` are wanted. */
class Cut {
  /** Offset in the archive of what comes next. */
  at = 0;
  #start: number;
  #end: number;
  #buffer: Bytes = EMPTY;
  /** Where in the buffer what was handed out ends, and what was gathered since. Many short stretches share a buffer. */
  #drained = 0;
  #filled = 0;
  /** Offset in the archive of what was not handed out. */
  #drainedAt = 0;

  constructor(start: number, end: number) {
    this.#start = start;
    this.#end = end;
  }

  /** Whether all that is wanted was passed. */
  get done(): boolean {
    return this.at >= this.#end;
  }

  /** Whether it is time to hand out what was gathered. */
  get full(): boolean {
    return this.#filled - this.#drained >= LITERAL;
  }

  /** Passes over so many bytes if none of them is wanted. */
  skip(length: number): boolean {
    if (this.at + length > this.#start) return false;
    this.at += length;
    return true;
  }

  /** The next `length` bytes are words, which `write` puts into a buffer at an offset. */
  write(length: number, write: (buffer: Bytes, at: number) => void): void {
    if (this.done || this.skip(length)) return;
    if (this.#filled === this.#drained) this.#drainedAt = this.at;
    if (this.#filled + length > this.#buffer.length) {
      const gathered = this.#buffer.subarray(this.#drained, this.#filled);
      const room = this.#buffer === EMPTY ? LITERAL_FIRST : LITERAL + LITERAL_ROOM;
      this.#buffer = new Uint8Array(Math.max(room, gathered.length + length));
      this.#buffer.set(gathered);
      this.#drained = 0;
      this.#filled = gathered.length;
    }
    write(this.#buffer, this.#filled);
    this.#filled += length;
    this.at += length;
  }

  /** The next `size` bytes are the contents of a file: which of them are wanted, if any. */
  contents(size: number): { start: number; end: number } | undefined {
    const start = Math.max(0, this.#start - this.at);
    const end = Math.min(size, this.#end - this.at);
    this.at += size;
    return start < end ? { start, end } : undefined;
  }

  /** Hands out the words gathered so far. */
  *drain(): Generator<Segment, void, void> {
    const moved = this.#drained - this.#drainedAt;
    const start = Math.max(this.#drained, this.#start + moved);
    const end = Math.min(this.#filled, this.#end + moved);
    if (start < end) yield { type: "literal", bytes: this.#buffer.subarray(start, end) };
    this.#drained = this.#filled;
  }
}

function leaf(node: FileNode | SymlinkNode, at: number): ListedFile | ListedSymlink {
  if (node.type === "symlink") return { type: "symlink", target: listed(node.target) };
  const { size, executable } = node;
  return { type: "regular", size, executable, narOffset: at + fileStartLength(executable) };
}

function listed(bytes: Bytes): string {
  try {
    return toText(bytes);
  } catch (cause) {
    throw new FormatError(
      "listing",
      `Cannot list ${quoteName(bytes)}: a listing is text, and it is not UTF-8`,
      { cause },
    );
  }
}
