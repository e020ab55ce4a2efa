/**
 * Runs a contract under `Deno.test`: one test a case.
 */
import type { ContractCase } from "./case.ts";

/** What a run of a contract may be told. */
export interface ContractOptions {
  /** Names of cases that are left out, each with the reason. A name that is no case is an error. */
  readonly skip?: Readonly<Record<string, string>>;
  /** Whether to leave all out by name, because something they need is not there. */
  readonly ignore?: boolean;
}

/** Registers a test for each case; `make` opens a new, empty implementation. */
export function testContract<T>(
  subject: string,
  cases: readonly ContractCase<T>[],
  make: () => Promise<T>,
  options: ContractOptions = {},
): void {
  const skip = new Map(Object.entries(options.skip ?? {}));
  for (const { name, run } of cases) {
    const reason = skip.get(name);
    skip.delete(name);
    const suffix = reason === undefined ? "" : ` (skipped: ${reason})`;
    const ignore = options.ignore || reason !== undefined;
    Deno.test({ name: `${subject}: ${name}${suffix}`, ignore, fn: () => run(make) });
  }
  if (skip.size > 0) throw new Error(`Cannot skip ${[...skip.keys()].join("; ")}: no such case`);
}

/** Whether this process has all these permissions: a bare `deno test` has none and must pass all the same. */
export function granted(...names: Deno.PermissionDescriptor["name"][]): boolean {
  return names.every((name) => {
    return Deno.permissions.querySync({ name } as Deno.PermissionDescriptor).state === "granted";
  });
}
