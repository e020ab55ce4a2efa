/**
 * The shape of a contract: what an interface promises, as data. A case is one promise in words and a function that
 * finds out whether an implementation keeps it. Nothing here needs more than a browser has, so the same cases run in
 * Deno, in a browser page and against a remote service.
 */

/** One promise of an interface `T`. */
export interface ContractCase<T> {
  /** The promise, as a sentence; unique in its contract. */
  readonly name: string;
  /**
   * Resolves when the promise is kept and rejects when it is not. `make` opens a new, empty implementation, which the
   * case disposes of.
   */
  run(make: () => Promise<T>): Promise<void>;
}

/** A case that needs one instance, which is disposed of at its end. */
export function promiseOf<T extends AsyncDisposable>(
  name: string,
  test: (subject: T) => Promise<void>,
): ContractCase<T> {
  return {
    name,
    async run(make) {
      await using subject = await make();
      await test(subject);
    },
  };
}

/** A promise that was not kept. */
export class BrokenPromiseError extends Error {
  override readonly name = "BrokenPromiseError";
}

/** Throws a {@link BrokenPromiseError} unless the condition holds. */
export function ensure(condition: boolean, message: string): asserts condition {
  if (!condition) throw new BrokenPromiseError(message);
}

/** Throws unless both values are the same: primitives, byte arrays, and arrays of these. */
export function ensureSame(actual: unknown, expected: unknown, about: string): void {
  ensure(same(actual, expected), `${about}: got ${show(actual)}, want ${show(expected)}`);
}

/** Throws unless the promise rejects with an error of this class, which is returned. */
export async function ensureRejects<E extends Error>(
  promise: Promise<unknown>,
  errorClass: new (...args: never[]) => E,
  about: string,
): Promise<E> {
  let outcome: unknown;
  try {
    outcome = await promise;
  } catch (error) {
    ensure(error instanceof errorClass, `${about}: threw ${error}, want a ${errorClass.name}`);
    return error;
  }
  throw new BrokenPromiseError(`${about}: resolved to ${show(outcome)}, want a ${errorClass.name}`);
}

function same(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) {
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
  }
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, i) => same(item, b[i]));
  }
  return Object.is(a, b);
}

function show(value: unknown): string {
  if (value instanceof Uint8Array) return `${value.length} bytes [${value.slice(0, 16)}]`;
  const text = Array.isArray(value) ? `[${value.map(show).join(", ")}]` : String(value);
  return text.length > 400 ? text.slice(0, 400) + "…" : text;
}
