/**
 * Side files of the binary cache that speak of paths: which ones go with a path. Logs are found by the derivation of the path,
 * realisations and debug information by what stands in them.
 */
import { type Bytes, concat, toText } from "../bytes/bytes.ts";
import type { BlobService } from "../castore/blob_service.ts";
import type { ByteStore } from "../castore/byte_store.ts";
import type { CompressionName } from "./codec.ts";
import type { Codec } from "./codec.ts";
import { decodeSideFile, type SideFile } from "./messages.ts";

/** The longest side file that is read, in bytes: the server takes no longer ones. */
const MAX_JSON = 8 * 1024 * 1024;
/** Side files read at once. */
const AT_ONCE = 32;

/** A store whose side files are read. */
export interface SideFileStore {
  readonly names: ByteStore;
  readonly blobs: BlobService;
  /** For side files that were sent compressed; what cannot be read is kept. */
  readonly codec?: Codec;
}

/** Side files whose keys begin with a prefix. */
export async function* sideFiles(
  names: ByteStore,
  prefix: string,
): AsyncGenerator<{ key: string; file: SideFile }, void, void> {
  for await (const key of names.list(prefix)) {
    const value = await names.get(key);
    if (value) yield { key, file: decodeSideFile(value) };
  }
}

/** Keys of the side files with a prefix of which something is true that stands in them. */
export async function* sideFilesWhere(
  store: SideFileStore,
  prefix: string,
  test: (json: Record<string, unknown>) => boolean,
): AsyncGenerator<string, void, void> {
  let looks: Promise<string | undefined>[] = [];
  const look = async (key: string, file: SideFile) => {
    const json = await readJson(store, file);
    return json && test(json) ? key : undefined;
  };
  const found = async () => {
    const keys = await Promise.all(looks);
    looks = [];
    return keys.filter((key) => key !== undefined);
  };
  for await (const { key, file } of sideFiles(store.names, prefix)) {
    looks.push(look(key, file));
    if (looks.length === AT_ONCE) yield* await found();
  }
  yield* await found();
}

/** The JSON of a side file; `undefined` if it is not there, is damaged or in a compression that cannot be read. */
async function readJson(
  { blobs, codec }: SideFileStore,
  { digest, size, contentEncoding }: SideFile,
): Promise<Record<string, unknown> | undefined> {
  if (size > MAX_JSON) return undefined;
  const encoding = contentEncoding as CompressionName | undefined;
  if (encoding && !codec?.decompresses.has(encoding)) return undefined;
  try {
    const bytes = await (await blobs.open(digest))?.bytes();
    if (!bytes) return undefined;
    const json = JSON.parse(toText(encoding ? await decompressed(codec!, encoding, bytes) : bytes));
    return typeof json === "object" && json !== null ? json : undefined;
  } catch {
    return undefined; // whoever asks for it will hear what is wrong; here it only means that it stays
  }
}

async function decompressed(codec: Codec, encoding: CompressionName, bytes: Bytes): Promise<Bytes> {
  const parts: Bytes[] = [];
  let length = 0;
  for await (const part of codec.decompress(encoding, [bytes])) {
    length += part.length;
    if (length > MAX_JSON) throw new RangeError("too long");
    parts.push(part.slice());
  }
  return concat(parts);
}
