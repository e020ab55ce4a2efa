/** Who makes a call, for the methods that answer it. */
import { type ContextKey, type ContextValues, createContextKey } from "@connectrpc/connect";
import { ANYBODY, type Caller } from "../door.ts";

/** Who calls; without a door, anybody. */
export const CALLER: ContextKey<Caller> = createContextKey<Caller>(ANYBODY, {
  description: "who makes the call",
});

/** Who is told the code of an error as soon as it is known, for it may be written where no transport sees it. */
export const TOLD: ContextKey<(code: number) => void> = createContextKey<(code: number) => void>(() => {}, {
  description: "who is told how the call ended",
});

/** Who makes the call of these values. */
export function callerIn(values: ContextValues | undefined): Caller {
  return values?.get(CALLER) ?? ANYBODY;
}
