/**
 * Keys and values for the cases of the ByteStore contract, and what several of them ask.
 */
import { type Bytes, equals } from "../../src/bytes/bytes.ts";
import { type ByteStore, MAX_KEY_LENGTH, MAX_VALUE_LENGTH } from "../../src/castore/byte_store.ts";
import { ensure } from "./case.ts";

export const KIB = 1024;

/** Around the bounds where a platform may begin to store a value in another way. */
export const LENGTHS = [
  ...[0, 1, 2, 4095, 4096, 4097],
  ...[60 * KIB - 1, 60 * KIB, 60 * KIB + 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1],
  ...[120 * KIB, 1024 * KIB + 1, MAX_VALUE_LENGTH - 1, MAX_VALUE_LENGTH],
];

/** One character less than the longest key. */
export const LONG = "k".repeat(MAX_KEY_LENGTH - 1);

/** Keys that a store which splits, folds, escapes or normalises keys would confuse. */
export const ODD_KEYS = [
  ...words("a A a/ /a a/b a//b a/b/ a/B a-b a0 a.b a/b/c ab ab/c abc abc/d a. .a . .. ... ./a ../a a/. a/.."),
  ...words(
    "a/./b a/../b / // /// //a % %% %41 %2F %2f a%2Fb a%b %00 + = =a @ @a ~ ~a ! _ __ * ? < > | : a:b",
  ),
  ...words("\" ' ` $a \\ a\\b # & ; [ ] { } tmp tmp/a lock CON nul.txt __proto__ constructor 0 00 1 10 2 -1"),
  ...[LONG, LONG + "1", LONG + "/", LONG + "~", LONG.slice(0, 255), LONG.slice(0, 80), LONG.slice(0, 81)],
  ...["/".repeat(MAX_KEY_LENGTH), "%".repeat(MAX_KEY_LENGTH), ".".repeat(MAX_KEY_LENGTH)],
  ...["x/".repeat(MAX_KEY_LENGTH / 2), LONG.slice(0, 200) + "/" + "~".repeat(300), LONG.slice(0, 80) + "/b"],
];

/** Keys outside the grammar. */
export const UNLAWFUL_KEYS = [
  ...["", LONG + "12", " ", "a b", "a\n", "\n", "\0", "a\0", "\x7f"],
  ...["é", "a\u{1F600}", "\uFF41"],
];

function words(list: string): string[] {
  return list.split(" ");
}

/** The bytes of a text. */
export function text(content: string): Bytes {
  return new TextEncoder().encode(content) as Bytes;
}

/** The text of a value; nothing for none. */
export function read(value: Bytes | undefined): string {
  return new TextDecoder().decode(value);
}

/** Bytes that differ from place to place and from seed to seed (a 32-bit xorshift). */
export function pattern(length: number, seed = 0): Bytes {
  const words = new Uint32Array(Math.ceil(length / 4));
  let word = (length + 1) * 2654435761 + seed * 40503 | 1;
  for (let i = 0; i < words.length; i++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    words[i] = word;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** 16 hex digits that scatter, distinct for distinct numbers below 2^32. */
export function hashOf(number: number): string {
  const scattered = Math.imul(number + 1, 2654435761) >>> 0;
  return scattered.toString(16).padStart(8, "0") + number.toString(16).padStart(8, "0");
}

/** Throws unless this is one of the values `pattern(lengths[i], i)`, or absent when it may be. */
export function ensureWhole(
  value: Bytes | undefined,
  lengths: readonly number[],
  mayBeAbsent: boolean,
): void {
  const whole = value ? lengths.some((length, i) => equals(value, pattern(length, i))) : mayBeAbsent;
  ensure(whole, value ? `${value.length} bytes were read that nobody put whole` : "no value is left");
}

/** Ranges worth asking a value of this length for. */
export function rangesOf(length: number): [number, number][] {
  const edge = 60 * KIB;
  const ranges: [number, number][] = [[0, length], [0, 0], [0, 1], [0, length + 1]];
  ranges.push([1, Number.MAX_SAFE_INTEGER]);
  ranges.push([length, length], [length, length + 1], [length + 1, length + 9], [length + 9, length + 9]);
  if (length > 1) ranges.push([length - 1, length], [1, length - 1], [length >> 1, length], [1, 1]);
  if (length > edge) ranges.push([edge - 1, edge + 1], [edge, edge + 1], [edge, 2 * edge], [edge - 1, edge]);
  return ranges;
}

/** Keys in byte order, which for ASCII is the order of `sort`. */
export function sorted(keys: readonly string[]): string[] {
  return [...keys].sort();
}

/** The keys that `list` gives, in its order. */
export async function keysOf(store: ByteStore, prefix = ""): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list(prefix)) keys.push(key);
  return keys;
}
