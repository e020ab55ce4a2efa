/**
 * Runs a contract under `Deno.test`: one test a case.
 */
import { type Need, testNeeding } from "../needs.ts";
import type { ContractCase } from "./case.ts";

/** Registers a test for each case; `make` opens a new, empty implementation, and needs these. */
export function testContract<T>(
  subject: string,
  cases: readonly ContractCase<T>[],
  make: () => Promise<T>,
  needs: readonly Need[] = [],
): void {
  const test = testNeeding(...needs);
  for (const { name, run } of cases) test(`${subject}: ${name}`, () => run(make));
}
