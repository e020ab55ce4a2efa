/** Who makes a call, for the methods that answer it. */
import { type ContextKey, type ContextValues, createContextKey } from "@connectrpc/connect";
import { ANYBODY, type Caller } from "../door.ts";

/** Who calls; without a door, anybody. */
export const CALLER: ContextKey<Caller> = createContextKey<Caller>(ANYBODY, {
  description: "who makes the call",
});

/** Who is told an error and its code as soon as they are known, for those may be written where no transport sees them. */
export const TOLD: ContextKey<Told> = createContextKey<Told>(() => {}, {
  description: "who is told how the call ended",
});

type Told = (code: number, error: unknown) => void;

/** Who makes the call of these values. */
export function callerIn(values: ContextValues | undefined): Caller {
  return values?.get(CALLER) ?? ANYBODY;
}
