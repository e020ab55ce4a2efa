/** FastCDC's search for a boundary, with the rolling hash in 64 bits. */

/** GEAR, then each of its values shifted left by one: 256 u64 each, written by the host. */
export const GEAR = memory.data(2 * 256 * 8, 16);
const DOUBLED: usize = 256 * 8;

let hash: u64 = 0;

/** Forgets the bytes rolled in. */
export function restart(): void {
  hash = 0;
}

/** Rolls in pairs of bytes; gives how many bytes come before the boundary, or -1 where none is found. */
export function scan(input: usize, pairs: u32, mask: u64): i32 {
  let h = hash;
  const end = input + 2 * pairs;
  const doubledMask = mask << 1;
  for (let at = input; at < end; at += 2) {
    const first = load<u64>(GEAR + (<usize> load<u8>(at) << 3), DOUBLED);
    const second = load<u64>(GEAR + (<usize> load<u8>(at, 1) << 3));
    h = (h << 2) + first;
    if ((h & doubledMask) == 0) return <i32> (at - input);
    h += second;
    if ((h & mask) == 0) return <i32> (at - input) + 1;
  }
  hash = h;
  return -1;
}
