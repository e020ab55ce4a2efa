/** All that a path needs: as areas, as a graph, as a table, and why one of them is needed. */
import { useMemo, useState } from "preact/hooks";
import type { ClosureGraph, ClosureNode, DependsStep } from "../../engine/engine.ts";
import { shown } from "../../engine/shown.ts";
import { bytes, count, percent, whole } from "../figures.ts";
import { useAnswer } from "../part/ask.ts";
import { FaultNote, Mark, Name, Note, Waiting } from "../part/basics.tsx";
import { Graph } from "../part/graph.tsx";
import { Treemap } from "../part/treemap.tsx";
import { baseOf, compareHref, nameOf, pathHref } from "../route.ts";
import { engine } from "../store.ts";

/** Nodes of a graph that can still be read. */
const MOST_DRAWN = 300;
/** Rows of the table that are shown at first. */
const ROWS = 100;

type Picture = "sizes" | "graph" | "table";

export function ClosureTab({ path }: { path: string }) {
  const { value: graph, fault, again } = useAnswer(() => engine.closure(path), [path]);
  const [picture, setPicture] = useState<Picture>("sizes");
  const [selected, setSelected] = useState<string | undefined>(undefined);
  const tiles = useMemo(
    () => graph?.nodes.map(({ path, name, narSize }) => ({ key: path, label: name, size: narSize })) ?? [],
    [graph],
  );
  if (fault) return <FaultNote fault={fault} again={again} />;
  if (!graph) return <Waiting>Asking for everything that it needs…</Waiting>;
  const [root] = graph.nodes;
  const choose = (chosen: string) => setSelected(chosen === selected ? undefined : chosen);
  const pictures: [Picture, string][] = [["sizes", "Sizes"], ["graph", "Graph"], ["table", "Table"]];
  return (
    <div class="stack">
      <dl class="figures">
        <div>
          <dt>paths in the closure</dt>
          <dd>{whole(graph.nodes.length)}</dd>
        </div>
        <div>
          <dt>with everything it needs</dt>
          <dd>{bytes(root.closureSize)}</dd>
        </div>
        <div>
          <dt>by itself</dt>
          <dd>{bytes(root.narSize)}</dd>
        </div>
        <div>
          <dt>of it is here</dt>
          <dd>{count(graph.nodes.filter(({ state }) => state !== "known").length, "path")}</dd>
        </div>
      </dl>
      {graph.absent.length > 0 && (
        <Note tone="warn">
          {count(graph.absent.length, "path")} it refers to {graph.absent.length === 1 ? "is" : "are"}{" "}
          known to no cache that was asked: {graph.absent.slice(0, 3).map(nameOf).map(shown).join(", ")}
          {graph.absent.length > 3 && " and more"}. They are not in these sums.
        </Note>
      )}
      {graph.more && <Note tone="warn">The closure is larger than can be drawn; this is a part of it.</Note>}
      <section class="card">
        <header>
          <h2>Closure</h2>
          <span class="choice" role="radiogroup" aria-label="Show the closure as">
            {pictures.map(([value, word]) => (
              <label key={value}>
                <input
                  type="radio"
                  name="picture"
                  checked={picture === value}
                  onChange={() => setPicture(value)}
                />
                {word}
              </label>
            ))}
          </span>
        </header>
        {picture === "sizes" && (
          <div style={{ padding: "1rem 1.1rem" }}>
            <Treemap
              tiles={tiles}
              selected={selected}
              onSelect={choose}
              label="Paths of the closure by size"
            />
          </div>
        )}
        {picture === "graph" && (graph.nodes.length <= MOST_DRAWN
          ? <Graph graph={graph} selected={selected} onSelect={choose} />
          : (
            <div style={{ padding: "1rem 1.1rem" }}>
              <Note tone="none">
                {count(graph.nodes.length, "path")} are too many to draw with their lines: see sizes or table.
              </Note>
            </div>
          ))}
        {picture === "table" && <Table graph={graph} selected={selected} onSelect={choose} />}
      </section>
      {selected !== undefined
        ? <Selected root={root} node={graph.nodes.find(({ path }) => path === selected)!} graph={graph} />
        : <p class="dim">Choose a path to see why it is needed.</p>}
    </div>
  );
}

type Column = "name" | "narSize" | "closureSize" | "depth";

function Table(
  { graph, selected, onSelect }: { graph: ClosureGraph; selected?: string; onSelect: (path: string) => void },
) {
  const [by, setBy] = useState<Column>("closureSize");
  const [all, setAll] = useState(false);
  const sorted = useMemo(
    () =>
      graph.nodes.toSorted((a, b) =>
        by === "name" ? (a.name < b.name ? -1 : 1) : by === "depth" ? a.depth - b.depth : b[by] - a[by]
      ),
    [
      graph,
      by,
    ],
  );
  const columns: [Column, string][] = [["name", "Name"], ["narSize", "Own size"], [
    "closureSize",
    "With all it needs",
  ], [
    "depth",
    "Steps",
  ]];
  const seen = all ? sorted.slice(0, 5000) : sorted.slice(0, ROWS);
  return (
    <div class="scroll-x">
      <table>
        <thead>
          <tr>
            {columns.map(([column, word]) => (
              <th
                key={column}
                scope="col"
                class={column === "name" ? "" : "figure"}
                aria-sort={by === column
                  ? (column === "narSize" || column === "closureSize" ? "descending" : "ascending")
                  : undefined}
              >
                <button type="button" class="link" onClick={() => setBy(column)}>{word}</button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {seen.map(({ path, name, narSize, closureSize, depth, state }) => (
            <tr key={path} aria-selected={path === selected}>
              <td>
                <button
                  type="button"
                  class="link"
                  onClick={() =>
                    onSelect(path)}
                >
                  <Name>{name}</Name>
                </button>{" "}
                {state === "known" && <span class="dim">not here</span>}
              </td>
              <td class="figure">{bytes(narSize)}</td>
              <td class="figure">{bytes(closureSize)}</td>
              <td class="figure">{depth}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {seen.length < sorted.length && (
        <p style={{ padding: ".6rem 1.1rem" }}>
          <button type="button" class="small" onClick={() => setAll(true)}>
            Show all {count(sorted.length, "path")}
          </button>
        </p>
      )}
    </div>
  );
}

function Selected({ root, node, graph }: { root: ClosureNode; node: ClosureNode; graph: ClosureGraph }) {
  const { value: why, fault, again, waiting } = useAnswer(
    async () => node.path === root.path ? null : await engine.whyDepends(root.path, node.path) ?? null,
    [root.path, node.path],
  );
  return (
    <section class="card padded stack" aria-live="polite">
      <div class="row">
        <h2 class="grow">
          <Name>{node.name}</Name>
        </h2>
        {node.path !== root.path && (
          <a class="button small" href={compareHref(root.path, node.path)}>Compare</a>
        )}
        <a
          class="button small"
          href={node.state === "known" ? `#/open?path=${baseOf(node.path)}` : pathHref(node.path)}
        >
          {node.state === "known" ? "Open it" : "Look into it"}
        </a>
      </div>
      <p class="dim">
        {bytes(node.narSize)} by itself, {bytes(node.closureSize)} with all it needs:{" "}
        {percent(node.closureSize, graph.nodes[0].closureSize)} of the closure.
      </p>
      {fault && <FaultNote fault={fault} again={again} />}
      {waiting && <Waiting>Looking for the way…</Waiting>}
      {why && (
        <>
          <h3>Why {shown(root.name)} needs it</h3>
          <ol class="chain">
            {why.chain.map((step, i) => (
              <Step key={step.path} step={step} last={i === why.chain.length - 1} />
            ))}
          </ol>
        </>
      )}
    </section>
  );
}

function Step({ step: { path, seen, unread }, last }: { step: DependsStep; last: boolean }) {
  return (
    <li>
      <strong>
        <Name>{nameOf(path)}</Name>
      </strong>
      {seen.slice(0, 5).map(({ file, inTarget, offset }) => (
        <div class="seen" key={`${file} ${offset}`}>
          mentions the next in {inTarget ? "the symlink " : ""}
          <a class="mono" href={pathHref(path, "files", file)}>
            <Name>{file === "" ? "the file itself" : file}</Name>
          </a>
          {!inTarget && `, at byte ${offset}`}
        </div>
      ))}
      {seen.length > 5 && <div class="seen">and in {count(seen.length - 5, "other place")}</div>}
      {!last && unread && seen.length === 0 && (
        <div class="seen">
          lists the next <Mark tone="none">where was not looked: not all of it is here</Mark>
        </div>
      )}
    </li>
  );
}
