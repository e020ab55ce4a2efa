/**
 * The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).
 *
 * The code is canonical: codes count upwards in the order of their lengths, and of their symbols where the lengths are
 * equal. So the lengths say it all. Symbols are bytes; the last code, 30 ones, is EOS, and its first bits fill the last byte.
 *
 *     encoded = { code } 0..7 × "1"
 *
 * Refused, as section 5.2 asks: EOS itself, more than seven bits of padding, and padding that is not all ones.
 */
import type { Bytes } from "../../bytes/bytes.ts";

/** Bits of the code of each byte. */
// deno-fmt-ignore
const LENGTHS = new Uint8Array([
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
]);

const EOS = 256;
const CODES = new Uint32Array(256);

/** Set in a step: the code went on to EOS. */
const REFUSED = 1 << 16;
/** Set in a step: a code has ended, and the low byte is its symbol. */
const ENDED = 1 << 17;

/**
 * What four more bits do: `STEPS[node << 4 | bits]` has the next node in its second byte and the flags above. No code has
 * fewer than five bits, so that four bits end one code at most. There are 256 nodes in which a code can go on.
 */
const STEPS = new Uint32Array(256 << 4);

/** Whether the bits up to a node are fewer than eight ones: padding, or nothing. */
const PADS = new Uint8Array(256);

buildTables();

function buildTables(): void {
  const bySymbol = Array.from(LENGTHS, (length, symbol) => ({ symbol, length }));
  const inOrder = [...bySymbol.sort((a, b) => a.length - b.length), { symbol: EOS, length: 30 }];
  // A tree first: its leaves are symbols below zero, so that node 0, the root, is nobody's child.
  const children = [new Int16Array(2)];
  let code = 0;
  let previous = 0;
  for (const { symbol, length } of inOrder) {
    code *= 2 ** (length - previous);
    previous = length;
    if (symbol !== EOS) CODES[symbol] = code;
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const side = (code >>> bit) & 1;
      if (children[node][side] === 0) children[node][side] = children.push(new Int16Array(2)) - 1;
      node = children[node][side];
    }
    children[node][code & 1] = ~symbol;
    code++;
  }
  for (let at = 0; at < STEPS.length; at++) STEPS[at] = step(children, at >> 4, at & 15);
  for (let node = 0, bits = 0; bits < 8; bits++, node = children[node][1]) PADS[node] = 1;
}

function step(children: Int16Array[], node: number, bits: number): number {
  let flags = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node][(bits >> bit) & 1];
    if (next === ~EOS) return REFUSED;
    if (next < 0) flags = ENDED | ~next;
    node = Math.max(next, 0);
  }
  return flags | node << 8;
}

/** Most bytes that an encoded string of this many bytes can be. */
export function huffmanMost(length: number): number {
  return Math.floor(length * 8 / 5);
}

/**
 * Decodes `block` from `from` to `end` into `into`, which has room for {@link huffmanMost}. Returns how many bytes that
 * were, or -1 where it is no Huffman code.
 */
export function huffmanDecode(block: Bytes, from: number, end: number, into: Bytes): number {
  let node = 0;
  let length = 0;
  for (let at = from; at < end; at++) {
    const byte = block[at];
    const high = STEPS[node << 4 | byte >> 4];
    if (high & ENDED) into[length++] = high;
    const low = STEPS[high >> 4 & 0xff0 | byte & 15];
    if (low & ENDED) into[length++] = low;
    if ((high | low) & REFUSED) return -1;
    node = low >> 8 & 0xff;
  }
  return PADS[node] ? length : -1;
}

/** Bytes of the encoded form of a string. `NaN` where a character is no byte. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += LENGTHS[text.charCodeAt(i)];
  return Math.ceil(bits / 8);
}

/** Writes the encoded form of a string of one byte a character at `at`, where there is room, and returns where it ends. */
export function huffmanEncode(text: string, into: Bytes, at: number): number {
  // The last bits that were not written, at most seven; a code of up to 30 bits goes in by bytes, to stay below 32 bits.
  let rest = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    const code = CODES[symbol];
    for (let left = LENGTHS[symbol]; left > 0;) {
      const taken = Math.min(left, 8);
      left -= taken;
      rest = rest << taken | code >>> left & (1 << taken) - 1;
      bits += taken;
      if (bits >= 8) {
        bits -= 8;
        into[at++] = rest >>> bits;
      }
    }
  }
  if (bits > 0) into[at++] = rest << 8 - bits | 0xff >> bits;
  return at;
}
