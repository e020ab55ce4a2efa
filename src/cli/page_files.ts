/** The built page of a store in a tab, read from beside the program. */
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { Bytes } from "../bytes/bytes.ts";
import type { PageFiles } from "../server/page.ts";

const DIST = new URL("../../web/dist/", import.meta.url);
const QUALITY = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };

/** The page, or `undefined` where this copy of firn has none. */
export async function readPage(): Promise<PageFiles | undefined> {
  const files = new Map<string, Bytes>();
  try {
    await readInto(files, "");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return {
    files,
    async compress(encoding, bytes) {
      const packed = encoding === "br"
        ? await promisify(brotliCompress)(bytes, QUALITY)
        : await promisify(gzip)(bytes);
      return new Uint8Array(packed);
    },
  };
}

async function readInto(files: Map<string, Bytes>, folder: string): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder || ".", DIST))) {
    const path = folder + name;
    if (isDirectory) await readInto(files, `${path}/`);
    else files.set(path, await Deno.readFile(new URL(path, DIST)));
  }
}
