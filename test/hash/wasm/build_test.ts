/** The committed kernel is what its source gives. */
import assert from "node:assert/strict";
import { equals } from "../../../src/bytes/bytes.ts";
import { fromBase64 } from "../../../src/bytes/base64.ts";
import { KERNEL } from "../../../src/hash/wasm/kernel_module.ts";
import { permissions, testNeeding } from "../../needs.ts";

const test = testNeeding(permissions);

test("the committed kernel is what its source gives", async () => {
  // Its compiler reads files as soon as it is imported.
  const { compileKernel } = await import("../../../src/hash/wasm/build.ts");
  const message = "Cannot accept kernel_module.ts: it differs. Run `deno task wasm`.";
  assert.ok(equals(await compileKernel(), fromBase64(KERNEL)), message);
});

test("build.ts --check accepts it and writes nothing", async () => {
  const file = new URL("../../../src/hash/wasm/kernel_module.ts", import.meta.url);
  const before = await Deno.stat(file);
  const build = new URL("../../../src/hash/wasm/build.ts", import.meta.url).href;
  const { code, stderr } = await new Deno.Command(Deno.execPath(), { args: ["run", "-A", build, "--check"] })
    .output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.deepEqual((await Deno.stat(file)).mtime, before.mtime);
});
