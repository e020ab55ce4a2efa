/**
 * URLs of NARs that carry their root node, relative to the cache:
 *
 *   nar/snix-castore/<base64url of the unnamed Entry message>?narsize=<bytes>
 *   nar/snix-castore/<base64url of the unnamed Entry message>.nar.zst?narsize=<bytes>     pressed (`pressed_nar.ts`)
 *
 * `tvix-castore` is read too. `narsize` is always that of the NAR. Who knows the digest may read the contents: the node is the capability.
 */
import { fromBase64Url, toBase64Url } from "../bytes/base64.ts";
import { decodeAnonymousEntry, encodeEntry } from "../castore/messages.ts";
import type { Node } from "../castore/node.ts";
import { FormatError } from "../errors.ts";

/** The longest encoded node in bytes: that of a symlink. */
const MAX_ENTRY_LENGTH = 8192;

/** What a NAR of the store is served as: as it is, or pressed, as frames of zstd. */
export type NarForm = "none" | "zstd";

const SUFFIXES: Readonly<Record<NarForm, string>> = { none: "", zstd: ".nar.zst" };

/** What a URL of a NAR says. */
export interface NarUrl {
  readonly node: Node;
  readonly narSize: number | undefined;
  readonly form: NarForm;
}

/** The URL of a node's NAR in a form. */
export function formatNarUrl(node: Node, narSize: number, form: NarForm = "none"): string {
  return `nar/snix-castore/${toBase64Url(encodeEntry(node))}${SUFFIXES[form]}?narsize=${narSize}`;
}

/** Reads a URL of this kind; `undefined` for any other. Throws {@link FormatError} for one that is broken. */
export function parseNarUrl(url: string): NarUrl | undefined {
  const match = /^nar\/(?:snix|tvix)-castore\/([^?]*)(?:\?(.*))?$/s.exec(url);
  if (!match) return undefined;
  const form = match[1].endsWith(SUFFIXES.zstd) ? "zstd" : "none";
  const encoded = fromBase64Url(match[1].slice(0, match[1].length - SUFFIXES[form].length));
  if (encoded.length > MAX_ENTRY_LENGTH) {
    throw new FormatError("nar url", "Cannot read the NAR URL: its node is too long");
  }
  const size = new URLSearchParams(match[2] ?? "").get("narsize");
  if (size !== null && !(/^(0|[1-9][0-9]*)$/.test(size) && Number.isSafeInteger(Number(size)))) {
    throw new FormatError(
      "nar url",
      `Cannot read the NAR URL: narsize is ${JSON.stringify(size.slice(0, 40))}, want bytes`,
    );
  }
  return { node: decodeAnonymousEntry(encoded), narSize: size === null ? undefined : Number(size), form };
}
