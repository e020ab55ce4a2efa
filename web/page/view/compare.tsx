/** How two paths differ: in bytes, and file by file. */
import { useState } from "preact/hooks";
import type { ChangedFile, Difference, DifferingFile, MovedFile } from "../../engine/engine.ts";
import { shown } from "../../engine/shown.ts";
import { bytes, count, percent } from "../figures.ts";
import { Icon } from "../icons.tsx";
import { useAnswer } from "../part/ask.ts";
import { Split } from "../part/bars.tsx";
import { Empty, FaultNote, Name, Waiting } from "../part/basics.tsx";
import { Virtual } from "../part/virtual.tsx";
import { baseOf, compareHref, go, nameOf, pathHref } from "../route.ts";
import { engine, stored } from "../store.ts";

export function Compare({ before, after }: { before?: string; after?: string }) {
  const paths = stored.value ?? [];
  const choose = (first?: string, second?: string) => go(compareHref(first, second));
  return (
    <>
      <div class="head">
        <div>
          <h1>Compare</h1>
          <p>Two versions side by side: what came, what went, what changed, and how many bytes they share.</p>
        </div>
      </div>
      <div class="stack">
        <div class="card padded open">
          <div
            class="fields"
            style={{ gridTemplateColumns: "repeat(auto-fit, minmax(min(16rem, 100%), 1fr))" }}
          >
            <Choice label="Before" value={before} paths={paths} onChoose={(base) => choose(base, after)} />
            <Choice label="After" value={after} paths={paths} onChoose={(base) => choose(before, base)} />
          </div>
          {before && after && (
            <div class="more">
              <button type="button" class="small quiet" onClick={() => choose(after, before)}>
                <Icon name="compare" /> Swap
              </button>
            </div>
          )}
        </div>
        {before && after ? <Result before={before} after={after} /> : (
          <div class="card">
            <Empty icon="compare" title="Choose two paths">
              <p>
                {paths.length < 2
                  ? "Open two paths first, such as two versions of one program."
                  : "They can be any two paths that are kept here."}
              </p>
            </Empty>
          </div>
        )}
      </div>
    </>
  );
}

function Choice(
  { label, value, paths, onChoose }: {
    label: string;
    value?: string;
    paths: readonly { path: string; name: string }[];
    onChoose: (base: string) => void;
  },
) {
  const known = paths.some(({ path }) => baseOf(path) === value);
  return (
    <div class="field">
      <label for={`choose-${label}`}>{label}</label>
      <select
        id={`choose-${label}`}
        value={value ?? ""}
        onChange={({ currentTarget }) => onChoose(currentTarget.value)}
      >
        <option value="" disabled>Choose a path</option>
        {value && !known && <option value={value}>{shown(value)}</option>}
        {paths.map(({ path, name }) => (
          <option key={path} value={baseOf(path)}>{shown(name)} ({baseOf(path).slice(0, 7)})</option>
        ))}
      </select>
    </div>
  );
}

function Result({ before, after }: { before: string; after: string }) {
  const { value, fault, again } = useAnswer(() => engine.difference(before, after), [before, after]);
  if (fault) return <FaultNote fault={fault} again={again} />;
  if (!value) return <Waiting>Comparing…</Waiting>;
  return (
    <>
      <Shared difference={value} />
      <Files difference={value} />
    </>
  );
}

function Shared({ difference: { before, after, bytes: sizes } }: { difference: Difference }) {
  const chunks = sizes.inSharedChunks === undefined
    ? 0
    : Math.max(0, sizes.inSharedChunks - sizes.inSharedFiles);
  const fresh = Math.max(0, sizes.after - sizes.inSharedFiles - chunks);
  const shared = sizes.inSharedFiles + chunks;
  return (
    <section class="card padded stack">
      <h2>
        {percent(shared, sizes.after)} of <Name>{nameOf(after)}</Name> is in <Name>{nameOf(before)}</Name>
        {" "}
        already
      </h2>
      <Split
        lanes={[{
          title: nameOf(after),
          parts: [
            { label: "in equal files", size: sizes.inSharedFiles, class: "p1" },
            { label: "in equal pieces of other files", size: chunks, class: "p2" },
            { label: "new", size: fresh, class: "pn" },
          ],
        }]}
      />
      <p class="dim">
        {bytes(sizes.before)} before, {bytes(sizes.after)} after; going from one to the other moves about{" "}
        {bytes(fresh)}.
        {sizes.inSharedChunks === undefined && " Equal pieces inside of changed files were not looked for."}
      </p>
    </section>
  );
}

type Change = "added" | "removed" | "changed" | "moved";
const SIGNS: Record<Change, string> = { added: "+", removed: "−", changed: "~", moved: "→" };

function Files({ difference }: { difference: Difference }) {
  const { sums, before, after } = difference;
  const first = (["changed", "added", "removed", "moved"] as const).find((change) => sums[change].count > 0);
  const [chosen, setChosen] = useState<Change | undefined>(undefined);
  const change = chosen ?? first ?? "changed";
  const list: readonly (DifferingFile | ChangedFile | MovedFile)[] = difference[change];
  const largest = Math.max(1, ...difference.changed.flatMap((file) => [file.before.size, file.after.size]));
  return (
    <section class="card">
      <header>
        <h2>Files</h2>
        <span class="choice" role="radiogroup" aria-label="Which files" style={{ flexWrap: "wrap" }}>
          {(["changed", "added", "removed", "moved"] as const).map((option) => (
            <label key={option}>
              <input
                type="radio"
                name="change"
                checked={change === option}
                onChange={() => setChosen(option)}
              />
              {sums[option].count} {option}
            </label>
          ))}
        </span>
      </header>
      <p class="dim" style={{ padding: ".6rem 1.1rem" }}>
        {count(sums[change].count, "file")} {change}, {bytes(sums[change].bytes)};{" "}
        {count(sums.same.count, "file")} the same in the same place, {bytes(sums.same.bytes)}.
        {list.length < sums[change].count && ` The first ${list.length} are listed.`}
      </p>
      {list.length > 0 && (
        <div
          style={{
            height: `${Math.min(list.length, 16) * 28 + 12}px`,
            display: "flex",
            paddingBottom: "12px",
          }}
        >
          <Virtual
            count={list.length}
            rowHeight={28}
            attributes={{ role: "list", "aria-label": `Files ${change}` }}
            row={(index) => (
              <div class="difference-row" role="listitem" key={index}>
                <span class={`sign ${change}`} aria-hidden="true">{SIGNS[change]}</span>
                <Differing
                  file={list[index]}
                  before={before}
                  after={after}
                  removed={change === "removed"}
                  largest={largest}
                />
              </div>
            )}
          />
        </div>
      )}
    </section>
  );
}

function Differing(
  { file, before, after, removed, largest }: {
    file: DifferingFile | ChangedFile | MovedFile;
    before: string;
    after: string;
    removed: boolean;
    largest: number;
  },
) {
  if ("from" in file) {
    return (
      <>
        <span class="label">
          <a href={pathHref(before, "files", file.from)}>
            <Name>{file.from}</Name>
          </a>{" "}
          →{" "}
          <a href={pathHref(after, "files", file.to)}>
            <Name>{file.to}</Name>
          </a>
        </span>
        <span class="size">{bytes(file.size)}</span>
      </>
    );
  }
  if ("change" in file) {
    const grown = file.after.size - file.before.size;
    return (
      <>
        <span class="label">
          <a href={pathHref(after, "files", file.file)}>
            <Name>{file.file || nameOf(after)}</Name>
          </a>{" "}
          {file.change !== "contents" && <span class="dim">{CHANGES[file.change]}</span>}
        </span>
        {file.change === "contents" && (
          <>
            <a class="dim" href={pathHref(before, "files", file.file)}>before</a>
            <span
              class="mini"
              title={file.shared === undefined
                ? ""
                : `${bytes(file.shared)} of ${bytes(file.after.size)} shared`}
              aria-hidden="true"
            >
              <i class="p2" style={{ width: `${100 * (file.shared ?? 0) / largest}%` }} />
              <i class="pn" style={{ width: `${100 * (file.after.size - (file.shared ?? 0)) / largest}%` }} />
            </span>
          </>
        )}
        <span class="size">
          {grown === 0 ? bytes(file.after.size) : `${grown > 0 ? "+" : "−"}${bytes(Math.abs(grown))}`}
        </span>
      </>
    );
  }
  return (
    <>
      <span class="label">
        <a href={pathHref(removed ? before : after, "files", file.file)}>
          <Name>{file.file + (file.type === "directory" ? "/" : "")}</Name>
        </a>
      </span>
      <span class="size">{bytes(file.size)}</span>
    </>
  );
}

const CHANGES = { executable: "executable mark", target: "symlink target", type: "type", contents: "" };
