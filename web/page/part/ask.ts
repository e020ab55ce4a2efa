/** Asking the engine from a view: the answer to the latest question, or why there is none. */
import { useCallback, useEffect, useState } from "preact/hooks";
import type { Fault } from "../../engine/engine.ts";
import { faultOf } from "../../engine/fault.ts";

export interface Answer<T> {
  readonly value?: T;
  readonly fault?: Fault;
  readonly waiting: boolean;
  readonly again: () => void;
}

/**
 * Asks whenever one of `about` changes. While the next answer is on its way the last one stands, unless `fresh` changed, for then it
 * would be about something else.
 */
export function useAnswer<T>(ask: () => Promise<T>, about: readonly unknown[], fresh = about): Answer<T> {
  const [turn, setTurn] = useState(0);
  const [answer, setAnswer] = useState<{ key: string; value?: T; fault?: Fault } | undefined>(undefined);
  const key = JSON.stringify(fresh);
  useEffect(() => {
    let late = false;
    ask().then(
      (value) => late || setAnswer({ key, value }),
      (error) => late || setAnswer({ key, fault: faultOf(error) }),
    );
    return () => {
      late = true;
    };
  }, [...about, turn]);
  const again = useCallback(() => {
    setAnswer(undefined);
    setTurn((n) => n + 1);
  }, []);
  const known = answer?.key === key ? answer : undefined;
  return { value: known?.value, fault: known?.fault, waiting: known === undefined, again };
}
