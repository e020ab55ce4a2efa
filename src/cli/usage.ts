/** A command line that cannot be carried out as it is: told without a stack, and the process exits with 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
