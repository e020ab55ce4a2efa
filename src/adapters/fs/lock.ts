/**
 * One process at a time: an exclusive advisory lock on a file. The system releases it when the process dies, however
 * it dies, so there is never a stale lock to clean up; the file itself stays.
 */
import { StoreBusyError } from "../../errors.ts";

/**
 * Locks the file, which is created when missing (its folder is not), until it is disposed of. Throws
 * {@link StoreBusyError} when another process, or this one, holds the lock already.
 */
export async function lockFile(
  path: string,
  platform: Pick<typeof Deno, "open"> = Deno,
): Promise<AsyncDisposable> {
  const file = await platform.open(path, { write: true, create: true });
  let locked = false;
  try {
    locked = await file.tryLock(true);
  } finally {
    if (!locked) file.close();
  }
  if (!locked) {
    throw new StoreBusyError(
      `Cannot open this store: another process holds the lock ${path}; stop it, or choose another directory`,
    );
  }
  return {
    // Closing is releasing. The file is not removed: somebody who just opened it would then lock a file without a name.
    [Symbol.asyncDispose]() {
      file.close();
      return Promise.resolve();
    },
  };
}
