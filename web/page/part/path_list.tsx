/** Store paths in a list: name, state, size. */
import type { ComponentChildren } from "preact";
import type { PathSummary } from "../../engine/engine.ts";
import { ago, bytes } from "../figures.ts";
import { Icon } from "../icons.tsx";
import { baseOf, pathHref } from "../route.ts";
import { Mark, Name } from "./basics.tsx";

export function PathList(
  { paths, tools, before }: {
    paths: readonly PathSummary[];
    tools?: (path: PathSummary) => ComponentChildren;
    before?: (path: PathSummary) => ComponentChildren;
  },
) {
  return (
    <ul class="paths">
      {paths.map((path) => (
        <li key={path.path}>
          <div class="what">
            {before ? before(path) : <Icon name="box" class="dim" />}
            <div class="row">
              <a class="name" href={pathHref(path.path)}>
                <Name>{path.name}</Name>
              </a>
              {path.state === "partial" && (
                <Mark tone="none" icon="download" title="Files are fetched when they are looked at">
                  fetched as needed
                </Mark>
              )}
              {path.pinned && <Mark tone="plain" icon="pin">pinned</Mark>}
            </div>
            <div class="below">
              <span class="hash">{baseOf(path.path).slice(0, 32)}</span>
              <span>{ago(path.openedAt)}</span>
              <span>{path.cache ? `from ${hostOf(path.cache)}` : "dropped here"}</span>
            </div>
          </div>
          <div class="row end">
            <span class="size">{bytes(path.narSize)}</span>
            {tools?.(path)}
          </div>
        </li>
      ))}
    </ul>
  );
}

/** The host of an address, for people. */
export function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host : address;
}
