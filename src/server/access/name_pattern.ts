/**
 * Patterns of names: which store paths a token is for, by the part of their name behind the hash.
 *
 *   pattern := glob { (" " | ",") glob }     any of them
 *   glob    := characters of names, and "*" for any number of any of them
 *
 * `?` stands for itself, for names may contain it. Matched in one pass: no pattern takes long.
 */
import { FormatError } from "../../errors.ts";

/** Longest pattern, in characters. */
const MAX_LENGTH = 1000;

/** The test of a pattern. Throws {@link FormatError} for one that matches nothing, or cannot be one. */
export function namePattern(text: string): (name: string) => boolean {
  const globs = text.split(/[ ,]+/).filter((glob) => glob !== "");
  const fault = globs.find((glob) => !/^[A-Za-z0-9+\-._?=*]+$/.test(glob));
  if (globs.length === 0 || fault !== undefined || text.length > MAX_LENGTH) {
    throw new FormatError(
      "pattern",
      `Cannot use the pattern ${
        JSON.stringify(text.slice(0, 100))
      }: want names of store paths with * for any part, ` +
        `such as myapp-*, at most ${MAX_LENGTH} characters`,
    );
  }
  const tests = globs.map(glob);
  return (name) => tests.some((test) => test(name));
}

/** The test of texts with `*` for any part. */
export function glob(text: string): (name: string) => boolean {
  const [first, ...rest] = text.split("*");
  const last = rest.pop();
  if (last === undefined) return (name) => name === text;
  return (name) => {
    if (name.length < first.length + last.length || !name.startsWith(first) || !name.endsWith(last)) {
      return false;
    }
    let at = first.length;
    const end = name.length - last.length;
    for (const part of rest) {
      const found = name.indexOf(part, at);
      if (found < 0 || found + part.length > end) return false;
      at = found + part.length;
    }
    return true;
  };
}
