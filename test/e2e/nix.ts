/**
 * Real nix, for end-to-end tests: finds the versions this machine has, declares tests that need one, and runs its
 * commands for a user who has never used it before.
 *
 * Two versions are looked for: `nix` on PATH (`old`: 2.8 from Debian 12) and the one `install_nix.sh` unpacked (`new`;
 * FIRN_NEWER_NIX names another).
 */
import { dirname } from "node:path";
import { type Need, permissions, permitted, testNeeding } from "../needs.ts";

/** One version of nix. */
export interface Nix {
  readonly name: "old" | "new";
  /** As it says itself: `2.8.0`. */
  readonly version: string;
  /** What goes in front of `nix`, `nix-store` and `nix-build` to start them: a folder with a slash, or nothing. */
  readonly folder: string;
}

/** What a finished command left. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** No substituter, no sandbox, no build users: as root on a bare machine, with no network. */
const SETTINGS = [
  "experimental-features = nix-command flakes",
  "substituters =",
  "sandbox = false",
  "build-users-group =",
  "fsync-metadata = false",
];

function find(name: Nix["name"], folder: string): Nix | undefined {
  try {
    const { stdout, success } = new Deno.Command(`${folder}nix`, { args: ["--version"] }).outputSync();
    const version = new TextDecoder().decode(stdout).trim().split(" ").at(-1);
    return success && version ? { name, version, folder } : undefined;
  } catch {
    return undefined;
  }
}

function newerFolder(): string {
  const named = Deno.env.get("FIRN_NEWER_NIX");
  if (named) return `${dirname(named)}/`;
  const cache = Deno.env.get("XDG_CACHE_HOME") ?? `${Deno.env.get("HOME")}/.cache`;
  return `${cache}/firn/nix-trixie/bin/`;
}

const found: Record<Nix["name"], Nix | undefined> = {
  old: permitted ? find("old", "") : undefined,
  new: permitted ? find("new", newerFolder()) : undefined,
};

/** A version of nix that was found. Every test takes its paths from the machine's own store, which the old one fills. */
function needOf(name: Nix["name"]): Need {
  return () => {
    if (!found.old) return permissions() ?? "needs nix, of the Debian package nix-bin";
    return found[name] ? undefined : "needs a newer nix, run test/e2e/install_nix.sh";
  };
}

/**
 * Declare a test that needs nix, and whatever else it says. Its name ends with the version, or with the reason why it is
 * ignored. The folder is empty, the test's own, and removed after it.
 */
export function nixTest(
  title: string,
  name: Nix["name"],
  body: (nix: Nix, folder: string, context: Deno.TestContext) => Promise<void>,
  ...needs: Need[]
): void {
  const nix = found[name];
  testNeeding(needOf(name), ...needs)({
    name: nix ? `${title} (nix ${nix.version})` : title,
    // The runtime keeps signal handlers of children for a moment longer than a test takes.
    sanitizeResources: false,
    fn: async (context) => {
      const folder = await Deno.makeTempDir({ prefix: "firn-e2e-" });
      try {
        await body(nix!, folder, context);
      } finally {
        await removeFolder(folder);
      }
    },
  });
}

/** The nix of this machine's own store, which builds what tests copy. */
export function builder(): Nix {
  return found.old!;
}

/** Remove a folder that may hold store paths, which nix makes read-only. */
async function removeFolder(folder: string): Promise<void> {
  await new Deno.Command("chmod", { args: ["-R", "u+w", folder], stderr: "null" }).output();
  await Deno.remove(folder, { recursive: true });
}

/** A user of nix with an empty HOME, where nix remembers the narinfos it has seen. */
export class User {
  /**
   * @param home made when missing; the same home is the same user again
   * @param settings more lines of nix.conf
   */
  constructor(readonly nix: Nix, readonly home: string, readonly settings: readonly string[] = []) {
    Deno.mkdirSync(home, { recursive: true });
  }

  /** Start a command; the caller waits for it, or ends it. */
  start(
    command: "nix" | "nix-store" | "nix-build",
    args: string[],
    stdin: "null" | "piped" = "null",
  ): Deno.ChildProcess {
    return new Deno.Command(this.nix.folder + command, {
      args,
      clearEnv: true,
      env: {
        HOME: this.home,
        PATH: Deno.env.get("PATH") ?? "/usr/bin:/bin",
        TMPDIR: this.home,
        NIX_CONFIG: [...SETTINGS, ...this.settings].join("\n"),
      },
      stdin,
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  }

  /** Run a command to its end, whatever that is. */
  async attempt(command: "nix" | "nix-store" | "nix-build", ...args: string[]): Promise<Outcome> {
    return await outcomeOf(this.start(command, args));
  }

  /** Run `nix` and return what it printed. @throws {Error} with its messages when it fails */
  async nixCommand(...args: string[]): Promise<string> {
    return printed("nix", args, await this.attempt("nix", ...args));
  }

  /** Run `nix-store` and return what it printed. @throws {Error} with its messages when it fails */
  async nixStore(...args: string[]): Promise<string> {
    return printed("nix-store", args, await this.attempt("nix-store", ...args));
  }

  /** Copy a path and all it refers to into a cache. @throws {Error} with nix's messages when it fails */
  async push(cache: string, path: string): Promise<void> {
    await this.nixCommand("copy", "--to", cache, path);
  }

  /** Build an expression in the machine's own store. @returns the store paths of what it evaluates to */
  async build(expression: string): Promise<string[]> {
    const args = ["--no-out-link", "--expr", expression];
    return lines(printed("nix-build", args, await this.attempt("nix-build", ...args)));
  }
}

/** Wait for a child of {@link User.start}. */
export async function outcomeOf(child: Deno.ChildProcess): Promise<Outcome> {
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function printed(command: string, args: string[], outcome: Outcome): string {
  if (outcome.code === 0) return outcome.stdout;
  const shown = args.join(" ");
  throw new Error(
    `${command} ${shown.slice(0, 300)} ended with ${outcome.code}:\n${outcome.stderr.slice(-4000)}`,
  );
}

/** The lines of a text that are not empty. */
export function lines(text: string): string[] {
  return text.split("\n").filter((line) => line !== "");
}
