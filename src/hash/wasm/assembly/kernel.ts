/** What the kernel offers, and the places its host must know. */
import {
  FILL, GROUP, INPUTS, MAX_INPUTS, RESULTS, STACK, STAGE, STAGE_SIZE, STATE_SIZE, WINDOW as WINDOW_OFFSET,
} from "./layout";
import { GEAR } from "./fastcdc";

export { absorb, finish, groupValues, parent, reset } from "./blake3";
export { hashInputs } from "./many";
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
/** Where input goes that is hashed where it lies, how many bytes there may be, and where the results are then. */
export const stage: usize = STAGE;
export const stageSize: u32 = STAGE_SIZE;
export const inputs: usize = INPUTS;
export const maxInputs: u32 = MAX_INPUTS;
export const results: usize = RESULTS;
