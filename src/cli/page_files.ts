/** The built page of a store in a tab, read from beside the program. */
import { promisify } from "node:util";
import type { Bytes } from "../bytes/bytes.ts";
import type { PageEncoding, PageFiles } from "../server/page.ts";

const DIST = new URL("../../web/dist/", import.meta.url);

/**
 * The page, or `undefined` where this copy of firn has none, or may not read it. Its files are read `now`, so that a copy that changes
 * on the disk cannot give half a page, or when they are `asked` for.
 */
export async function readPage(when: "now" | "asked" = "now"): Promise<PageFiles | undefined> {
  // Without this a terminal would be asked whether it may be read.
  const { state } = await Deno.permissions.query({ name: "read", path: DIST });
  if (state !== "granted") return undefined;
  const files = new Map<string, Bytes | (() => Promise<Bytes>)>();
  try {
    await addFiles(files, "", when);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  return { files, compress };
}

async function compress(encoding: PageEncoding, bytes: Bytes): Promise<Bytes> {
  const { brotliCompress, constants, gzip } = await import("node:zlib");
  if (encoding === "gzip") return new Uint8Array(await promisify(gzip)(bytes));
  const quality = { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } };
  return new Uint8Array(await promisify(brotliCompress)(bytes, quality));
}

async function addFiles(
  files: Map<string, Bytes | (() => Promise<Bytes>)>,
  folder: string,
  when: "now" | "asked",
): Promise<void> {
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder || ".", DIST))) {
    const path = folder + name;
    if (isDirectory) {
      await addFiles(files, `${path}/`, when);
      continue;
    }
    const read = () => Deno.readFile(new URL(path, DIST));
    files.set(path, when === "now" ? await read() : read);
  }
}
