/** CRC-32 as zip and gzip have it, eight bytes at a time. */

const TABLES: readonly Uint32Array[] = tables();

function tables(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
    first[i] = crc >>> 0;
  }
  const all = [first];
  for (let t = 1; t < 8; t++) {
    all.push(all[t - 1].map((crc) => ((crc >>> 8) ^ first[crc & 0xff]) >>> 0));
  }
  return all;
}

/** The CRC of bytes that follow others, whose CRC is `crc` (0 if there are none). */
export function crc32(bytes: Uint8Array, crc = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES;
  let c = ~crc;
  let at = 0;
  for (const last = bytes.length - 8; at <= last; at += 8) {
    c ^= bytes[at] | bytes[at + 1] << 8 | bytes[at + 2] << 16 | bytes[at + 3] << 24;
    c = t7[c & 0xff] ^ t6[c >>> 8 & 0xff] ^ t5[c >>> 16 & 0xff] ^ t4[c >>> 24] ^
      t3[bytes[at + 4]] ^ t2[bytes[at + 5]] ^ t1[bytes[at + 6]] ^ t0[bytes[at + 7]];
  }
  for (; at < bytes.length; at++) c = (c >>> 8) ^ t0[(c ^ bytes[at]) & 0xff];
  return ~c >>> 0;
}
