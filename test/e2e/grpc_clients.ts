/**
 * What the end-to-end tests of gRPC share: where real clients are found, running them, and a server for each test.
 *
 * evans, grpcurl and h2spec are looked for on PATH and where `install_grpc_clients.sh` puts them.
 */
import { type Need, permissions, permitted, testNeeding, tool } from "../needs.ts";
import { FirnServer } from "./server.ts";

/** Longest run of a client, in milliseconds. */
const PATIENCE = 120_000;

/** The folder of `install_grpc_clients.sh`. */
function clientFolder(): string {
  return `${Deno.env.get("XDG_CACHE_HOME") || `${Deno.env.get("HOME")}/.cache`}/firn/bin`;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}

/** The command to start a client that `install_grpc_clients.sh` installs. */
export function clientPath(name: string): string {
  const path = `${clientFolder()}/${name}`;
  return isFile(path) ? path : name;
}

/** A client that `install_grpc_clients.sh` installs. */
export function client(name: string): Need {
  return () => {
    const missing = permissions() ?? (isFile(clientPath(name)) ? undefined : tool(name, name)());
    return missing?.startsWith(`needs ${name}`)
      ? `needs ${name}, run test/e2e/install_grpc_clients.sh`
      : missing;
  };
}

/** Debian's own python first, since its package is for that one. */
const PYTHONS = ["/usr/bin/python3", "python3"];

function findPython(): string | undefined {
  return PYTHONS.find((python) => {
    try {
      return new Deno.Command(python, { args: ["-c", "import grpc"], stdout: "null", stderr: "null" })
        .outputSync().success;
    } catch {
      return false;
    }
  });
}

/** A python that has grpcio. */
export const PYTHON = permitted ? findPython() : undefined;

export const pythonGrpc: Need = () =>
  permissions() ?? (PYTHON ? undefined : "needs python3 with grpc, of the Debian package python3-grpcio");

export const nghttp = tool("nghttp", "nghttp2-client");
export const h2load = tool("h2load", "nghttp2-client");
export const curl = tool("curl", "curl");
export const openssl = tool("openssl", "openssl");

/** What a client left: its exit code, and what it wrote. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a client to its end. One that hangs is ended, and has the code of that. */
export async function run(command: string, args: string[], input: string | Uint8Array = ""): Promise<Ran> {
  const child = new Deno.Command(command, {
    args,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(PATIENCE),
  }).spawn();
  const bytes = typeof input === "string" ? new TextEncoder().encode(input) : input;
  const stdin = child.stdin.getWriter();
  // A client may end without reading all; its code says what became of that.
  const fed = stdin.write(bytes).then(() => stdin.close()).catch(() => {});
  const { code, stdout, stderr } = await child.output();
  await fed;
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

/** Declares a test in a folder of its own, removed after it. */
export function folderTest(title: string, body: (folder: string) => Promise<void>, ...needs: Need[]): void {
  testNeeding(permissions, ...needs)({
    name: title,
    // The runtime keeps signal handlers of children for a moment longer than a test takes.
    sanitizeResources: false,
    fn: async () => {
      const folder = await Deno.makeTempDir({ prefix: "firn-grpc-" });
      try {
        await body(folder);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** Declares a test with a server of its own, over a store in a folder. */
export function grpcTest(
  title: string,
  body: (server: FirnServer, folder: string) => Promise<void>,
  ...needs: Need[]
): void {
  folderTest(title, async (folder) => {
    await using server = await FirnServer.start(`${folder}/store`);
    await body(server, folder);
  }, ...needs);
}

/** A certificate for 127.0.0.1 that signs itself, and its key, as files. */
export async function makeCertificate(folder: string): Promise<{ cert: string; key: string }> {
  const [cert, key] = [`${folder}/cert.pem`, `${folder}/key.pem`];
  const { code, stderr } = await run("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"],
    ...["-subj", "/CN=firn.test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
    ...["-keyout", key, "-out", cert],
  ]);
  if (code !== 0) throw new Error(`Cannot make a certificate: ${stderr}`);
  return { cert, key };
}
