/** A closure as a graph: what refers to what, from left to right. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { ClosureGraph } from "../../engine/engine.ts";
import { shown } from "../../engine/shown.ts";
import { bytes } from "../figures.ts";
import { layered } from "../layered.ts";

const BOX = { width: 190, height: 40, across: 76, down: 12 };

function cut(text: string, most: number): string {
  return text.length <= most ? text : `${text.slice(0, most - 1)}…`;
}

export function Graph(
  { graph, selected, onSelect }: { graph: ClosureGraph; selected?: string; onSelect: (path: string) => void },
) {
  const room = useRef<HTMLDivElement>(null);
  const { nodes, edges, layers } = useMemo(() => layered(graph.nodes.length, graph.edges), [graph]);
  const tallest = Math.max(...layers);
  const step = BOX.height + BOX.down;
  const width = layers.length * (BOX.width + BOX.across) - BOX.across + 32;
  const height = tallest * step - BOX.down + 32;
  const at = (index: number) => {
    const { layer, order } = nodes[index];
    const free = (tallest - layers[layer]) * step;
    // Layers spread over the height a little, so that edges of a single node do not lie on each other.
    const spread = layers[layer] > 1 ? free * .6 / (layers[layer] - 1) : 0;
    const top = (free - spread * (layers[layer] - 1)) / 2;
    return { x: 16 + layer * (BOX.width + BOX.across), y: 16 + top + order * (step + spread) };
  };
  const chosen = graph.nodes.findIndex(({ path }) => path === selected);
  const lit = new Set<number>(chosen < 0 ? [] : [chosen]);
  for (const [from, to] of edges) {
    if (from === chosen) lit.add(to);
    if (to === chosen) lit.add(from);
  }
  const rootAt = at(0);
  useEffect(() => {
    // The root stands in the middle of its layer.
    if (room.current) room.current.scrollTop = rootAt.y + BOX.height / 2 - room.current.clientHeight / 2;
  }, [graph]);
  return (
    <div
      ref={room}
      class="graph"
      tabIndex={0}
      role="region"
      aria-label="Graph of the closure; the table tells the same"
    >
      <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`}>
        {edges.map(([from, to]) => {
          const [a, b] = [at(from), at(to)];
          const [x0, y0, x1, y1] = [a.x + BOX.width, a.y + BOX.height / 2, b.x, b.y + BOX.height / 2];
          const bend = Math.min(90, (x1 - x0) / 2);
          const bright = from === chosen || to === chosen;
          return (
            <path
              key={`${from} ${to}`}
              class={`edge ${bright ? "lit" : chosen >= 0 ? "faded" : ""}`}
              d={`M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`}
            />
          );
        })}
        {graph.nodes.map(({ path, name, narSize, closureSize }, index) => {
          const { x, y } = at(index);
          const state = index === chosen ? "lit" : chosen >= 0 && !lit.has(index) ? "faded" : "";
          return (
            <g
              key={path}
              class={`node ${state}`}
              transform={`translate(${x} ${y})`}
              tabIndex={0}
              role="button"
              aria-pressed={index === chosen}
              onClick={() => onSelect(path)}
              onKeyDown={(event) => {
                if (event.key !== "Enter" && event.key !== " ") return;
                event.preventDefault();
                onSelect(path);
              }}
            >
              <rect width={BOX.width} height={BOX.height} rx={6} />
              <text x={10} y={17}>{cut(shown(name), 28)}</text>{" "}
              <text x={10} y={31} class="sub">
                {`${bytes(narSize)}, closure ${bytes(closureSize)}`}
              </text>
            </g>
          );
        })}
      </svg>
    </div>
  );
}
