/** Content-Encoding of what clients upload: Nix sends it for narinfos, listings and logs when told to. */
import type { Bytes } from "../bytes/bytes.ts";
import type { Codec, CompressionName } from "../store/codec.ts";
import { bodyStream, readAtMost } from "./bodies.ts";
import { HttpError } from "./http_error.ts";

/** The compression a Content-Encoding stands for. Throws status 415 for one that is not known. */
export function contentEncoding(request: Request): CompressionName {
  const name = request.headers.get("content-encoding")?.trim().toLowerCase() ?? "";
  if (name === "" || name === "identity") return "none";
  if (name === "x-gzip") return "gzip";
  if (["xz", "zstd", "gzip", "br", "bzip2"].includes(name)) return name as CompressionName;
  throw new HttpError(415, `Cannot take Content-Encoding ${name}: want gzip, br, zstd, xz, bzip2 or none`);
}

/** The body of a request, decoded, of at most `limit` bytes. */
export async function decodedBody(
  request: Request,
  limit: number,
  what: string,
  { codec, stallMs }: { codec: Codec; stallMs: number },
): Promise<Bytes> {
  return await readAtMost(
    codec.decompress(contentEncoding(request), bodyStream(request, stallMs)),
    limit,
    what,
  );
}
