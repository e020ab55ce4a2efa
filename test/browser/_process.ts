/** A browser as a process that opens an address, with nobody driving it: it can be killed like any other. */
export interface BrowserProcess extends AsyncDisposable {
  /** Kills it and all it started, as a machine does that goes down. */
  kill(): Promise<void>;
  /** Whether it said that it took its own database for damaged, and deleted it. Known for sure once it was killed. */
  readonly gaveUpDatabase: boolean;
}

/** What Chromium logs then. */
const GAVE_UP = "IndexedDB recovering from a corrupted (and deleted) database";

/** Starts a browser with a profile in this folder. */
export function startBrowser(command: string, args: string[]): BrowserProcess {
  // In a session of its own, so that all its processes can be killed at once.
  const child = new Deno.Command("setsid", {
    args: [command, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  let gaveUpDatabase = false;
  const listening = listen(child.stderr, () => gaveUpDatabase = true);
  const kill = async () => {
    // Also when it ended by itself: those it started may be left, and hold its stderr open. There may be none.
    await new Deno.Command("kill", { args: ["-KILL", "--", `-${child.pid}`], stderr: "null" }).output();
    await child.status;
    await listening;
  };
  return {
    kill,
    get gaveUpDatabase() {
      return gaveUpDatabase;
    },
    [Symbol.asyncDispose]: kill,
  };
}

/** Reads what a browser says to its end, which is that of all its processes. */
async function listen(stderr: ReadableStream<Uint8Array>, gaveUp: () => void): Promise<void> {
  const decoder = new TextDecoder();
  let end = "";
  for await (const piece of stderr) {
    const said = end + decoder.decode(piece, { stream: true });
    if (said.includes(GAVE_UP)) gaveUp();
    end = said.slice(-GAVE_UP.length);
  }
}

/** Chromium on an address. */
export function startChromium(profile: string, url: string): BrowserProcess {
  return startBrowser("/usr/bin/chromium", [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
    ...["--enable-logging=stderr", "--disable-breakpad"],
    ...[
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
    ],
    ...[`--user-data-dir=${profile}`, url],
  ]);
}

/** What Firefox would do first in a fresh profile, or ask after it was killed. */
const PREFERENCES = {
  "app.normandy.enabled": false,
  "app.update.enabled": false,
  "browser.aboutwelcome.enabled": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "datareporting.policy.dataSubmissionEnabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,",
  "termsofuse.bypassNotification": true,
  "browser.sessionstore.resume_from_crash": false,
  "toolkit.startup.max_resumed_crashes": -1,
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

/** Firefox on an address. */
export function startFirefox(profile: string, url: string): BrowserProcess {
  const lines = Object.entries(PREFERENCES).map(([name, value]) =>
    `user_pref("${name}", ${JSON.stringify(value)});`
  );
  Deno.writeTextFileSync(`${profile}/user.js`, lines.join("\n"));
  return startBrowser("firefox-esr", ["--headless", "--no-remote", "--profile", profile, url]);
}
