/**
 * Nix's base 32, strict.
 *
 *   alphabet  `0123456789abcdfghijklmnpqrsvwxyz` (no e, o, t, u; lower case only)
 *   length    ceil(8 * bytes / 5) characters, so not every length is one
 *
 * The bytes are one little-endian number, written with its most significant digit first. Bits of the first
 * character that lie beyond the last byte must be zero, so that one value has one text.
 */
import { FormatError } from "../errors.ts";
import type { Bytes } from "./bytes.ts";

/** The 32 digits, in order of value. */
export const NIXBASE32_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz";

const VALUES = new Int8Array(128).fill(-1);
for (let value = 0; value < 32; value++) VALUES[NIXBASE32_ALPHABET.charCodeAt(value)] = value;

/** Nix's base 32 of these bytes. */
export function toNixBase32(bytes: Uint8Array): string {
  let text = "";
  for (let digit = Math.ceil(bytes.length * 8 / 5) - 1; digit >= 0; digit--) {
    const at = digit * 5 >> 3;
    const pair = bytes[at] | (at + 1 < bytes.length ? bytes[at + 1] << 8 : 0);
    text += NIXBASE32_ALPHABET[pair >> (digit * 5 & 7) & 31];
  }
  return text;
}

/**
 * The bytes of Nix's base 32. Throws {@link FormatError} for a length no number of bytes has, a character outside
 * the alphabet, or bits set beyond the last byte.
 */
export function fromNixBase32(text: string): Bytes {
  const bytes = new Uint8Array(Math.floor(text.length * 5 / 8));
  if (Math.ceil(bytes.length * 8 / 5) !== text.length) {
    throw unreadable(text, `no bytes have a text of ${text.length} characters`);
  }
  for (let digit = 0; digit < text.length; digit++) {
    const value = VALUES[text.charCodeAt(text.length - 1 - digit)] ?? -1;
    if (value < 0) throw unreadable(text, `character ${text.length - digit} is not of its alphabet`);
    const at = digit * 5 >> 3;
    const pair = value << (digit * 5 & 7);
    bytes[at] |= pair;
    if (at + 1 < bytes.length) bytes[at + 1] |= pair >> 8;
    else if (pair > 0xff) throw unreadable(text, "bits are set beyond the last byte");
  }
  return bytes;
}

function unreadable(text: string, why: string): FormatError {
  return new FormatError(
    "nixbase32",
    `Cannot read Nix base 32 ${JSON.stringify(text.slice(0, 80))}: ${why}`,
  );
}
