/**
 * A file or folder as the tokens of the archive that Nix makes of it: names in the order of their bytes, of a file whether its owner
 * may execute it, of a link its target. Nothing else of it is looked at.
 *
 * Deno tells names and targets as strings, and what is no UTF-8 in them as U+FFFD. Where one holds that, the shell is asked
 * (`raw_names.ts`).
 */
import { type Bytes, compare, EMPTY, fromText } from "../../bytes/bytes.ts";
import { quoteName } from "../../bytes/names.ts";
import { FormatError, UnreadableError } from "../../errors.ts";
import type { NarToken } from "../../nar/parser.ts";
import type { RawNames } from "./raw_names.ts";

/** Milliseconds after which others have their turn. */
const TURN_MS = 20;
/** Bytes read at a time. */
const PIECE = 1024 * 1024;

/** What is in a folder. */
export interface TreeEntry {
  readonly name: Bytes;
  /** A path under which it can be opened. */
  readonly path: string;
  readonly type: "file" | "directory" | "symlink" | "other";
  /** Of a symlink, where it has been told. */
  readonly target?: Bytes;
}

export interface TreeOptions {
  readonly rawNames: RawNames;
  /** Told the path under which each file can be opened, in the order of their tokens. */
  readonly file?: (path: string) => void;
}

/**
 * The tokens of what is at a path, which must be absolute and may itself be a link. Throws {@link UnreadableError} for what the system does not let be read, and
 * `FormatError` for sockets, devices and the like, and for a file whose length changes while it is read.
 */
export async function* readTree(path: string, options: TreeOptions): AsyncGenerator<NarToken, void, void> {
  const open: Iterator<TreeEntry>[] = [];
  let turn = performance.now();
  let next: TreeEntry | undefined = { name: EMPTY, path, type: typeOf(at(path, () => Deno.lstatSync(path))) };
  while (next || open.length > 0) {
    if (!next) {
      yield { type: "end" };
      open.pop();
    } else if (next.type === "directory") {
      yield { type: "directory", name: next.name };
      open.push((await entriesOf(next.path, options.rawNames))[Symbol.iterator]());
    } else if (next.type === "symlink") {
      yield { type: "symlink", name: next.name, target: await targetOf(next, options.rawNames) };
    } else if (next.type === "file") {
      options.file?.(next.path);
      yield* readFile(next);
    } else {
      throw new FormatError(
        "folder",
        `Cannot take ${next.path}: it is no file, folder or symlink, and a store path has nothing else`,
      );
    }
    if (open.length === 0) return;
    if (performance.now() - turn > TURN_MS) {
      await new Promise((resolve) => setTimeout(resolve, 0)); // thousands of short files are read without waiting for any
      turn = performance.now();
    }
    next = open[open.length - 1].next().value;
  }
}

async function entriesOf(path: string, rawNames: RawNames): Promise<TreeEntry[]> {
  const entries: TreeEntry[] = [];
  const found = at(path, () => [...Deno.readDirSync(path)]);
  for (const entry of found) {
    if (entry.name.includes("\ufffd")) return await rawNames.list(path, found.length);
    entries.push({ name: fromText(entry.name), path: `${path}/${entry.name}`, type: typeOf(entry) });
  }
  return entries.sort((a, b) => compare(a.name, b.name));
}

function typeOf(found: Pick<Deno.DirEntry, "isFile" | "isDirectory" | "isSymlink">): TreeEntry["type"] {
  return found.isSymlink ? "symlink" : found.isDirectory ? "directory" : found.isFile ? "file" : "other";
}

async function targetOf({ path, target }: TreeEntry, rawNames: RawNames): Promise<Bytes> {
  if (target) return target;
  const text = at(path, () => {
    try {
      return Deno.readLinkSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.InvalidData) return undefined; // it is no UTF-8
      throw error;
    }
  });
  return text === undefined || text.includes("\ufffd") ? await rawNames.target(path) : fromText(text);
}

async function* readFile({ name, path }: TreeEntry): AsyncGenerator<NarToken, void, void> {
  using file = at(path, () => Deno.openSync(path));
  const { size, mode, isFile } = file.statSync();
  if (!isFile) throw changed(path, "it is no file any more");
  yield { type: "file", name, size, executable: ((mode ?? 0) & 0o100) !== 0 };
  const buffer = new Uint8Array(Math.min(size + 1, PIECE)); // one more, to see the end
  let read = 0;
  while (true) {
    // A short file at once, for waiting takes longer than it does; of a long one a piece at a time, so that others have their turn.
    const length = size < PIECE
      ? at(path, () => file.readSync(buffer))
      : await file.read(buffer).catch((cause) => fail(path, cause));
    if (length === null) break;
    read += length;
    if (read > size) throw changed(path, `it has over ${size} bytes, which it had`);
    yield { type: "data", bytes: buffer.subarray(0, length) };
  }
  if (read < size) throw changed(path, `it has ${read} bytes, and had ${size}`);
  yield { type: "end" };
}

function changed(path: string, how: string): FormatError {
  return new FormatError("folder", `Cannot take ${path}: it changed while it was read (${how})`);
}

/** What the system says of a path, and of which. */
function at<T>(path: string, ask: () => T): T {
  try {
    return ask();
  } catch (cause) {
    fail(path, cause);
  }
}

function fail(path: string, cause: unknown): never {
  const why = (cause as Error).message.replace(/: [a-z]+ '.*'$/s, "");
  throw new UnreadableError(`Cannot read ${quoteName(fromText(path)).slice(1, -1)}: ${why}`, { cause });
}
