/**
 * Reads a zip that lies in a Blob, by the directory at its end. Entries are plain or deflated; of anything else (encrypted,
 * split, another method) it says so. Lengths and sums are checked as an entry is read, so one that expands to more than it
 * says ends there.
 */
import type { Bytes } from "../../src/bytes/bytes.ts";
import { iterate } from "../../src/bytes/streams.ts";
import { FormatError, LimitError } from "../../src/errors.ts";
import { crc32 } from "./crc32.ts";

/** Most entries read. */
const MOST_ENTRIES = 1_000_000;
/** The longest directory read, in bytes. */
const MOST_DIRECTORY = 256 * 1024 * 1024;
const END = 22;
const LOCATOR = 20;
const END_64 = 56;
const MOST_32 = 0xffffffff;

export interface ZippedFile {
  readonly name: string;
  readonly size: number;
  readonly method: number;
  readonly flags: number;
  readonly crc: number;
  readonly packed: number;
  readonly at: number;
}

export class ZipReader {
  private constructor(readonly blob: Blob, readonly files: ReadonlyMap<string, ZippedFile>) {}

  /** Reads the directory. Throws {@link FormatError} for what is no zip, {@link LimitError} past a bound. */
  static async open(blob: Blob): Promise<ZipReader> {
    const { start, length, count } = await findDirectory(blob);
    if (count > MOST_ENTRIES || length > MOST_DIRECTORY) {
      throw new LimitError(MOST_ENTRIES, `Cannot read the zip: it has over ${MOST_ENTRIES} files`);
    }
    const bytes = await read(blob, start, length);
    const files = new Map<string, ZippedFile>();
    let at = 0;
    for (let i = 0; i < count; i++) {
      const { file, next } = readEntry(bytes, at);
      if (files.has(file.name)) throw broken(`${JSON.stringify(file.name)} stands twice`);
      files.set(file.name, file);
      at = next;
    }
    return new ZipReader(blob, files);
  }

  /** The contents of a file. */
  async *contents(file: ZippedFile): AsyncGenerator<Bytes, void, void> {
    if (file.flags & 1) throw broken(`${JSON.stringify(file.name)} is encrypted`);
    if (file.method !== 0 && file.method !== 8) {
      throw broken(`${JSON.stringify(file.name)} is compressed in a way that is not known (${file.method})`);
    }
    const header = view(await read(this.blob, file.at, 30));
    if (header.getUint32(0, true) !== 0x04034b50) throw broken("a file is not where its directory says");
    const start = file.at + 30 + header.getUint16(26, true) + header.getUint16(28, true);
    const packed = this.blob.slice(start, start + file.packed).stream() as ReadableStream<Bytes>;
    const plain = file.method === 0 ? packed : packed.pipeThrough(new DecompressionStream("deflate-raw"));
    let length = 0;
    let crc = 0;
    const pieces = iterate(plain);
    try {
      while (true) {
        const next = await pieces.next().catch((cause) => {
          throw broken(`${JSON.stringify(file.name)} is damaged`, cause);
        });
        if (next.done) break;
        length += next.value.length;
        if (length > file.size) break;
        crc = crc32(next.value, crc);
        yield next.value;
      }
    } finally {
      await pieces.return();
    }
    if (length !== file.size || crc !== file.crc) throw broken(`${JSON.stringify(file.name)} is damaged`);
  }
}

async function findDirectory(blob: Blob): Promise<{ start: number; length: number; count: number }> {
  // The end may have a comment behind it, of which the longest has 65,535 bytes.
  const tailAt = Math.max(0, blob.size - END - 65_535);
  const tail = view(await read(blob, tailAt, blob.size - tailAt));
  let at = tail.byteLength - END;
  while (
    at >= 0 &&
    !(tail.getUint32(at, true) === 0x06054b50 && at + END + tail.getUint16(at + 20, true) === tail.byteLength)
  ) {
    at--;
  }
  if (at < 0) throw broken("it has no directory at its end");
  const found = {
    count: tail.getUint16(at + 10, true),
    length: tail.getUint32(at + 12, true),
    start: tail.getUint32(at + 16, true),
  };
  if (found.count < 0xffff && found.length < MOST_32 && found.start < MOST_32) return found;
  const locatorAt = at - LOCATOR;
  if (locatorAt < 0 || tail.getUint32(locatorAt, true) !== 0x07064b50) return found;
  const end64 = view(await read(blob, number64(tail, locatorAt + 8), END_64));
  if (end64.getUint32(0, true) !== 0x06064b50) throw broken("its directory is not where its end says");
  return { count: number64(end64, 32), length: number64(end64, 40), start: number64(end64, 48) };
}

function readEntry(bytes: Bytes, at: number): { file: ZippedFile; next: number } {
  if (at + 46 > bytes.length) throw broken("its directory is cut off");
  const header = view(bytes.subarray(at));
  if (header.getUint32(0, true) !== 0x02014b50) throw broken("its directory is damaged");
  const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) => header.getUint16(field, true));
  const next = at + 46 + nameLength + extraLength + commentLength;
  if (next > bytes.length) throw broken("its directory is cut off");
  const name = new TextDecoder().decode(bytes.subarray(at + 46, at + 46 + nameLength));
  const extra = view(bytes.subarray(at + 46 + nameLength, at + 46 + nameLength + extraLength));
  const wide = wideFields(extra);
  const size = header.getUint32(24, true);
  const packed = header.getUint32(20, true);
  const local = header.getUint32(42, true);
  return {
    file: {
      name,
      method: header.getUint16(10, true),
      flags: header.getUint16(8, true),
      crc: header.getUint32(16, true),
      // In this order, and only those that do not fit.
      size: size === MOST_32 ? wide() : size,
      packed: packed === MOST_32 ? wide() : packed,
      at: local === MOST_32 ? wide() : local,
    },
    next,
  };
}

/** Reads the numbers of the ZIP64 extra field one after the other. */
function wideFields(extra: DataView): () => number {
  let [at, end] = [0, 0];
  for (let i = 0; i + 4 <= extra.byteLength; i += 4 + extra.getUint16(i + 2, true)) {
    if (extra.getUint16(i, true) !== 1) continue;
    [at, end] = [i + 4, Math.min(extra.byteLength, i + 4 + extra.getUint16(i + 2, true))];
    break;
  }
  return () => {
    if (at + 8 > end) throw broken("a length is missing");
    at += 8;
    return number64(extra, at - 8);
  };
}

function number64(from: DataView, at: number): number {
  const value = Number(from.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw broken("a length is not possible");
  return value;
}

async function read(blob: Blob, start: number, length: number): Promise<Bytes> {
  if (start < 0 || start + length > blob.size) throw broken("it is cut off");
  return new Uint8Array(await blob.slice(start, start + length).arrayBuffer());
}

const view = (bytes: Bytes): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

function broken(why: string, cause?: unknown): FormatError {
  return new FormatError("zip", `Cannot read the zip: ${why}`, { cause });
}
