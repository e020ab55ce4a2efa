/** A browser as a process that opens an address, with nobody driving it: it can be killed like any other. */
export interface BrowserProcess extends AsyncDisposable {
  /** Kills it and all it started, as a machine does that goes down. */
  kill(): Promise<void>;
}

/** Starts a browser with a profile in this folder. */
export function startBrowser(command: string, args: string[]): BrowserProcess {
  // In a session of its own, so that all its processes can be killed at once.
  const child = new Deno.Command("setsid", {
    args: [command, ...args],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let ended = false;
  child.status.then(() => ended = true);
  const kill = async () => {
    if (!ended) {
      await new Deno.Command("kill", { args: ["-KILL", "--", `-${child.pid}`], stderr: "null" }).output();
    }
    await child.status;
  };
  return { kill, [Symbol.asyncDispose]: kill };
}

/** Chromium on an address. */
export function startChromium(profile: string, url: string): BrowserProcess {
  return startBrowser("/usr/bin/chromium", [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
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
