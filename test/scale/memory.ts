/**
 * The resident memory of a process, watched from outside: `VmRSS` of `/proc/<pid>/status` every 50 ms, and `VmHWM`, in
 * which the kernel itself keeps the highest there ever was. Both count everything that is resident: heaps, code, buffers.
 */
import type { FirnServer } from "../e2e/server.ts";

const EVERY_MS = 50;

/** What a stretch of time took, in bytes. */
export interface Watched {
  readonly median: number;
  /** The highest sample. */
  readonly highest: number;
  /** The highest since the process began, by the kernel. */
  readonly peak: number;
}

/** Does something while the memory of a server is watched. */
export async function watching<T>(
  server: FirnServer,
  work: () => Promise<T>,
): Promise<{ result: T; seconds: number; memory: Watched }> {
  const samples: number[] = [server.memory().now];
  const timer = setInterval(() => samples.push(server.memory().now), EVERY_MS);
  const started = performance.now();
  try {
    const result = await work();
    const seconds = (performance.now() - started) / 1000;
    const { now, peak } = server.memory();
    samples.push(now);
    const sorted = samples.toSorted((a, b) => a - b);
    return { result, seconds, memory: { median: sorted[sorted.length >> 1], highest: sorted.at(-1)!, peak } };
  } finally {
    clearInterval(timer);
  }
}
