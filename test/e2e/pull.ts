/** A closure copied out of a cache by real nix, and every byte of it proven by nix. */
import assert from "node:assert/strict";
import { type Closure, narHashes } from "./closures.ts";
import { type User } from "./nix.ts";

/**
 * Copy a closure from a cache into an empty store of its own folder, let nix hash all of its contents, and compare
 * with the hashes of the day the closure was built.
 * @param options further options of `nix copy`; signatures are not asked for unless they say so
 */
export async function pull(
  user: User,
  cache: string,
  closure: Closure,
  folder: string,
  options: string[] = ["--no-check-sigs"],
): Promise<void> {
  await user.nixCommand("copy", "--from", cache, "--to", folder, ...options, closure.root);
  await verify(user, closure, folder);
}

/** Let nix prove the contents of a store in a folder, which holds a closure and nothing else. */
export async function verify(user: User, closure: Closure, folder: string): Promise<void> {
  const outcome = await user.attempt("nix-store", "--store", folder, "--verify", "--check-contents");
  assert.equal(outcome.code, 0, outcome.stderr);
  const valid = await user.nixStore("--store", folder, "--query", "--requisites", closure.root);
  assert.deepEqual(valid.trim().split("\n").toSorted(), closure.paths.toSorted());
  assert.deepEqual(await narHashes(user, closure.paths, "--store", folder), closure.narHashes);
}
