/** What is kept in this browser: how much, what sharing saves, and how to be rid of it. */
import { useState } from "preact/hooks";
import type { Fault, Overview, PathSummary } from "../../engine/engine.ts";
import { faultOf } from "../../engine/fault.ts";
import { complete, open, save, tellCollected } from "../deeds.ts";
import { bytes, count, percent } from "../figures.ts";
import { Icon } from "../icons.tsx";
import { Split } from "../part/bars.tsx";
import { Dialog, Empty, FaultNote, Name, Note, Waiting } from "../part/basics.tsx";
import { PathList } from "../part/path_list.tsx";
import { engine, overview, overviewFault, run, stored } from "../store.ts";

export function Kept() {
  const paths = stored.value;
  const figures = overview.value;
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [asking, setAsking] = useState<"remove" | "unpinned" | undefined>(undefined);
  const [fault, setFault] = useState<Fault | undefined>(undefined);
  const [filter, setFilter] = useState("");
  if (!paths) return <Waiting />;
  const attempt = (deed: Promise<unknown>) =>
    deed.then(() => setFault(undefined), (error) => setFault(faultOf(error)));
  const seen = paths.filter(({ path }) => path.toLowerCase().includes(filter.trim().toLowerCase()));
  const toggle = (path: string) => {
    const next = new Set(chosen);
    if (!next.delete(path)) next.add(path);
    setChosen(next);
  };
  const picked = paths.filter(({ path }) => chosen.has(path));
  return (
    <>
      <div class="head">
        <div>
          <h1>Kept here</h1>
          <p>Everything below is stored in this browser, on this machine, and nowhere else.</p>
        </div>
        <Transfer any={paths.length > 0} />
      </div>
      <div class="stack">
        {figures?.evicted && (
          <Note tone="warn">
            The browser deleted what was stored here, for it needed room. Allow it to be kept, so that this
            does not happen again.
          </Note>
        )}
        {figures && <Figures figures={figures} />}
        {overviewFault.value && <FaultNote fault={overviewFault.value} />}
        {fault && <FaultNote fault={fault} again={() => setFault(undefined)} />}
        <section class="card" aria-labelledby="paths">
          <header>
            <h2 id="paths">{count(paths.length, "path")}</h2>
            <div class="row">
              {picked.length > 0 && (
                <button
                  type="button"
                  class="small danger"
                  onClick={() => setAsking("remove")}
                >
                  <Icon name="trash" /> Delete {count(picked.length, "path")}
                </button>
              )}
              {paths.some(({ pinned }) => !pinned) && (
                <button
                  type="button"
                  class="small"
                  onClick={() => setAsking("unpinned")}
                >
                  Delete what is not pinned
                </button>
              )}
              <input
                type="search"
                aria-label="Filter the paths"
                placeholder="Filter"
                style={{ width: "11rem" }}
                value={filter}
                onInput={({ currentTarget }) => setFilter(currentTarget.value)}
              />
            </div>
          </header>
          {seen.length === 0
            ? (
              <Empty
                icon="box"
                title={paths.length === 0 ? "Nothing is kept here" : "No path has such a name"}
              />
            )
            : (
              <PathList
                paths={seen.slice(0, 500)}
                before={({ path, name }) => (
                  <input
                    type="checkbox"
                    aria-label={`Choose ${name}`}
                    checked={chosen.has(path)}
                    onChange={() => toggle(path)}
                  />
                )}
                tools={(path) => <PinButton path={path} attempt={attempt} />}
              />
            )}
          {seen.length > 500 && (
            <p class="dim" style={{ padding: ".6rem 1.1rem" }}>
              The first 500 are listed: filter for others.
            </p>
          )}
        </section>
      </div>
      {asking === "remove" && (
        <Remove
          paths={picked}
          onClose={() => setAsking(undefined)}
          onDone={() => {
            setAsking(undefined);
            setChosen(new Set());
          }}
        />
      )}
      {asking === "unpinned" && <Unpinned paths={paths} onClose={() => setAsking(undefined)} />}
    </>
  );
}

function PinButton(
  { path: { path, pinned, name, state }, attempt }: {
    path: PathSummary;
    attempt: (deed: Promise<unknown>) => void;
  },
) {
  const pinWhole = async () => {
    // What is pinned must be there: the rest is fetched first.
    if (state === "whole" || await complete(path)) await engine.pin(path);
  };
  return (
    <button
      type="button"
      class="quiet square small"
      aria-pressed={pinned}
      aria-label={`${pinned ? "Unpin" : "Pin"} ${name}`}
      title={pinned ? "Unpin" : "Pin: it is not deleted, nor what it refers to"}
      style={pinned ? { color: "var(--accent)" } : undefined}
      onClick={() => attempt(pinned ? engine.unpin(path) : pinWhole())}
    >
      <Icon name="pin" />
    </button>
  );
}

function Figures({ figures }: { figures: Overview }) {
  const { logical, distinct, stored: kept, usage, quota, persisted, garbage } = figures;
  const [refused, setRefused] = useState(false);
  const persist = async () => {
    // Asked for in the page, where a browser may ask the person; the engine then sees it.
    const granted = await navigator.storage?.persist?.() || await engine.persist();
    setRefused(!granted);
    overview.value = await engine.overview();
  };
  const collect = () =>
    run("Free what nothing needs", (job, report) => engine.collect("unneeded", job, report), tellCollected);
  const shared = Math.max(0, logical - distinct);
  const compressed = Math.max(0, distinct - (kept - garbage));
  const savers = [shared > 0 && "sharing", compressed > 0 && "compression"].filter((saver) =>
    saver !== false
  );
  const saved = `${savers.join(" and ")} ${savers.length > 1 ? "save" : "saves"}`;
  return (
    <section class="card padded stack" aria-label="How much is kept">
      <div class="stack tight">
        <h2>
          {savers.length > 0
            ? `${saved[0].toUpperCase()}${saved.slice(1)} ${bytes(shared + compressed)} of ${bytes(logical)}`
            : `${bytes(kept)} stored`}
        </h2>
        <Split
          lanes={[{
            title: "",
            parts: [
              { label: "stored", size: kept, class: "p1" },
              { label: "saved by sharing", size: shared, class: "p3" },
              ...compressed > 0
                ? [{ label: "saved by compression", size: compressed, class: "p2" as const }]
                : [],
            ],
          }]}
        />
        <p class="dim">
          Equal files, and equal pieces of files, are stored once{compressed > 0 ? ", compressed" : ""}.
          {garbage > 0 &&
            ` ${
              bytes(garbage)
            } are needed by no path that is whole: parts that were looked at, or left over.`}
        </p>
        {garbage > 0 && (
          <div>
            <button type="button" class="small" onClick={collect}>Free {bytes(garbage)}</button>
          </div>
        )}
      </div>
      {quota !== undefined && usage !== undefined && (
        <div class="stack tight">
          <h3>Room in this browser</h3>
          <div
            class="progress"
            role="meter"
            aria-label="Room used"
            aria-valuemin={0}
            aria-valuemax={100}
            aria-valuenow={Math.round(100 * usage / quota)}
          >
            <i class="moved" style={{ width: `${Math.max(.5, 100 * usage / quota)}%` }} />
          </div>
          <p class="dim">{bytes(usage)} of {bytes(quota)} used ({percent(usage, quota)})</p>
        </div>
      )}
      <div class="row">
        {persisted
          ? (
            <>
              <Icon name="check" />
              <span class="grow">The browser has promised not to delete this by itself.</span>
            </>
          )
          : (
            <>
              <span class="grow dim">
                {refused
                  ? "The browser did not promise it. It may, once this page is bookmarked or installed."
                  : "When it needs room, the browser may delete what is kept here."}
              </span>
              <button type="button" class="small" onClick={persist}>Keep it for good</button>
            </>
          )}
      </div>
    </section>
  );
}

function Transfer({ any }: { any: boolean }) {
  const take = (input: HTMLInputElement) => {
    const files = [...input.files ?? []];
    input.value = "";
    if (files.length > 0) open({ type: "files", files });
  };
  return (
    <div class="row">
      <button type="button" disabled={!any} onClick={() => save({ type: "cache" }, "firn-export.zip")}>
        <Icon name="download" /> Export everything
      </button>
      <label class="button">
        <Icon name="upload" /> Import
        <input type="file" multiple class="hidden" onChange={(event) => take(event.currentTarget)} />
      </label>
    </div>
  );
}

function Remove(
  { paths, onClose, onDone }: { paths: readonly PathSummary[]; onClose: () => void; onDone: () => void },
) {
  const most = paths.reduce((sum, { narSize }) => sum + narSize, 0);
  const remove = () => {
    onDone();
    const all = paths.map(({ path }) => path);
    run(
      `Delete ${count(paths.length, "path")}`,
      (job, report) => engine.remove(all, job, report),
      tellCollected,
    );
  };
  return (
    <Dialog title={`Delete ${count(paths.length, "path")}?`} onClose={onClose}>
      <ul class="list">
        {paths.slice(0, 6).map(({ path, name }) => (
          <li key={path}>
            <Name>{name}</Name>
          </li>
        ))}
      </ul>
      {paths.length > 6 && <p class="dim">and {count(paths.length - 6, "more", "more")}</p>}
      <p class="dim">Frees up to {bytes(most)}; what other paths share with them stays.</p>
      <div class="row end">
        <button type="button" onClick={onClose}>Cancel</button>
        <button type="button" class="danger" onClick={remove}>
          <Icon name="trash" /> Delete
        </button>
      </div>
    </Dialog>
  );
}

function Unpinned({ paths, onClose }: { paths: readonly PathSummary[]; onClose: () => void }) {
  const pinned = paths.filter((path) => path.pinned).length;
  const collect = () => {
    onClose();
    run("Delete what is not pinned", (job, report) => engine.collect("unpinned", job, report), tellCollected);
  };
  return (
    <Dialog title="Delete what is not pinned?" onClose={onClose}>
      <p>
        {pinned === 0
          ? `Nothing is pinned: all ${count(paths.length, "path")} would be deleted.`
          : `${count(pinned, "pinned path")} and what they refer to stay; all others are deleted.`}
      </p>
      <div class="row end">
        <button type="button" onClick={onClose}>Cancel</button>
        <button type="button" class="danger" onClick={collect}>
          <Icon name="trash" /> Delete
        </button>
      </div>
    </Dialog>
  );
}
