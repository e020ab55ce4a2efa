/**
 * Where things lie in the kernel's memory, and BLAKE3's constants. AssemblyScript, not TypeScript: compiled by
 * `../build.ts`, left alone by the tools for TypeScript.
 *
 *   state   groups u64 | first chunk u64 | depth u32 | fill u32 | 8 bytes free | stack | window
 *   stack   `depth` chaining values (32 bytes each) of finished subtrees, the largest first
 *   window  the input not hashed yet: `fill` bytes
 */

/** Bytes in a chunk, a leaf of BLAKE3's tree. */
export const CHUNK: u32 = 1024;
/**
 * Input is hashed in groups, aligned, of this many chunks. Large enough that nearly all parents are hashed several at
 * once; small because a hasher that makes way for another takes along up to a group of input.
 */
export const GROUP_CHUNKS: u32 = 32;
export const GROUP: u32 = GROUP_CHUNKS * CHUNK;

export const GROUPS: usize = 0;
export const FIRST: usize = 8;
export const DEPTH: usize = 16;
export const FILL: usize = 20;
export const STACK: usize = 32;
/** A tree of 2^64 bytes has 54 levels; the last two values pushed wait unmerged. */
export const STACK_SIZE: usize = 56 * 32;
export const WINDOW: usize = STACK + STACK_SIZE;
/** Lanes without work read past the window's end: seven chunks at most. */
export const STATE_SIZE: i32 = 32 + 56 * 32 + 40 * 1024;

/** The chaining values of a group, and room for those of lanes without work. */
export const NODES = memory.data(48 * 32, 16);
/** Two sets of sixteen vectors: the blocks of eight lanes, transposed. */
export const MESSAGE = memory.data(2 * 16 * 16, 16);
/** Which bytes of a vector go where when each word is rotated to the right by 8 and by 16 bits. */
export const ROTATE_8 = memory.data<u8>([1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12], 16);
export const ROTATE_16 = memory.data<u8>([2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13], 16);

/** Room for input that is hashed where it lies; past its end, what lanes without work read. */
export const STAGE_SIZE: u32 = 512 * 1024;
export const STAGE = memory.data(<i32> STAGE_SIZE + 2048, 64);
/**
 * What is hashed in one call (see `many.ts`): for each input 16 bytes, of which the host writes the first two numbers,
 * where in the stage it begins and its length; then how many nodes it has now (u32) and where they lie (u32).
 */
export const MAX_INPUTS: u32 = 1024;
export const INPUTS = memory.data(<i32> MAX_INPUTS * 16, 16);
/** Results, 32 bytes each: the digests of the inputs, or the values of groups. */
export const RESULTS = memory.data(<i32> MAX_INPUTS * 32, 16);
/** Chaining values of all inputs' chunks: each input may have one that is not full. */
export const MANY_NODES = memory.data(<i32> (STAGE_SIZE / CHUNK + MAX_INPUTS) * 32, 16);
/** Eight jobs for `gather8`, and where the value of one that is not wanted goes. */
export const JOBS = memory.data(8 * 32, 16);
export const NOWHERE = memory.data(32, 16);

export const CHUNK_START: u32 = 1;
export const CHUNK_END: u32 = 2;
export const PARENT: u32 = 4;
export const ROOT: u32 = 8;

export const IV0: u32 = 0x6a09e667;
export const IV1: u32 = 0xbb67ae85;
export const IV2: u32 = 0x3c6ef372;
export const IV3: u32 = 0xa54ff53a;
export const IV4: u32 = 0x510e527f;
export const IV5: u32 = 0x9b05688c;
export const IV6: u32 = 0x1f83d9ab;
export const IV7: u32 = 0x5be0cd19;
