/** Lower-case hexadecimal. */
import { FormatError } from "../errors.ts";
import type { Bytes } from "./bytes.ts";

const PAIRS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Two lower-case digits a byte. The platform's own way is three times as fast; not all have it yet. */
export const toHex: (bytes: Uint8Array) => string = "toHex" in Uint8Array.prototype
  ? (bytes) => bytes.toHex()
  : pairs;

function pairs(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += PAIRS[bytes[i]];
  return text;
}

/** The bytes of hexadecimal text, either case. Throws {@link FormatError} for anything else. */
export function fromHex(text: string): Bytes {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new FormatError("hex", `Cannot read hexadecimal: ${JSON.stringify(text.slice(0, 80))}`);
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
