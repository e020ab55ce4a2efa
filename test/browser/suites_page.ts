/**
 * The script of a page, and of a worker it starts, that runs every suite and tells its server how each case ended. The
 * page's address says where: `#page` or `#worker`. As `#lane` it is a worker that hashes.
 */
import type { About, BrowserCase, Failure, Result } from "./_case.ts";

/** Longer than any case takes; one that hangs is told by its name. */
const PATIENCE = 120_000;

async function tell(path: string, what: About | Result | Failure | Record<string, never>): Promise<void> {
  const answer = await fetch(new URL(path, location.origin), { method: "POST", body: JSON.stringify(what) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
}

async function runAll(): Promise<void> {
  const { SUITES } = await import("./_suites.ts");
  const realm = typeof document === "undefined" ? "worker" : "page";
  await tell("/about", { userAgent: navigator.userAgent, realm, isolated: globalThis.crossOriginIsolated });
  for (const { name: suite, cases } of SUITES) {
    for (const one of cases) await tell("/result", { suite, name: one.name, error: await errorOf(one) });
  }
  await tell("/end", {});
}

async function errorOf(one: BrowserCase): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const hung = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came of it in ${PATIENCE / 1000} s`)), PATIENCE);
  });
  try {
    await Promise.race([one.run(), hung]);
    return undefined;
  } catch (error) {
    return error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : String(error);
  } finally {
    clearTimeout(timer);
  }
}

if (location.hash === "#lane") {
  addEventListener("message", async ({ data }) => {
    const [{ serveLane }, { portableHashes }] = await Promise.all([
      import("../../src/hash/serve_lane.ts"),
      import("../../src/hash/hashes.ts"),
    ]);
    await serveLane(data, portableHashes);
    close();
  });
} else if (location.hash === "#worker" && typeof document !== "undefined") {
  const worker = new Worker(new URL("/page.js#worker", location.href), { type: "module" });
  worker.onerror = ({ message }) => void tell("/failure", { message });
} else {
  runAll().catch((error) => tell("/failure", { message: String(error?.stack ?? error) }));
}
