/**
 * What some tests need and not every run has: permissions, tools, root. Without it such a test is ignored, and says why
 * in its name; where the variable CI is set it fails instead, so that nothing is skipped unseen. A bare `deno test` has
 * no permissions, not even to read CI, and runs all that memory is enough for.
 */

/** Why something is not here, as `needs zstd, of the Debian package zstd`; nothing when it is. */
export type Need = () => string | undefined;

/** `Deno.test` in the forms that are used here. */
export interface TestFunction {
  (name: string, fn: Deno.TestDefinition["fn"]): void;
  (definition: Deno.TestDefinition): void;
}

const PERMISSIONS = ["read", "write", "run", "net", "env", "sys"] as const;

/** Whether this process may do all that a test may want. Asking for a permission that is not given would end the run. */
export const permitted = PERMISSIONS.every((name) =>
  Deno.permissions.querySync({ name }).state === "granted"
);

const continuousIntegration = permitted && !["", "false"].includes(Deno.env.get("CI") ?? "");

export const permissions: Need = () => permitted ? undefined : "needs permissions, run deno task test";

/** A command on PATH, of a Debian package. Like everything below it needs the permissions, too. */
export function tool(command: string, debianPackage: string): Need {
  return () =>
    permissions() ??
      (isOnPath(command) ? undefined : `needs ${command}, of the Debian package ${debianPackage}`);
}

export const xz = tool("xz", "xz-utils");
export const zstd = tool("zstd", "zstd");
export const gzip = tool("gzip", "gzip");
export const brotli = tool("brotli", "brotli");
export const bzip2 = tool("bzip2", "bzip2");

/** A file system of the test's own. */
export const mounting: Need = () => permissions() ?? (mayMount() ? undefined : "needs root that may mount");

/** Declares tests that need all of this. */
export function testNeeding(...needs: Need[]): TestFunction {
  let reason: string | undefined;
  for (const need of needs) reason ??= need();
  return (test: string | Deno.TestDefinition, fn?: Deno.TestDefinition["fn"]) => {
    const definition = typeof test === "string" ? { name: test, fn: fn! } : test;
    if (reason === undefined) Deno.test(definition);
    else if (continuousIntegration) Deno.test({ ...definition, fn: () => fail(reason) });
    else Deno.test({ ...definition, name: `${definition.name} (ignored: ${reason})`, ignore: true });
  };
}

function fail(reason: string): never {
  throw new Error(`Cannot run where CI is set: ${reason}`);
}

function isOnPath(command: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      const { isFile, mode } = Deno.statSync(`${folder}/${command}`);
      return isFile && (mode! & 0o111) !== 0;
    } catch {
      return false;
    }
  });
}

function mayMount(): boolean {
  if (Deno.uid() !== 0 || !isOnPath("mount")) return false;
  const folder = Deno.makeTempDirSync();
  const { success } = new Deno.Command("mount", {
    args: ["-t", "tmpfs", "tmpfs", folder],
    stderr: "null",
  }).outputSync();
  if (success) new Deno.Command("umount", { args: [folder] }).outputSync();
  Deno.removeSync(folder);
  return success;
}
