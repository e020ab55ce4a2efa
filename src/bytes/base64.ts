/** Base64 (RFC 4648), strict: the standard alphabet with padding, and the URL alphabet without. */
import { FormatError } from "../errors.ts";
import type { Bytes } from "./bytes.ts";

/** Standard alphabet, padded. */
export function toBase64(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return btoa(binary);
}

/**
 * The bytes of standard, padded base64. Throws {@link FormatError} for white space, missing padding, another
 * alphabet, or bits set beyond the last byte (so that one value has one text).
 */
export function fromBase64(text: string): Bytes {
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    if (toBase64(bytes) === text) return bytes;
  }
  throw new FormatError("base64", `Cannot read base64: ${JSON.stringify(text.slice(0, 80))}`);
}

/** URL alphabet (`-` and `_`), no padding. */
export function toBase64Url(bytes: Uint8Array): string {
  return toBase64(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** The bytes of unpadded URL base64. Throws {@link FormatError} as {@link fromBase64} does. */
export function fromBase64Url(text: string): Bytes {
  if (/[+/=]/.test(text)) {
    throw new FormatError("base64url", `Cannot read base64url: ${JSON.stringify(text.slice(0, 80))}`);
  }
  const standard = text.replaceAll("-", "+").replaceAll("_", "/");
  return fromBase64(standard + "=".repeat((4 - (standard.length % 4)) % 4));
}
