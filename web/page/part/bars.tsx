/** Sizes beside each other. */
import type { ComponentChildren } from "preact";
import { bytes, percent } from "../figures.ts";

export interface Bar {
  readonly key: string;
  readonly label: ComponentChildren;
  readonly size: number;
}

/** One bar an item, the largest filling the room. */
export function Bars({ items, label }: { items: readonly Bar[]; label: string }) {
  const largest = Math.max(1, ...items.map(({ size }) => size));
  return (
    <ul class="bars" aria-label={label}>
      {items.map(({ key, label, size }) => (
        <li key={key}>
          <span class="bar-name">{label}</span>
          <span class="bar-room" aria-hidden="true">
            <i style={{ width: `${100 * size / largest}%` }} />
          </span>
          <span class="figure dim">{bytes(size)}</span>
        </li>
      ))}
    </ul>
  );
}

export interface Share {
  readonly label: string;
  readonly size: number;
  readonly class: "p1" | "p2" | "p3" | "pn";
}

/** A whole and its parts, as lanes of one scale. The key says the figures in words. */
export function Split(
  { lanes, key: _key }: { lanes: readonly { title: string; parts: readonly Share[] }[]; key?: string },
) {
  const longest = Math.max(1, ...lanes.map(({ parts }) => parts.reduce((sum, { size }) => sum + size, 0)));
  const known = new Map<string, Share & { told: string[] }>();
  for (const { title, parts } of lanes) {
    const all = parts.reduce((sum, { size }) => sum + size, 0);
    for (const part of parts.filter(({ size }) => size > 0)) {
      const entry = known.get(part.label) ?? { ...part, told: [] };
      entry.told.push(
        `${lanes.length > 1 ? `${title} ` : ""}${bytes(part.size)} (${percent(part.size, all)})`,
      );
      known.set(part.label, entry);
    }
  }
  return (
    <div class="split">
      {lanes.map(({ title, parts }) => (
        <div key={title}>
          {lanes.length > 1 && <div class="dim">{title}</div>}
          <div class="lane" aria-hidden="true">
            {parts.filter(({ size }) => size > 0).map((part) => (
              <i key={part.label} class={part.class} style={{ width: `${100 * part.size / longest}%` }} />
            ))}
          </div>
        </div>
      ))}
      <ul class="key">
        {[...known.values()].map((part) => (
          <li key={part.label}>
            <i class={part.class} aria-hidden="true" />
            <span>{part.label}</span>
            <span class="dim figure">{part.told.join(", ")}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}
