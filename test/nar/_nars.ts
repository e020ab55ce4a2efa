/** What the NAR tests share: the vectors, an encoder of their own for words, and ways to run parser and writer. */
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { type NarLimits, NarParser, type NarToken } from "../../src/nar/reader.ts";
import { writeNar } from "../../src/nar/writer.ts";

/** The SHA-256 of each vector, from its README. */
export const VECTORS = {
  symlink: "097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1",
  helloworld: "03e7f63be30b065d78bcf615f5473545fdb4eb69aa416f43495b4e05cdfb8040",
  complicated: "ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a",
  emptydirectory: "a50a5ab6d992f5598edd92105059fae9acfc192981e08bd88534c2167e92526a",
  onebyteregular: "730850a811259dbf3a68dc2ee87a79aa6cae9f71375edf396f9d7a91fbe9134d",
  onebyteexecutable: "fa0de8dccc3589bed965eee20dd776b232f90fee5f004a58e11898c8d371c7f4",
  tree: "7b7b444c6d8d263030170c042ef3442f214f6ce12e366c6779d659f572e577c3",
  listed: "1da8de26240d9f784f83b4dc0d6a9cabda86c78eb2d222f60c64411d39781e71",
};

export function vector(name: string): Bytes {
  return Deno.readFileSync(new URL(`../vectors/nar/${name}`, import.meta.url));
}

/** A length word and bytes, padded; `length` may lie. */
export function word(content: string | Bytes, length?: bigint): Bytes {
  const bytes = typeof content === "string" ? fromText(content) : content;
  const padded = new Uint8Array(8 + Math.ceil(bytes.length / 8) * 8);
  new DataView(padded.buffer).setBigUint64(0, length ?? BigInt(bytes.length), true);
  padded.set(bytes, 8);
  return padded;
}

/** Texts become words, bytes stay as they are. */
export function nar(...parts: (string | Bytes)[]): Bytes {
  return concat(parts.map((part) => typeof part === "string" ? word(part) : part));
}

/** An empty file as the node of an entry. */
export function entry(name: string | Bytes): Bytes {
  return nar("entry", "(", "name", word(name), "node", "(", "type", "regular", "contents", "", ")", ")");
}

export function directory(...entries: Bytes[]): Bytes {
  return nar("nix-archive-1", "(", "type", "directory", ...entries, ")");
}

/** All tokens of the pieces; `data` is copied. Finishes the parser. */
export function parse(pieces: Iterable<Bytes>, limits?: NarLimits): NarToken[] {
  const parser = new NarParser(limits);
  const tokens: NarToken[] = [];
  for (const piece of pieces) {
    parser.feed(piece);
    for (let token = parser.next(); token; token = parser.next()) {
      tokens.push(token.type === "data" ? { type: "data", bytes: token.bytes.slice() } : token);
    }
  }
  parser.finish();
  return tokens;
}

/** The tokens with all contents of a file in one `data`, so that tokens of different pieces compare. */
export function joined(tokens: NarToken[]): NarToken[] {
  const result: NarToken[] = [];
  for (const token of tokens) {
    const last = result.at(-1);
    if (token.type === "data" && last?.type === "data") {
      result[result.length - 1] = { type: "data", bytes: concat([last.bytes, token.bytes]) };
    } else result.push(token);
  }
  return result;
}

export function* pieces(bytes: Bytes, length: number): Generator<Bytes> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

/** A stream of pieces made when they are asked for, that records how it was left. */
export function streamOf(bytes: Bytes, length: number) {
  const left = { pulled: 0, cancelled: undefined as unknown };
  const source = pieces(bytes, length);
  const stream = new ReadableStream<Bytes>({
    pull(controller) {
      const { done, value } = source.next();
      if (done) return controller.close();
      left.pulled++;
      controller.enqueue(value);
    },
    cancel(reason) {
      left.cancelled = reason ?? "without a reason";
    },
  }, { highWaterMark: 0 });
  return { stream, left };
}

export async function collect(stream: ReadableStream<Bytes>): Promise<Bytes[]> {
  const all: Bytes[] = [];
  for await (const piece of stream) all.push(piece);
  return all;
}

export async function write(tokens: Iterable<NarToken> | AsyncIterable<NarToken>): Promise<Bytes> {
  return concat(await collect(writeNar(tokens)));
}
