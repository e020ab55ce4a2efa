/**
 * Writes a zip (APPNOTE 6.3) as a stream, of any number of entries and any size, with ZIP64 where it is needed: libraries for
 * pages leave that out, and a Nix path may have more than 65,535 files.
 *
 *   zip      := entry* central* [end64 locator] end
 *   entry    := header name [extra64] data [descriptor]
 *
 * Entries of at most 1 MiB are held to know their length and sum before they are written; longer ones have a descriptor
 * behind them. Contents are deflated by the platform where that makes them shorter. Times are the first there is, 1980.
 * Attributes are those of Unix: what is executable, and symlinks, of which the contents are the target.
 */
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { through } from "../../src/bytes/through.ts";
import { LimitError } from "../../src/errors.ts";
import { crc32 } from "./crc32.ts";

export interface ZipEntry {
  /** A path with slashes; a folder's ends in one. */
  readonly name: string;
  readonly kind: "file" | "executable" | "symlink" | "folder";
  readonly contents: Bytes | AsyncIterable<Bytes>;
  /** Bytes of the contents. */
  readonly size: number;
}

const MODES = { file: 0o100644, executable: 0o100755, symlink: 0o120777, folder: 0o40755 };
/** Contents up to this length are held. */
const HELD = 1024 * 1024;
/** Shorter contents are not worth deflating. */
const WORTH = 64;
/** From here on a field of 32 bits does not do. */
const MOST_32 = 0xffffffff;
const MOST_16 = 0xffff;
/** Sizes are in descriptors of 64 bits from here on: deflated contents may be a little longer than plain ones. */
const LONG = 0xf0000000;
/** 1 January 1980. */
const DATE = 0x21;
const UTF8 = 0x800;
const DESCRIPTOR = 8;

/** What was written of an entry. */
interface Written {
  readonly name: Bytes;
  readonly mode: number;
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packed: number;
  readonly size: number;
  readonly at: number;
}

/** The zip of these entries. Throws `LimitError` for a name of over 65,535 bytes, and what the entries throw. */
export async function* writeZip(entries: AsyncIterable<ZipEntry>): AsyncGenerator<Bytes, void, void> {
  const written: Written[] = [];
  let at = 0;
  for await (const entry of entries) {
    const name = fromText(entry.name);
    if (name.length > MOST_16) {
      throw new LimitError(
        MOST_16,
        `Cannot put a name of ${name.length} bytes into a zip: at most ${MOST_16}`,
      );
    }
    const start = at;
    const parts = entry.size <= HELD ? writeHeld(entry, name, start) : writeLong(entry, name, start);
    while (true) {
      const next = await parts.next();
      if (next.done) {
        written.push(next.value);
        break;
      }
      at += next.value.length;
      yield next.value;
    }
  }
  yield* directory(written, at);
}

type Parts = AsyncGenerator<Bytes, Written, void>;

async function* writeHeld({ kind, contents }: ZipEntry, name: Bytes, at: number): Parts {
  const plain = contents instanceof Uint8Array ? contents : concat(await copies(contents));
  const deflated = plain.length < WORTH ? plain : concat(await copies(deflate([plain])));
  const shorter = deflated.length < plain.length;
  const data = shorter ? deflated : plain;
  const entry = {
    name,
    mode: MODES[kind],
    flags: UTF8,
    method: shorter ? 8 : 0,
    crc: crc32(plain),
    packed: data.length,
    size: plain.length,
    at,
  };
  yield concat([localHeader(entry, false), name, data]);
  return entry;
}

async function* writeLong({ kind, contents, size }: ZipEntry, name: Bytes, at: number): Parts {
  const wide = size >= LONG;
  const entry = {
    name,
    mode: MODES[kind],
    flags: UTF8 | DESCRIPTOR,
    method: 8,
    crc: 0,
    packed: 0,
    size: 0,
    at,
  };
  yield concat([localHeader(entry, wide), name, ...(wide ? [extra64([0, 0])] : [])]);
  const plain = async function* () {
    for await (const piece of contents as AsyncIterable<Bytes>) {
      entry.crc = crc32(piece, entry.crc);
      entry.size += piece.length;
      yield piece;
    }
  };
  for await (const piece of deflate(plain())) {
    entry.packed += piece.length;
    yield piece;
  }
  const descriptor = new Fields(wide ? 24 : 16).u32(0x08074b50).u32(entry.crc);
  yield wide
    ? descriptor.u64(entry.packed).u64(entry.size).bytes
    : descriptor.u32(entry.packed).u32(entry.size).bytes;
  return entry;
}

async function copies(pieces: AsyncIterable<Bytes>): Promise<Bytes[]> {
  const all: Bytes[] = [];
  for await (const piece of pieces) all.push(piece.slice());
  return all;
}

/** Deflates at the pace of the consumer. */
function deflate(source: Iterable<Bytes> | AsyncIterable<Bytes>): AsyncGenerator<Bytes, void, void> {
  return through(new CompressionStream("deflate-raw"), source);
}

function localHeader(entry: Written, wide: boolean): Bytes {
  const sizes = entry.flags & DESCRIPTOR ? [0, 0] : [entry.packed, entry.size];
  return new Fields(30).u32(0x04034b50).u16(wide ? 45 : 20).u16(entry.flags).u16(entry.method).u16(0).u16(
    DATE,
  )
    .u32(entry.flags & DESCRIPTOR ? 0 : entry.crc)
    .u32(wide ? MOST_32 : sizes[0]).u32(wide ? MOST_32 : sizes[1])
    .u16(entry.name.length).u16(wide ? 20 : 0).bytes;
}

function extra64(values: readonly number[]): Bytes {
  const fields = new Fields(4 + 8 * values.length).u16(1).u16(8 * values.length);
  for (const value of values) fields.u64(value);
  return fields.bytes;
}

/** What stands at the end: where everything is. */
function* directory(written: readonly Written[], start: number): Generator<Bytes, void, void> {
  let length = 0;
  for (const entry of written) {
    const wide = [entry.size, entry.packed, entry.at].filter((value) => value >= MOST_32);
    const extra = wide.length > 0 ? extra64(wide) : new Uint8Array(0);
    const isFolder = entry.mode === MODES.folder;
    const header =
      new Fields(46).u32(0x02014b50).u16(3 << 8 | 45).u16(extra.length > 0 ? 45 : 20).u16(entry.flags)
        .u16(entry.method).u16(0).u16(DATE).u32(entry.crc)
        .u32(Math.min(entry.packed, MOST_32)).u32(Math.min(entry.size, MOST_32))
        .u16(entry.name.length).u16(extra.length).u16(0).u16(0).u16(0)
        .u32((entry.mode << 16 | (isFolder ? 0x10 : 0)) >>> 0).u32(Math.min(entry.at, MOST_32)).bytes;
    const record = concat([header, entry.name, extra]);
    length += record.length;
    yield record;
  }
  const count = written.length;
  if (count >= MOST_16 || start >= MOST_32 || length >= MOST_32) {
    yield new Fields(56).u32(0x06064b50).u64(44).u16(3 << 8 | 45).u16(45).u32(0).u32(0)
      .u64(count).u64(count).u64(length).u64(start).bytes;
    yield new Fields(20).u32(0x07064b50).u32(0).u64(start + length).u32(1).bytes;
  }
  const few = Math.min(count, MOST_16);
  yield new Fields(22).u32(0x06054b50).u16(0).u16(0).u16(few).u16(few)
    .u32(Math.min(length, MOST_32)).u32(Math.min(start, MOST_32)).u16(0).bytes;
}

/** Fields in a row, little endian. */
class Fields {
  readonly bytes: Bytes;
  #view: DataView;
  #at = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#view = new DataView(this.bytes.buffer);
  }

  u16(value: number): this {
    this.#view.setUint16(this.#at, value, true);
    this.#at += 2;
    return this;
  }

  u32(value: number): this {
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
    return this;
  }

  u64(value: number): this {
    this.#view.setBigUint64(this.#at, BigInt(value), true);
    this.#at += 8;
    return this;
  }
}
