/**
 * What `nix path-info --json --recursive` prints, in every shape it had:
 *
 *   Nix to 2.18   [ { "path": absolute, "narHash": hash, "references": [ absolute ], … } ]
 *   from 2.19     { absolute: { "narHash": hash, "references": [ absolute ], "ca": text, … } | null }
 *   format 1      the same with a "storeDir" in each
 *   format 2      { "version": 2, "storeDir": …, "info": { base: { "narHash": hash, "references": [ base ], "ca": { "method", "hash" } } } }
 *   hash          := SRI | prefixed | { "algorithm", "format", "hash" }
 *
 * A path that is not valid is `null`, or has `"valid": false`.
 */
import { FormatError } from "../../errors.ts";
import { parseStorePath, STORE_DIR, type StorePath, storePathBase } from "../../nix/store_path.ts";
import { recordedPath } from "./nix_database.ts";
import type { RecordedPath } from "./recorded_path.ts";

type Json = Readonly<Record<string, unknown>>;

const PREFIXES: Readonly<Record<string, string>> = { flat: "fixed:", nar: "fixed:r:", text: "text:" };

/** The records in such an output, by base name. Throws {@link FormatError}. */
export function parsePathInfoJson(text: string): Map<string, RecordedPath> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw unreadable((cause as Error).message);
  }
  const found = new Map<string, RecordedPath>();
  for (const [name, info] of entriesOf(parsed)) {
    if (info === null || info.valid === false) continue;
    const path = pathOf(name);
    const { references, signatures, deriver, ca, narHash, narSize } = info;
    if (!Array.isArray(references)) throw unreadable(`${name} has no list of references`);
    const fields = {
      narHash: hashText(narHash),
      narSize,
      deriver: typeof deriver === "string" ? absolute(deriver) : undefined,
      signatures: Array.isArray(signatures) ? signatures.map(signatureText) : [],
      ca: isObject(ca) ? (PREFIXES[String(ca.method)] ?? `${ca.method}:`) + hashText(ca.hash) : ca,
    };
    found.set(storePathBase(path), recordedPath(path, fields, references.map(pathOf)));
  }
  return found;
}

function entriesOf(parsed: unknown): [string, Json | null][] {
  if (Array.isArray(parsed)) {
    return parsed.map((info) => {
      if (!isObject(info) || typeof info.path !== "string") throw unreadable("an entry has no path");
      return [info.path, info];
    });
  }
  if (!isObject(parsed)) throw unreadable("it is neither a list nor an object");
  const infos = "info" in parsed && "version" in parsed ? parsed.info : parsed;
  if (!isObject(infos)) throw unreadable("it has no paths");
  return Object.entries(infos).map(([name, info]) => {
    if (info !== null && !isObject(info)) throw unreadable(`${name} is no object`);
    return [name, info];
  });
}

function hashText(hash: unknown): unknown {
  return isObject(hash) ? `${hash.algorithm}:${hash.hash}` : hash;
}

function signatureText(signature: unknown): unknown {
  return isObject(signature) ? `${signature.keyName}:${signature.sig}` : signature;
}

function pathOf(name: unknown): StorePath {
  if (typeof name !== "string") throw unreadable("a path is no text");
  return parseStorePath(absolute(name));
}

const absolute = (name: string): string => name.startsWith("/") ? name : `${STORE_DIR}/${name}`;

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unreadable(why: string): FormatError {
  return new FormatError("path-info", `Cannot read what nix path-info printed: ${why}`);
}
