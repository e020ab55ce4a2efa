/**
 * Searching the names in a path. Folders are read one after the other, and hits are told as they are found.
 */
import type { Digest } from "../../src/castore/digest.ts";
import type { Node } from "../../src/castore/node.ts";
import type { SearchEnd, SearchHit, SearchOptions } from "./engine.ts";
import type { Folders } from "./folders.ts";
import type { Job } from "./job.ts";
import { below, nameText } from "./path_text.ts";

const MOST_HITS = 10_000;
/** Most names looked at: few Directories that hold each other can stand for more than anybody could read. */
const MOST_LOOKED = 10_000_000;
/** Hits are told when there are so many, or after so many milliseconds. */
const BATCH = 1000;
const PAUSE = 100;
/** How long the search may keep everybody else waiting, in milliseconds. */
const TURN = 20;

/** Searches all names below a node. A hit is a thing whose path matches; its folder's size is not looked up. */
export async function searchNames(
  root: Node,
  text: string,
  options: SearchOptions,
  folders: Folders,
  job: Job,
  found: (hits: readonly SearchHit[]) => void,
): Promise<SearchEnd> {
  const limit = Math.min(options.limit ?? MOST_HITS, MOST_HITS);
  const matches = matcher(text, options.matchCase ?? false);
  const end = { hits: 0, more: false, looked: 0 };
  const todo: { digest: Digest; path: string }[] = root.type === "directory"
    ? [{ digest: root.digest, path: "" }]
    : [];
  let batch: SearchHit[] = [];
  let told = performance.now();
  let turned = told;
  const tell = () => {
    if (batch.length > 0) found(batch);
    batch = [];
    told = performance.now();
  };
  search: for (let folder = todo.pop(); folder; folder = todo.pop()) {
    job.signal.throwIfAborted();
    const inside: typeof todo = [];
    for (const item of await folders.items(folder.digest)) {
      const file = below(folder.path, nameText(item.name));
      end.looked++;
      if (item.node.type === "directory") inside.push({ digest: item.node.digest, path: file });
      if (end.looked % 256 === 0 && performance.now() - turned > TURN) {
        await new Promise((resolve) => setTimeout(resolve));
        job.signal.throwIfAborted();
        turned = performance.now();
        if (turned - told > PAUSE) tell();
      }
      if (end.looked < MOST_LOOKED && !matches(file)) continue;
      if (end.hits === limit || end.looked >= MOST_LOOKED) {
        end.more = true;
        break search;
      }
      end.hits++;
      batch.push({
        file,
        item: await folders.item(item.node.type === "directory" ? unmeasured(item) : item),
      });
      if (batch.length >= BATCH || performance.now() - told > PAUSE) tell();
    }
    todo.push(...inside.reverse());
  }
  tell();
  return end;
}

/** A folder whose size nobody counts. */
function unmeasured<T extends { name: Uint8Array; node: Node }>(
  { name, node }: T,
): { name: Uint8Array; node: Node } {
  return { name, node: node.type === "directory" ? { ...node, size: (1n << 64n) - 1n } : node };
}

function matcher(text: string, matchCase: boolean): (path: string) => boolean {
  const fold = matchCase ? (path: string) => path : (path: string) => path.toLowerCase();
  const wanted = fold(text);
  if (!/[*?]/.test(wanted)) return (path) => fold(path).includes(wanted);
  // Matched by hand and not by a regular expression, which some patterns make take for ever.
  const pattern = [...wanted];
  const whole = wanted.includes("/");
  return (path) => glob(pattern, [...fold(whole ? path : path.slice(path.lastIndexOf("/") + 1))]);
}

/** `*` is any text, `?` one character. Time is at most the product of both lengths. */
function glob(pattern: readonly string[], text: readonly string[]): boolean {
  let p = 0;
  let t = 0;
  let star = -1;
  let from = 0;
  while (t < text.length) {
    if (pattern[p] === "*") {
      star = p++;
      from = t;
    } else if (p < pattern.length && (pattern[p] === "?" || pattern[p] === text[t])) {
      p++;
      t++;
    } else if (star >= 0) {
      p = star + 1;
      t = ++from;
    } else return false;
  }
  while (pattern[p] === "*") p++;
  return p === pattern.length;
}
