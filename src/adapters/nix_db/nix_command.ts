/** Nix asked for its records by its command, where its database cannot be read: `nix path-info`, which asks the daemon. */
import { UnreadableError } from "../../errors.ts";
import { formatStorePath, type StorePath, storePathBase } from "../../nix/store_path.ts";
import { parsePathInfoJson } from "./path_info_json.ts";
import type { NixRecords } from "./recorded_path.ts";

export interface NixCommandOptions {
  /** All they refer to, too. */
  readonly recursive: boolean;
  /** The folder that `/nix` is in; default that of the machine. */
  readonly root?: string;
}

/** The records of paths. Throws {@link UnreadableError} when there is no nix, or it cannot tell. */
export async function askNix(
  paths: readonly StorePath[],
  { recursive, root }: NixCommandOptions,
): Promise<NixRecords> {
  const args = ["--extra-experimental-features", "nix-command", "path-info", "--json"];
  if (recursive) args.push("--recursive");
  if (root !== undefined) args.push("--store", root);
  const names = paths.map((path) => formatStorePath(path));
  let output: Deno.CommandOutput;
  try {
    output = await new Deno.Command("nix", { args: [...args, ...names], stdin: "null" }).output();
  } catch (cause) {
    throw new UnreadableError(`Cannot run nix: ${(cause as Error).message}`, { cause });
  }
  if (!output.success) {
    const said = new TextDecoder().decode(output.stderr).trim().split("\n").at(-1);
    throw new UnreadableError(`Cannot learn from nix path-info: ${said || `it ended with ${output.code}`}`);
  }
  const found = parsePathInfoJson(new TextDecoder().decode(output.stdout));
  return { find: (path) => found.get(storePathBase(path)), [Symbol.dispose]() {} };
}
