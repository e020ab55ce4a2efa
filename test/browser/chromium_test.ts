/** The contracts and the vectors in Chromium: in a page, in a worker, and where memory may be shared. */
import { testNeeding } from "../needs.ts";
import { chromiumInstalled, launchChromium } from "./_chromium.ts";
import { runSuites } from "./_run_suites.ts";

async function open(url: string): Promise<AsyncDisposable> {
  const browser = await launchChromium();
  const page = await browser.newPage();
  page.on("pageerror", (error) => console.error("in the page:", error));
  page.on("crash", () => console.error("the page crashed"));
  await page.goto(url);
  return { [Symbol.asyncDispose]: () => browser.close() };
}

for (
  const [realm, isolated] of [["page", true], ["worker", false], ["worker", true]] as const
) {
  testNeeding(chromiumInstalled)({
    name: `contracts and vectors in Chromium, in a ${realm}${isolated ? " that shares memory" : ""}`,
    sanitizeOps: false, // the browser is a process with pipes of its own
    sanitizeResources: false,
    fn: (t) => runSuites(t, { realm, isolated, open }),
  });
}
