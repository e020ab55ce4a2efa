/**
 * Errors as data: what the engine throws, told so that it survives the way from the worker to the page.
 */
import type { Fault } from "./engine.ts";

/** What calls of the engine reject with. */
export class EngineError extends Error {
  constructor(readonly fault: Fault) {
    super(fault.message);
    this.name = fault.name;
  }
}

const TEXTS = ["claim", "claimed", "actual", "kind", "key", "address"] as const;
const NUMBERS = ["limit", "status"] as const;

/** The fault of anything that was thrown. */
export function faultOf(thrown: unknown): Fault {
  if (thrown instanceof EngineError) return thrown.fault;
  if (!(thrown instanceof Error) && !(thrown instanceof DOMException)) {
    return { name: "Error", message: String(thrown) };
  }
  const fields = thrown as unknown as Record<string, unknown>;
  const fault: Record<string, unknown> = { name: thrown.name, message: thrown.message };
  for (const field of TEXTS) if (typeof fields[field] === "string") fault[field] = fields[field];
  for (const field of NUMBERS) if (typeof fields[field] === "number") fault[field] = fields[field];
  return fault as unknown as Fault;
}
