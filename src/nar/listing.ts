/**
 * Listings: what a NAR holds, without its contents, as Nix's binary caches keep it in `<hash part>.ls`. JSON:
 *
 *   { "version": 1, "root": node }
 *   node := { "type": "directory", "entries": { name: node } }
 *         | { "type": "regular", "size": bytes, "executable": true (or absent), "narOffset": bytes (or absent) }
 *         | { "type": "symlink", "target": text }
 *
 * `narOffset` is where in the NAR the contents of a file begin. A listing is text: names and targets that are not
 * UTF-8 cannot stand in one. Unchecked: an object with one key twice (JSON keeps the last), and that sizes and
 * offsets are possible together.
 */
import { compare, fromText } from "../bytes/bytes.ts";
import { nameFault, targetFault } from "../bytes/names.ts";
import { FormatError, LimitError } from "../errors.ts";

/** A node of a listing. */
export type ListingNode = ListedDirectory | ListedFile | ListedSymlink;

export interface ListedDirectory {
  readonly type: "directory";
  /** By name, in any order. A map, because an object would move names such as `10` to the front. */
  readonly entries: ReadonlyMap<string, ListingNode>;
}

export interface ListedFile {
  readonly type: "regular";
  /** Bytes of its contents. */
  readonly size: number;
  readonly executable: boolean;
  /** Where in the NAR its contents begin, if known. */
  readonly narOffset?: number;
}

export interface ListedSymlink {
  readonly type: "symlink";
  readonly target: string;
}

/** What a NAR holds. */
export interface Listing {
  readonly root: ListingNode;
}

/** Most directories inside each other, as in `parser.ts`. */
const MAX_DEPTH = 4096;

/** Reads a listing. Throws {@link FormatError}, and {@link LimitError} for one nested too deep. */
export function parseListing(text: string): Listing {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FormatError("listing", "Cannot read NAR listing: it is not JSON", { cause });
  }
  const { version, root } = fields(value, "the listing", ["version", "root"]);
  if (version !== 1) throw wrong(`its version is ${JSON.stringify(version)}, want 1`);

  // A list of what is to be done, not recursion: deep listings would exhaust the stack.
  const top = new Map<string, ListingNode>();
  const todo = [{ into: top, name: "", value: root, depth: 0 }];
  for (const { into, name, value, depth } of todo) {
    const where = depth === 0 ? "the root" : JSON.stringify(name);
    const { type, ...rest } = fields(value, where);
    if (type !== "directory") {
      into.set(name, parseLeaf(type, rest, where));
      continue;
    }
    if (depth >= MAX_DEPTH) {
      const why = `over ${MAX_DEPTH} directories inside each other`;
      throw new LimitError(MAX_DEPTH, `Cannot read NAR listing: ${why}`);
    }
    const { entries } = fields(rest, where, ["entries"]);
    const nodes = new Map<string, ListingNode>();
    into.set(name, { type, entries: nodes });
    for (const [child, value] of Object.entries(fields(entries, `"entries" of ${where}`))) {
      const fault = textFault(child, nameFault);
      if (fault) throw wrong(`the name ${JSON.stringify(child)} is not allowed (${fault})`);
      todo.push({ into: nodes, name: child, value, depth: depth + 1 });
    }
  }
  return { root: top.get("")! };
}

function parseLeaf(type: unknown, rest: Record<string, unknown>, where: string): ListedFile | ListedSymlink {
  if (type === "regular") {
    const { size, executable = false, narOffset } = fields(rest, where, ["size", "executable", "narOffset"]);
    if (typeof executable !== "boolean") throw wrong(`"executable" of ${where} is not a boolean`);
    if (!isCount(size)) throw wrong(`"size" of ${where} is not a number of bytes`);
    if (narOffset === undefined) return { type, size, executable };
    if (!isCount(narOffset)) throw wrong(`"narOffset" of ${where} is not a number of bytes`);
    return { type, size, executable, narOffset };
  }
  if (type === "symlink") {
    const { target } = fields(rest, where, ["target"]);
    if (typeof target !== "string") throw wrong(`"target" of ${where} is not text`);
    const fault = textFault(target, targetFault);
    if (fault) throw wrong(`"target" of ${where} is not allowed (${fault})`);
    return { type, target };
  }
  throw wrong(`"type" of ${where} is ${JSON.stringify(type)}, want directory, regular or symlink`);
}

/** The value as an object, with no other keys than those, if they are given. */
function fields(value: unknown, where: string, keys?: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrong(`${where} is not an object`);
  }
  const unknown = keys && Object.keys(value).find((key) => !keys.includes(key));
  if (unknown !== undefined) throw wrong(`${where} has an unknown key ${JSON.stringify(unknown)}`);
  return value as Record<string, unknown>;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A text's fault by a rule for bytes. Half of a surrogate pair would silently become other bytes. */
function textFault(text: string, rule: (bytes: Uint8Array) => string | undefined): string | undefined {
  return text.isWellFormed() ? rule(fromText(text)) : "it is not well-formed Unicode";
}

function wrong(what: string): FormatError {
  return new FormatError("listing", `Cannot read NAR listing: ${what}`);
}

/** The text of a listing, on one line without its end, keys and names ordered as Nix 2.8 does. */
export function formatListing(listing: Listing): string {
  const parts = ['{"version":1,"root":'];
  const todo: (string | ListingNode)[] = ["}", listing.root];
  for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
    if (typeof next === "string") parts.push(next);
    else if (next.type !== "directory") parts.push(formatListedLeaf(next));
    else {
      parts.push('{"type":"directory","entries":{');
      todo.push("}}");
      // What is pushed last is done first, so from the last name to the first.
      sortedEntries(next).reverse().forEach(({ name, node }, i, { length }) => {
        todo.push(node, `${i === length - 1 ? "" : ","}${JSON.stringify(name)}:`);
      });
    }
  }
  return parts.join("");
}

function sortedEntries(directory: ListedDirectory): { name: string; node: ListingNode }[] {
  const entries = [...directory.entries].map(([name, node]) => ({ name, node, bytes: fromText(name) }));
  return entries.sort((a, b) => compare(a.bytes, b.bytes));
}

/** The text of a node that is no directory, as it stands in a listing. */
export function formatListedLeaf(node: ListedFile | ListedSymlink): string {
  if (node.type === "symlink") return `{"type":"symlink","target":${JSON.stringify(node.target)}}`;
  const executable = node.executable ? ',"executable":true' : "";
  const narOffset = node.narOffset === undefined ? "" : `,"narOffset":${node.narOffset}`;
  return `{"type":"regular","size":${node.size}${executable}${narOffset}}`;
}

/**
 * The node at a path from the root, such as `bin/sh`; the empty path is the root. `undefined`: there is none, also
 * below a file or symlink (which is not followed). Throws {@link FormatError} for a path that is absolute or has an
 * empty, `.` or `..` part.
 */
export function locate(listing: Listing, path: string): ListingNode | undefined {
  let node: ListingNode | undefined = listing.root;
  if (path === "") return node;
  const parts = path.split("/");
  for (const part of parts) {
    const fault = textFault(part, nameFault);
    if (fault) {
      throw new FormatError(
        "path",
        `Cannot look up the path ${JSON.stringify(path)}: a part is not a name (${fault})`,
      );
    }
  }
  for (const part of parts) node = node?.type === "directory" ? node.entries.get(part) : undefined;
  return node;
}
