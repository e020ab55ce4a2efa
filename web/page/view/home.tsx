/** The first look: what this is, one field to open something with, and what was opened. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Target } from "../../engine/engine.ts";
import { faultOf } from "../../engine/fault.ts";
import { shown } from "../../engine/shown.ts";
import { open } from "../deeds.ts";
import { targetOf } from "../dropped.ts";
import { ago, bytes, count } from "../figures.ts";
import { Icon } from "../icons.tsx";
import { Empty, Name, Note } from "../part/basics.tsx";
import { hostOf, PathList } from "../part/path_list.tsx";
import { nameOf } from "../route.ts";
import { engine, overview, settings, site, stored, unfinished } from "../store.ts";

const SHOWN = 8;

export function Home({ path, cache }: { path?: string; cache?: string }) {
  const paths = stored.value;
  return (
    <>
      <div class="hero">
        <div class="stack tight">
          <h1>A Nix store in this tab</h1>
          <p class="lead">
            Nix is a way to package software so that every version has a folder of its own, named by a hash of
            how it was made. Here you can open such a package without installing anything: every byte is
            checked, and it stays in this browser.
          </p>
        </div>
        <OpenForm path={path} cache={cache} />
        <DropZone />
      </div>
      <Unfinished />
      <section class="card" style={{ marginTop: "1.25rem" }} aria-labelledby="opened">
        <header>
          <h2 id="opened">Opened here</h2>
          {paths && paths.length > 0 && overview.value && (
            <a href="#/kept" class="dim">
              {count(paths.length, "path")}, {bytes(overview.value.stored)} stored
            </a>
          )}
        </header>
        {paths === undefined ? null : paths.length === 0
          ? (
            <Empty icon="box" title="Nothing yet">
              <p>
                Paste the path of a package above, or drop an archive. Both stay in this browser until you
                delete them.
              </p>
            </Empty>
          )
          : <PathList paths={paths.slice(0, SHOWN)} />}
        {paths && paths.length > SHOWN && (
          <p style={{ padding: ".6rem 1.1rem" }}>
            <a href="#/kept">All {count(paths.length, "path")}</a>
          </p>
        )}
      </section>
    </>
  );
}

/** The path that was meant: quotes and spaces around it, and folders below it, are what people paste. */
function meant(text: string): string {
  const trimmed = text.trim().replace(/^["'`]|["'`]$/g, "");
  return /^(\/nix\/store\/[^/]+)/.exec(trimmed)?.[1] ?? trimmed;
}

function OpenForm({ path, cache }: { path?: string; cache?: string }) {
  const [text, setText] = useState(path ?? "");
  const [address, setAddress] = useState(cache ?? "");
  const [everything, setEverything] = useState(false);
  const [closure, setClosure] = useState(false);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (path !== undefined) setText(path);
    if (cache !== undefined) setAddress(cache);
  }, [path, cache]);
  const caches = [
    ...new Set([...(site.value.server ? [site.value.server] : []), ...(settings.value?.caches ?? [])]),
  ];
  const submit = (event: Event) => {
    event.preventDefault();
    const wanted = meant(text);
    if (!/^https?:\/\/|[0-9a-z]{32}/.test(wanted)) {
      setProblem("Want a store path such as /nix/store/…-hello-2.12, its hash, or the address of a .narinfo");
      return;
    }
    setProblem("");
    const target: Target = {
      type: "path",
      path: wanted,
      ...(address.trim() && { cache: address.trim().replace(/\/+$/, "") }),
    };
    open(target, { everything, closure });
  };
  return (
    <form class="card padded open" onSubmit={submit} noValidate>
      <div class="fields">
        <div class="field">
          <label for="open-path">Store path or hash</label>
          <input
            id="open-path"
            type="text"
            placeholder="/nix/store/…"
            value={text}
            spellcheck={false}
            autocomplete="off"
            autocapitalize="off"
            aria-describedby={problem ? "open-problem" : undefined}
            aria-invalid={problem !== ""}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
        </div>
        <div class="field">
          <label for="open-cache">Cache</label>
          <input
            id="open-cache"
            type="url"
            list="caches"
            placeholder={caches[0]
              ? `${hostOf(caches[0])}${caches.length > 1 ? ", then others" : ""}`
              : "https://cache.example"}
            value={address}
            spellcheck={false}
            onInput={({ currentTarget }) => setAddress(currentTarget.value)}
          />
          <datalist id="caches">{caches.map((known) => <option key={known} value={known} />)}</datalist>
        </div>
        <button type="submit" class="primary">Open</button>
      </div>
      {problem && <p id="open-problem" role="alert" style={{ color: "var(--bad)" }}>{problem}</p>}
      <div class="more">
        <label class="check">
          <input
            type="checkbox"
            checked={everything}
            onChange={({ currentTarget }) => setEverything(currentTarget.checked)}
          />
          fetch all contents now
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={closure}
            onChange={({ currentTarget }) => setClosure(currentTarget.checked)}
          />
          with everything it refers to
        </label>
      </div>
    </form>
  );
}

function DropZone() {
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const take = (input: HTMLInputElement) => {
    const chosen = [...input.files ?? []];
    input.value = "";
    if (chosen.length > 0) open(targetOf(chosen));
  };
  return (
    <div class="dropzone">
      <Icon name="upload" />
      <p>
        Or drop archives (<code>.nar</code>, compressed or not, with their{" "}
        <code>.narinfo</code>), a folder, or an exported <code>.zip</code> anywhere on this page.
      </p>
      <div class="row">
        <button type="button" onClick={() => files.current?.click()}>
          <Icon name="file" /> Choose files
        </button>
        <button type="button" onClick={() => folder.current?.click()}>
          <Icon name="folder" /> Choose a folder
        </button>
      </div>
      <input
        ref={files}
        type="file"
        multiple
        hidden
        aria-label="Files to open"
        onChange={(event) => take(event.currentTarget)}
      />
      <input
        ref={folder}
        type="file"
        hidden
        aria-label="Folder to open"
        {...{ webkitdirectory: true }}
        onChange={(event) => take(event.currentTarget)}
      />
    </div>
  );
}

function Unfinished() {
  const list = unfinished.value;
  const [problem, setProblem] = useState("");
  if (list.length === 0) return null;
  return (
    <section class="card" style={{ marginTop: "1.25rem" }} aria-labelledby="unfinished">
      <header>
        <h2 id="unfinished">Not finished</h2>
      </header>
      {problem && <Note tone="bad">{shown(problem)}</Note>}
      <ul class="paths">
        {list.map(({ path, cache, options, startedAt }) => (
          <li key={path}>
            <div class="what">
              <Icon name="pause" class="dim" />
              <strong>
                <Name>{nameOf(path)}</Name>
              </strong>
              <div class="below">
                <span>begun {ago(startedAt)}</span>
                <span>from {hostOf(cache)}</span>
                <span>what came is kept</span>
              </div>
            </div>
            <div class="row end">
              <button
                type="button"
                class="small"
                onClick={() => open({ type: "path", path, cache }, options)}
              >
                Resume
              </button>
              <button
                type="button"
                class="small quiet"
                onClick={() => engine.forget(path).catch((error) => setProblem(faultOf(error).message))}
              >
                Forget
              </button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
