/** Pins and garbage collection of a tab's home. */
import { UnsupportedError } from "../../src/errors.ts";
import type { Home } from "../../src/store/services.ts";
import type { Keeping } from "./keeping.ts";

export function openKeeping(_home: Home): Keeping {
  const refuse = () => Promise.reject(new UnsupportedError("Cannot do this yet"));
  return {
    pinned: () => Promise.resolve(new Set<string>()),
    pin: refuse,
    unpin: refuse,
    collect: refuse,
    statistics: refuse,
  };
}
