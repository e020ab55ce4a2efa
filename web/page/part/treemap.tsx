/** Sizes as areas: the larger, the more room. */
// @ts-types="@types/d3-hierarchy"
import { hierarchy, treemap, treemapSquarify } from "d3-hierarchy";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { bytes } from "../figures.ts";
import { shown } from "../../engine/shown.ts";

export interface Tile {
  readonly key: string;
  readonly label: string;
  readonly size: number;
}

/** Tiles that are drawn; the rest is one. */
const MOST_TILES = 60;

interface Drawn {
  readonly tile?: Tile;
  readonly children?: Drawn[];
}

export function Treemap(
  { tiles, selected, onSelect, label }: {
    tiles: readonly Tile[];
    selected?: string;
    onSelect: (key: string) => void;
    label: string;
  },
) {
  const element = useRef<HTMLDivElement>(null);
  const [[width, height], setRoom] = useState([800, 400]);
  useEffect(() => {
    const observer = new ResizeObserver(([{ contentRect }]) =>
      setRoom([contentRect.width, contentRect.height])
    );
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, []);
  const leaves = useMemo(() => {
    const sorted = tiles.filter(({ size }) => size > 0).toSorted((a, b) => b.size - a.size);
    const rest = sorted.slice(MOST_TILES);
    const drawn: Drawn[] = sorted.slice(0, MOST_TILES).map((tile) => ({ tile }));
    if (rest.length > 0) {
      const size = rest.reduce((sum, tile) => sum + tile.size, 0);
      drawn.push({ tile: { key: "", label: `${rest.length} more`, size } });
    }
    const root = hierarchy<Drawn>({ children: drawn }).sum(({ tile }) => tile?.size ?? 0);
    return treemap<Drawn>().tile(treemapSquarify.ratio(1.4)).size([width, height]).paddingInner(2)(root)
      .leaves();
  }, [tiles, width, height]);
  const largest = Math.max(1, ...leaves.map(({ value }) => value ?? 0));
  return (
    <div ref={element} class="treemap" role="group" aria-label={label}>
      {leaves.map(({ x0, y0, x1, y1, data: { tile } }) => {
        const { key, label, size } = tile!;
        const [w, h] = [x1 - x0, y1 - y0];
        return (
          <button
            key={key}
            type="button"
            disabled={key === ""}
            aria-pressed={key === selected}
            aria-label={w > 44 && h > 24 ? undefined : `${shown(label)} ${bytes(size)}`}
            title={`${shown(label)}, ${bytes(size)}`}
            style={{
              left: `${x0}px`,
              top: `${y0}px`,
              width: `${w}px`,
              height: `${h}px`,
              padding: w < 44 || h < 24 ? "0" : undefined,
              "--heat": Math.round(12 + 48 * Math.sqrt(size / largest)),
            }}
            onClick={() => onSelect(key)}
          >
            {w > 44 && h > 24 && (
              <>
                <span>{shown(label)}</span>{" "}
                <span class={w > 60 && h > 46 ? "figure" : "hidden"}>{bytes(size)}</span>
              </>
            )}
          </button>
        );
      })}
    </div>
  );
}
