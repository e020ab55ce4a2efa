/** What runs in a browser: named cases, gathered in suites. */
import type { ContractCase } from "../contract/case.ts";

export interface BrowserCase {
  readonly name: string;
  run(): Promise<void>;
}

export interface Suite {
  readonly name: string;
  readonly cases: readonly BrowserCase[];
}

/** A contract of what `make` opens. */
export function suiteOf<T>(
  name: string,
  contract: readonly ContractCase<T>[],
  make: () => Promise<T>,
): Suite {
  return { name, cases: contract.map((one) => ({ name: one.name, run: () => one.run(make) })) };
}

/** How a case ended; without an error it passed. */
export interface Result {
  readonly suite: string;
  readonly name: string;
  readonly error?: string;
}

/** What a page tells of itself before the first result. */
export interface About {
  readonly userAgent: string;
  /** Where the suites run. */
  readonly realm: "page" | "worker";
  readonly isolated: boolean;
}

/** Why a page cannot go on. */
export interface Failure {
  readonly message: string;
}
