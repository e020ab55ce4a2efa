/**
 * Names of the objects that hold the values, and back:
 *
 *   object  := [ prefix "/" ] escaped key
 *   escaped : each character stands for itself, but a `.` that begins a segment (it is the first character, or follows a
 *             `/`) is `.!`
 *
 * `pack/3fab` lies in `prefix/pack/3fab`, and `../x` in `prefix/.!./x`. An object may have almost any name, but one with the
 * segment `.` or `..` cannot be asked for: URLs resolve such segments, also when they are written as `%2e`. What a character
 * becomes depends only on the one before it and `!` comes before all others, so escaping keeps the order of keys, and the keys
 * with a prefix are the objects with its escaped form. The longest name a key gives has 768 characters, S3 takes 1,024 bytes.
 */

/** The longest prefix, in characters. */
const MAX_PREFIX_LENGTH = 255;

/** The name of the object for a key, below a prefix; also for what keys begin with. */
export function objectOfKey(prefix: string, key: string): string {
  return below(prefix) + key.replace(/(^|\/)\./g, "$1.!");
}

/** The key that an object's name stands for; `undefined`: such a name is none of ours. */
export function keyOfObject(prefix: string, object: string): string | undefined {
  if (!object.startsWith(below(prefix))) return undefined;
  const key = object.slice(below(prefix).length).replace(/(^|\/)\.!/g, "$1.");
  return objectOfKey(prefix, key) === object ? key : undefined;
}

/** Throws `TypeError` unless objects can lie below this prefix. */
export function checkPrefix(prefix: string): void {
  const lawful = prefix.length <= MAX_PREFIX_LENGTH && /^[!-~]*$/.test(prefix) &&
    (prefix === "" || prefix.split("/").every((segment) => !["", ".", ".."].includes(segment)));
  if (!lawful) {
    throw new TypeError(
      `Cannot use the prefix ${
        JSON.stringify(prefix)
      }: want at most ${MAX_PREFIX_LENGTH} characters from ! to ~, ` +
        `no slash at either end, and no segment that is empty, . or ..`,
    );
  }
}

/** A name as it stands in a URL: each character that could mean something there is percent-encoded, also to who signs it. */
export function encodeInUrl(name: string): string {
  return encodeURIComponent(name).replace(/[!'()*]/g, (character) => {
    return "%" + character.charCodeAt(0).toString(16).toUpperCase();
  });
}

function below(prefix: string): string {
  return prefix === "" ? "" : prefix + "/";
}
