/** Sending a path to a firn server. */
import { useState } from "preact/hooks";
import type { Pushed } from "../../engine/engine.ts";
import { bytes, count } from "../figures.ts";
import { Icon } from "../icons.tsx";
import { Command, Note } from "../part/basics.tsx";
import { baseOf, nameOf } from "../route.ts";
import { engine, run, site } from "../store.ts";

export function PushTab({ path }: { path: string }) {
  const [server, setServer] = useState(site.value.server ?? "");
  const [token, setToken] = useState("");
  const [closure, setClosure] = useState(true);
  const [pushed, setPushed] = useState<Pushed | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const address = server.trim().replace(/\/+$/, "");
  const push = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setPushed(undefined);
    const options = { server: address, closure, ...(token && { token }) };
    await run(
      `Push ${nameOf(path)}`,
      async (job, report) => {
        const pushed = await engine.push(path, options, job, report);
        setPushed(pushed);
        return pushed;
      },
      ({ paths, sent, shared }: Pushed) => ({
        told: `${count(paths.length, "path")} sent, ${bytes(sent)}; ${bytes(shared)} were there already`,
      }),
      { ownToken: token !== "" },
    );
    setBusy(false);
  };
  return (
    <div class="stack">
      <form class="card padded open" onSubmit={push}>
        <p class="dim">
          Sends this path to a firn server: only the pieces that it lacks. The server recomputes every claim
          from the bytes before anybody can see the path there.
        </p>
        <div
          class="fields"
          style={{ gridTemplateColumns: "repeat(auto-fit, minmax(min(14rem, 100%), 1fr))" }}
        >
          <div class="field">
            <label for="push-server">Server</label>
            <input
              id="push-server"
              type="url"
              required
              placeholder="https://cache.example"
              value={server}
              onInput={({ currentTarget }) => setServer(currentTarget.value)}
            />
          </div>
          <div class="field">
            <label for="push-token">Token, if it asks for one</label>
            <input
              id="push-token"
              type="password"
              autocomplete="off"
              value={token}
              onInput={({ currentTarget }) => setToken(currentTarget.value)}
            />
          </div>
        </div>
        <div class="more">
          <label class="check grow">
            <input
              type="checkbox"
              checked={closure}
              onChange={({ currentTarget }) => setClosure(currentTarget.checked)}
            />
            with everything it refers to
          </label>
          <button type="submit" class="primary" disabled={busy}>
            <Icon name="upload" /> Push
          </button>
        </div>
      </form>
      {pushed && (
        <>
          <Note tone="good">
            {count(pushed.paths.length, "path")} sent
            {pushed.there.length > 0 && `, ${count(pushed.there.length, "path")} there already`}:{" "}
            {bytes(pushed.sent)} moved, {bytes(pushed.shared)} were there already.
          </Note>
          <div class="card padded stack tight">
            <h2>Copy it out with Nix</h2>
            <Command label="Copy the path out with Nix">
              {`nix copy --no-check-sigs --from ${address} /nix/store/${baseOf(path)}`}
            </Command>
          </div>
        </>
      )}
    </div>
  );
}
