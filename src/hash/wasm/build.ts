/**
 * Compiles the kernel from `assembly/` into `kernel_module.ts`. With `--check` nothing is written: exits with 1 if the
 * committed module is not what its source gives.
 */
import asc from "npm:assemblyscript@0.28.20/asc";
import { toBase64 } from "../../bytes/base64.ts";
import { compressionSource } from "./compression.ts";

const OPTIONS = ["--runtime", "stub", "-O3", "--noAssert", "--enable", "simd"];

/** The kernel as a WebAssembly module. */
export async function compileKernel(): Promise<Uint8Array> {
  let output: Uint8Array | undefined;
  const { error, stderr } = await asc.main(["kernel.ts", "--outFile", "kernel.wasm", ...OPTIONS], {
    readFile(name) {
      if (name === "compression.ts") return compressionSource();
      try {
        return Deno.readTextFileSync(new URL(`assembly/${name}`, import.meta.url));
      } catch {
        return null;
      }
    },
    writeFile: (_name, contents) => void (output = contents as Uint8Array),
    listFiles: () => [],
  });
  if (error || !output) throw new Error(`Cannot compile the kernel: ${stderr.toString()}`);
  return output;
}

/** The text of `kernel_module.ts` for a compiled kernel. */
function moduleText(kernel: Uint8Array): string {
  return `/** The kernel, compiled from \`assembly/\` by \`build.ts\`. Do not edit. */\n` +
    `export const KERNEL = "${toBase64(kernel)}";\n`;
}

if (import.meta.main) {
  const file = new URL("kernel_module.ts", import.meta.url);
  const text = moduleText(await compileKernel());
  if (!Deno.args.includes("--check")) Deno.writeTextFileSync(file, text);
  else if (Deno.readTextFileSync(file) !== text) {
    console.error("Cannot accept kernel_module.ts: its source gives another one. Run `deno task wasm`.");
    Deno.exit(1);
  }
}
