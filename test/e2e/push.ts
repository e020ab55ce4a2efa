/** firn push as a child process, as a user runs it. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Outcome, outcomeOf } from "./nix.ts";

const MAIN = fileURLToPath(new URL("../../mod.ts", import.meta.url));

/** Starts firn push; the caller waits for it, or ends it. @param wrapper a command that runs it */
export function startPush(
  args: readonly string[],
  env: Record<string, string> = {},
  wrapper: readonly string[] = [],
): Deno.ChildProcess {
  const [command, ...rest] = [...wrapper, Deno.execPath(), "run", "-A", MAIN, "push", ...args];
  return new Deno.Command(command, { args: rest, env, stdin: "null", stdout: "piped", stderr: "piped" })
    .spawn();
}

/** Runs firn push to its end, whatever that is. */
export async function attemptPush(
  args: readonly string[],
  env: Record<string, string> = {},
  wrapper: readonly string[] = [],
): Promise<Outcome> {
  return await outcomeOf(startPush(args, env, wrapper));
}

/** What firn push --json prints. */
export interface Summary {
  readonly roots: string[];
  readonly sent: string[];
  readonly there: string[];
  readonly sentBytes: number;
  readonly bodyBytes: number;
  readonly sharedBytes: number;
  readonly readBytes: number;
  readonly requests: number;
}

/** Runs firn push, which must succeed. */
export async function push(args: readonly string[], env: Record<string, string> = {}): Promise<Summary> {
  const { code, stdout, stderr } = await attemptPush([...args, "--json"], env);
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout);
}
