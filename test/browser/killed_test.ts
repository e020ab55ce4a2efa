/** Chromium is killed while a page stores values: nothing acknowledged is lost, nothing deleted comes back. */
import assert from "node:assert/strict";
import { testNeeding } from "../needs.ts";
import { chromiumInstalled } from "./_chromium.ts";
import { killRounds } from "./_killed.ts";
import { startChromium } from "./_process.ts";

testNeeding(chromiumInstalled)({
  name: "idb in Chromium: killed in the middle of writing, it has lost nothing that was stored",
  sanitizeOps: false, // the killed browser leaves requests to the server unanswered
  sanitizeResources: false,
  async fn() {
    const stored = await killRounds(startChromium, 3);
    assert.ok(stored > 300, `${stored} values were stored`);
  },
});
