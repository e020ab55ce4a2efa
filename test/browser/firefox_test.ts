/** The contracts and the vectors in Firefox, which nobody drives: the page tells its server how each case ended. */
import assert from "node:assert/strict";
import { testNeeding, tool } from "../needs.ts";
import { killRounds } from "./_killed.ts";
import { startFirefox } from "./_process.ts";
import { runSuites } from "./_run_suites.ts";

async function open(url: string): Promise<AsyncDisposable> {
  const profile = await Deno.makeTempDir();
  const browser = startFirefox(profile, url);
  return {
    async [Symbol.asyncDispose]() {
      await browser.kill();
      await Deno.remove(profile, { recursive: true });
    },
  };
}

const test = testNeeding(tool("firefox-esr", "firefox-esr"));

for (const [realm, isolated] of [["page", false], ["worker", true]] as const) {
  test({
    name: `contracts and vectors in Firefox, in a ${realm}${isolated ? " that shares memory" : ""}`,
    sanitizeOps: false, // the browser is a process, and leaves requests unanswered when it is killed
    sanitizeResources: false,
    fn: (t) => runSuites(t, { realm, isolated, open }),
  });
}

test({
  name: "idb in Firefox: killed in the middle of writing, it has lost nothing that was stored",
  sanitizeOps: false, // the killed browser leaves requests to the server unanswered
  sanitizeResources: false,
  async fn() {
    const stored = await killRounds(startFirefox, 2);
    assert.ok(stored > 200, `${stored} values were stored`);
  },
});
