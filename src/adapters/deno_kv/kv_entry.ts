/**
 * An entry of the index of packs, as Deno KV keeps it:
 *
 *   entry := flags(u8)  u32 offset  u32 length  pack
 *   flags := 1: the pack is a small one  +  2: it is named by a digest  +  4: it holds this value alone
 *   pack  := digest(32)    `pack/` and its hex digits, where it is named by a digest
 *          | nothing       `value/` and the key, where it holds this value alone
 *          | its name
 *
 * Numbers are little endian. An entry of a pack named by its digest takes 41 bytes.
 */
import { type Bytes, concat, fromText, toText } from "../../bytes/bytes.ts";
import { fromHex, toHex } from "../../bytes/hex.ts";
import { DamageError } from "../../errors.ts";
import type { PackEntry, PackLocation } from "../../combinators/pack_index.ts";

const SMALL = 1, DIGEST = 2, ALONE = 4;
const HEAD = 9;
const NAMED_BY_DIGEST = /^pack\/[0-9a-f]{64}$/;

/** What the entry of a value holds. */
export function encodeEntry(pack: string, small: boolean, { key, offset, length }: PackEntry): Bytes {
  const digest = NAMED_BY_DIGEST.test(pack);
  const alone = pack === `value/${key}`;
  const head = new Uint8Array(HEAD);
  head[0] = (small ? SMALL : 0) | (digest ? DIGEST : alone ? ALONE : 0);
  const view = new DataView(head.buffer);
  view.setUint32(1, offset, true);
  view.setUint32(5, length, true);
  if (alone) return head;
  return concat([head, digest ? fromHex(pack.slice("pack/".length)) : fromText(pack)]);
}

/** Where a value lies by its entry. Throws {@link DamageError} for what is none. */
export function decodeEntry(key: string, entry: Bytes): PackLocation {
  const [flags] = entry;
  if (entry.length < HEAD || flags > 5 || (flags & DIGEST && entry.length !== HEAD + 32)) {
    throw new DamageError("entry", key, `Cannot find ${key}: its entry in the index of packs is damaged`);
  }
  const view = new DataView(entry.buffer, entry.byteOffset, entry.length);
  const rest = entry.subarray(HEAD);
  const pack = flags & DIGEST ? `pack/${toHex(rest)}` : flags & ALONE ? `value/${key}` : toText(rest);
  return {
    pack,
    small: (flags & SMALL) !== 0,
    offset: view.getUint32(1, true),
    length: view.getUint32(5, true),
  };
}
