/**
 * File names and symlink targets. They are bytes, not strings; NAR and castore have the same rules:
 *
 *   name    1 to 255 bytes, no 0x00, no `/`, neither `.` nor `..`
 *   target  1 to 4095 bytes, no 0x00
 */

/** Longest name in bytes. */
export const MAX_NAME_LENGTH = 255;
/** Longest symlink target in bytes. */
export const MAX_TARGET_LENGTH = 4095;

/** Why these bytes cannot be a name, or `undefined` if they can. */
export function nameFault(name: Uint8Array): string | undefined {
  if (name.length === 0) return "it is empty";
  if (name.length > MAX_NAME_LENGTH) return `it has ${name.length} bytes, over ${MAX_NAME_LENGTH}`;
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) {
    return "it is . or ..";
  }
  if (name.includes(0)) return "it holds a NUL byte";
  if (name.includes(0x2f)) return "it holds a slash";
  return undefined;
}

/** Why these bytes cannot be a symlink target, or `undefined` if they can. */
export function targetFault(target: Uint8Array): string | undefined {
  if (target.length === 0) return "it is empty";
  if (target.length > MAX_TARGET_LENGTH) return `it has ${target.length} bytes, over ${MAX_TARGET_LENGTH}`;
  if (target.includes(0)) return "it holds a NUL byte";
  return undefined;
}

/** A name for messages: quoted, with bytes that are not printable ASCII escaped. */
export function quoteName(name: Uint8Array): string {
  let text = '"';
  for (const byte of name.subarray(0, 300)) {
    if (byte === 0x22 || byte === 0x5c) text += "\\" + String.fromCharCode(byte);
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += "\\x" + byte.toString(16).padStart(2, "0");
  }
  return text + '"';
}
