/** A store path: its name, how true it is, and its tabs. */
import type { PathSummary } from "../../engine/engine.ts";
import { complete, open, save } from "../deeds.ts";
import { bytes, exactBytes } from "../figures.ts";
import { Icon } from "../icons.tsx";
import { CopyButton, Empty, FaultNote, Name, Waiting } from "../part/basics.tsx";
import { hostOf } from "../part/path_list.tsx";
import { compareHref, pathHref, type Tab, webHref } from "../route.ts";
import { settings, site, stored } from "../store.ts";
import { lazily } from "../lazily.tsx";
import { Browse } from "./browse.tsx";
import { PushTab } from "./push.tsx";
import { TruthMarks, TruthTab, useTruth } from "./truth.tsx";

const ClosureTab = lazily(() => import("./closure.tsx").then(({ ClosureTab }) => ClosureTab));

const WORDS: Record<Tab, string> = { files: "Files", truth: "Truth", closure: "Closure", push: "Push" };

export function Path({ base, tab, file }: { base: string; tab: Tab; file: string }) {
  const paths = stored.value;
  if (paths === undefined) return <Waiting />;
  const summary = paths.find(({ path, hashPart }) => path.endsWith(`/${base}`) || hashPart === base);
  if (!summary) return <NotHere base={base} />;
  const { path } = summary;
  return (
    <>
      <Title summary={summary} />
      <nav class="tabs" aria-label="About this path" style={{ margin: "1rem 0" }}>
        {(Object.keys(WORDS) as Tab[]).map((other) => (
          <a key={other} href={pathHref(path, other)} aria-current={other === tab ? "page" : undefined}>
            {WORDS[other]}
          </a>
        ))}
      </nav>
      {tab === "files" && <Browse key={path} path={path} file={file} />}
      {tab === "truth" && <TruthTab path={path} cache={summary.cache} />}
      {tab === "closure" && <ClosureTab path={path} />}
      {tab === "push" && <PushTab path={path} />}
    </>
  );
}

function Title({ summary }: { summary: PathSummary }) {
  const { path, name, narSize, state, cache, references } = summary;
  const { value: truth, fault } = useTruth(path);
  return (
    <div class="title">
      <div class="grow">
        <h1>
          <Name>{name}</Name>
        </h1>
        <p class="store">
          <span class="mono">{path}</span>
          <CopyButton text={path} label="Copy the store path" />
        </p>
        {truth && <TruthMarks truth={truth} />}
        {fault && <FaultNote fault={fault} />}
        <p class="dim" style={{ marginTop: ".5rem" }}>
          <span title={exactBytes(narSize)}>{bytes(narSize)}</span> as an archive
          {cache ? `, from ${hostOf(cache)}` : ", dropped here"}
          {references.length > 0 && (
            <>
              , refers to{" "}
              <a href={pathHref(path, "closure")}>
                {references.length === 1 ? "1 path" : `${references.length} paths`}
              </a>
            </>
          )}
          {state === "partial" && ", files are fetched when they are looked at"}
        </p>
      </div>
      <div class="row">
        {state === "partial" && (
          <button type="button" class="small" onClick={() => complete(path)}>
            <Icon name="download" /> Fetch all
          </button>
        )}
        {summary.type === "directory" && (
          <a class="button small" href={`${webHref(path)}/`} target="_blank" rel="noopener">
            <Icon name="outside" /> As web pages
          </a>
        )}
        <a class="button small" href={compareHref(undefined, path)}>
          <Icon name="compare" /> Compare
        </a>
        <button
          type="button"
          class="small"
          onClick={() => save({ type: "nar", path }, `${name}.nar`, narSize)}
        >
          <Icon name="download" /> NAR
        </button>
        <button
          type="button"
          class="small"
          onClick={() => save({ type: "zip", path }, `${name}.zip`, narSize)}
        >
          <Icon name="download" /> Zip
        </button>
      </div>
    </div>
  );
}

function NotHere({ base }: { base: string }) {
  const caches = [
    ...new Set([...(site.value.server ? [site.value.server] : []), ...(settings.value?.caches ?? [])]),
  ];
  return (
    <div class="card">
      <Empty icon="box" title="This path is not kept here">
        <p class="mono">
          <Name>{base}</Name>
        </p>
        <p>It was deleted, or never opened in this browser. A cache may have it.</p>
        <div class="row">
          {caches.map((cache, i) => (
            <button
              key={cache}
              type="button"
              class={i === 0 ? "primary" : ""}
              onClick={() => open({ type: "path", path: base, cache }, {}, false)}
            >
              Open it from {hostOf(cache)}
            </button>
          ))}
        </div>
      </Empty>
    </div>
  );
}
