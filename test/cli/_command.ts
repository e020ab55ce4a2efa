// The command as a user runs it, for the tests of what it does.
import assert from "node:assert/strict";
import { type Need, permissions, testNeeding } from "../needs.ts";

export const MAIN = new URL("../../mod.ts", import.meta.url).href;

export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs firn to its end, without any variable of its own but these, and one that keeps it off a port others may use. */
export async function firn(args: string[], env: Record<string, string> = {}): Promise<Outcome> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", MAIN, ...args],
    env: { FIRN_GRPC_LISTEN: "127.0.0.1:0", ...env },
  });
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** A command line that cannot be carried out: exit code 2, one line, no stack, nothing on stdout. */
export async function assertMisused(
  args: string[],
  why: RegExp,
  env: Record<string, string> = {},
): Promise<void> {
  const { code, stdout, stderr } = await firn(args, env);
  assert.equal(code, 2, stderr);
  assert.equal(stdout, "");
  assert.match(stderr, /^firn: [^\n]+\n$/);
  assert.match(stderr, why);
}

/** Declares a test with a folder of its own. */
export function commandTest(title: string, body: (folder: string) => Promise<void>, ...needs: Need[]): void {
  testNeeding(permissions, ...needs)({
    name: title,
    // The runtime keeps signal handlers of children for a moment longer than a test takes.
    sanitizeResources: false,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "firn-cli-" });
      try {
        await body(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}
