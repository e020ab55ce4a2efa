/** What the kernel offers, and the places its host must know. */
import { FILL, GROUP, STACK, STATE_SIZE, WINDOW as WINDOW_OFFSET } from "./layout";
import { GEAR } from "./fastcdc";

export { absorb, finish, parent, reset } from "./blake3";
export { restart, scan } from "./fastcdc";

/** The state of the hasher under way, and the one for bytes hashed in one call. */
const first = memory.data(STATE_SIZE, 16);
const second = memory.data(STATE_SIZE, 16);

export const incrementalState: usize = first;
export const oneShotState: usize = second;
/** Offsets in a state: of the number of bytes in the window, of the digest that `finish` leaves, of the window. */
export const fillOffset: usize = FILL;
export const digestOffset: usize = STACK;
export const windowOffset: usize = WINDOW_OFFSET;
/** Bytes the window takes. */
export const windowSize: u32 = GROUP;
export const gear: usize = GEAR;
