/** The committed page is what its source gives, and light enough. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { FIRST_LOAD_BOUND } from "../../web/build.ts";
import { permissions, testNeeding } from "../needs.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

testNeeding(permissions)(
  "the committed page is what its source gives, and its first load is under 200 KB",
  async () => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "web", "--check"],
      cwd: ROOT,
      env: { NO_COLOR: "1" },
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const table = new TextDecoder().decode(stdout);
    const row = /^the first load\s+\d+\s+(\d+)$/m.exec(table);
    assert.ok(row, table);
    assert.ok(Number(row[1]) < FIRST_LOAD_BOUND, table);
    assert.match(table, /^index\.html /m);
    assert.match(table, /^assets\/page-\w+\.css /m);
  },
);
