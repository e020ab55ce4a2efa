/**
 * Where the value of a key lies, and back: keys are cut into pieces, one file name each.
 *
 *   key   := piece { piece }                    cut after `/`, after the first 2 characters of what lies between two
 *                                               `/`, and after every further 80
 *   path  := folder { "/" folder } "/" file
 *   folder := escaped piece                     every piece but the last
 *   file  := "=" escaped piece                  the last, which may be empty
 *   escaped: A-Z a-z 0-9 `_` `-` and `.` stand for themselves, except a first `.`; others are `%` and two hex digits
 *
 * `pack/3fab` lies in `pa/ck%2F/3f/=ab`. The two characters spread digests over folders. Where a cut is depends only on
 * the characters before it, so the keys below one folder are exactly those that begin with its pieces, and sorting each
 * folder by its pieces walks all keys in byte order. An escaped piece has at most 240 characters.
 */

const SHARD_LENGTH = 2;
const PIECE_LENGTH = 80;

/** Names of the folders on the way to a value, outermost first, and of its file. */
export interface KeyPath {
  readonly folders: readonly string[];
  readonly file: string;
}

/** The names for a lawful key. */
export function pathOfKey(key: string): KeyPath {
  const folders: string[] = [];
  let limit = SHARD_LENGTH;
  let start = 0;
  while (true) {
    const slash = key.indexOf("/", start);
    const end = slash >= 0 && slash < start + limit ? slash + 1 : start + limit;
    if (slash < 0 && key.length <= end) return { folders, file: "=" + escape(key.slice(start)) };
    limit = end === slash + 1 ? SHARD_LENGTH : PIECE_LENGTH;
    folders.push(escape(key.slice(start, end)));
    start = end;
  }
}

/** The piece that the name of a folder stands for; `undefined`: such a name is none of ours. */
export function pieceOfFolder(name: string): string | undefined {
  if (name === "") return undefined;
  return unescape(name);
}

/** The piece that the name of a file stands for; `undefined`: such a name is none of ours. */
export function pieceOfFile(name: string): string | undefined {
  return name.startsWith("=") ? unescape(name.slice(1)) : undefined;
}

function escape(piece: string): string {
  return piece.replace(/^\.|[^A-Za-z0-9_.-]/g, (character) => {
    return "%" + character.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0");
  });
}

function unescape(name: string): string | undefined {
  const piece = name.replace(/%([0-9A-F]{2})/g, (_, digits) => String.fromCharCode(parseInt(digits, 16)));
  // Any other spelling was put there by somebody else, and get() would not find it.
  return escape(piece) === name ? piece : undefined;
}
