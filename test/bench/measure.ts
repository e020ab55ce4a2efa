/** What a benchmark of processes needs: seconds, medians, and commands that must not fail. */

/** Seconds that a task takes. */
export async function seconds(task: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await task();
  return (performance.now() - start) / 1000;
}

/** The middle of some numbers, of which there is at least one. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Run a command and return what it printed, or nothing where `discard` sends that to /dev/null. @throws {Error} when it fails */
export async function run(command: string, args: string[], discard = false): Promise<string> {
  const output = await new Deno.Command(command, {
    args,
    stdin: "null",
    stdout: discard ? "null" : "piped",
    stderr: "piped",
  }).output();
  const decoder = new TextDecoder();
  if (!output.success) {
    const shown = `${command} ${args.join(" ")}`.slice(0, 300);
    throw new Error(`${shown} ended with ${output.code}:\n${decoder.decode(output.stderr).slice(-2000)}`);
  }
  return discard ? "" : decoder.decode(output.stdout);
}

/** Remove a folder that may hold store paths, which nix makes read-only. */
export async function removeTree(folder: string): Promise<void> {
  await run("chmod", ["-R", "u+w", folder]);
  await run("rm", ["-rf", folder]);
}

/** Make a folder, or make it empty. */
export async function emptyFolder(folder: string): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  await removeTree(folder);
  await Deno.mkdir(folder);
}

/** Let all that was written reach the disk, so that the next measurement does not pay for the one before. */
export async function settle(): Promise<void> {
  await run("sync", []);
}
