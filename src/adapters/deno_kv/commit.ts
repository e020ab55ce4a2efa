/**
 * Commits, and what they may run into: a full disk, and other writers.
 */
import { StoreFullError } from "../../errors.ts";

/** Longest pause before another attempt, in milliseconds. */
const LONGEST_PAUSE = 64;

/**
 * Commits the atomic. Returns its versionstamp, or `undefined` when a check failed and nothing changed. Throws
 * {@link StoreFullError} when there is no room.
 */
export async function commit(atomic: Deno.AtomicOperation): Promise<string | undefined> {
  try {
    const result = await atomic.commit();
    return result.ok ? result.versionstamp : undefined;
  } catch (error) {
    // Deno KV has no error class for it: this is SQLite's message in a TypeError.
    if (error instanceof Error && error.message.includes("database or disk is full")) {
      throw new StoreFullError(
        "Cannot write to Deno KV: no room is left on the disk of its file; make some",
        {
          cause: error,
        },
      );
    }
    throw error;
  }
}

/** Waits before an attempt (0 is the first, which need not wait): by chance, so that writers get out of step. */
export async function pauseBefore(attempt: number): Promise<void> {
  if (attempt === 0) return;
  const longest = Math.min(2 ** attempt, LONGEST_PAUSE);
  await new Promise((resolve) => setTimeout(resolve, Math.random() * longest));
}
