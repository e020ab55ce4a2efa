/** Waiting for a server that a store is kept on: who starts first does not matter. */
import { RemoteError } from "../errors.ts";

/** Longest pause before another attempt, in milliseconds. */
const LONGEST_PAUSE = 4000;

/** Opens something; while its server cannot be reached, that is told in a line, and tried again. */
export async function untilThere<T>(open: () => Promise<T>, log: (line: string) => void): Promise<T> {
  let told = "";
  for (let pause = 250;; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      return await open();
    } catch (error) {
      if (!(error instanceof RemoteError)) throw error;
      if (error.message !== told) log(`${error.message}; waiting for it`);
      told = error.message;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}
