/**
 * Names as text and back. Names are bytes; text is what a page works with. Bytes that are not UTF-8 stand as the code units
 * U+DC80 to U+DCFF, one a byte (as Python's `surrogateescape` has it): such a text comes from no UTF-8, so each name
 * has one text of its own.
 */
import type { Bytes } from "../../src/bytes/bytes.ts";
import { fromText } from "../../src/bytes/bytes.ts";
import { nameFault } from "../../src/bytes/names.ts";
import { FormatError } from "../../src/errors.ts";
import { shown } from "./shown.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text of a name. */
export function nameText(name: Uint8Array): string {
  try {
    return strict.decode(name);
  } catch {
    return escaped(name);
  }
}

/** The longest beginning that is UTF-8, one byte escaped, and so on. */
function escaped(name: Uint8Array): string {
  let text = "";
  for (let at = 0; at < name.length;) {
    const length = characterLength(name, at);
    if (length === 0) text += String.fromCharCode(0xdc00 + name[at++]);
    else {
      text += strict.decode(name.subarray(at, at + length));
      at += length;
    }
  }
  return text;
}

/** Bytes of the UTF-8 character that begins here; 0 if none does. */
function characterLength(name: Uint8Array, at: number): number {
  const first = name[at];
  const length = first < 0x80
    ? 1
    : first < 0xc2
    ? 0
    : first < 0xe0
    ? 2
    : first < 0xf0
    ? 3
    : first < 0xf5
    ? 4
    : 0;
  if (length === 0 || at + length > name.length) return 0;
  try {
    strict.decode(name.subarray(at, at + length));
    return length;
  } catch {
    return 0;
  }
}

/** The bytes of a text. Throws {@link FormatError} for surrogates that are alone and stand for no byte. */
export function nameBytes(text: string): Bytes {
  if (text.isWellFormed()) return fromText(text);
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) bytes.push(code - 0xdc00);
    else if (code >= 0xd800 && code <= 0xdfff) {
      throw new FormatError("path", `Cannot use ${shown(text)} as a name: it is not well-formed Unicode`);
    } else bytes.push(...fromText(character));
  }
  return Uint8Array.from(bytes);
}

/** The names of a file path. Throws {@link FormatError} for one that is absolute, or has an empty, `.` or `..` part. */
export function splitPath(path: string): Bytes[] {
  if (path === "") return [];
  return path.split("/").map((part) => {
    const name = nameBytes(part);
    const fault = nameFault(name);
    if (fault) {
      throw new FormatError("path", `Cannot use the path ${shown(path)}: a part is not a name (${fault})`);
    }
    return name;
  });
}

/** A name below a path. */
export function below(path: string, name: string): string {
  return path === "" ? name : `${path}/${name}`;
}
