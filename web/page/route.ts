/**
 * Where in the page one is, as a fragment: it works on every host of plain files, and offline.
 *
 *   #/                                   open, and what was opened
 *   #/open?path=PATH&cache=ADDRESS       open that, when asked to
 *   #/path/BASE/files/NAME/NAME…         a store path, at a tab (files truth closure push), at a file
 *   #/compare?before=BASE&after=BASE
 *   #/kept  #/nix  #/settings
 *
 * Names are bytes: those that are not UTF-8 stand as U+DC80 to U+DCFF, one a byte, and in the fragment as `%80` to `%FF`.
 */
import { signal } from "@preact/signals";

export const TABS = ["files", "truth", "closure", "push"] as const;
export type Tab = typeof TABS[number];

export type Route =
  | { readonly view: "home"; readonly path?: string; readonly cache?: string }
  | { readonly view: "path"; readonly base: string; readonly tab: Tab; readonly file: string }
  | { readonly view: "compare"; readonly before?: string; readonly after?: string }
  | { readonly view: "kept" | "nix" | "settings" }
  | { readonly view: "nowhere" };

/** A name as a part of a fragment. */
export function encodeName(name: string): string {
  let text = "";
  for (const character of name) {
    const code = character.codePointAt(0)!;
    if (code >= 0xdc80 && code <= 0xdcff) text += `%${(code - 0xdc00).toString(16).toUpperCase()}`;
    else text += encodeURIComponent(character.toWellFormed());
  }
  return text;
}

/** The name that {@link encodeName} encoded. */
export function decodeName(text: string): string {
  const bytes: number[] = [];
  for (let i = 0; i < text.length;) {
    const escaped = /^%([0-9a-fA-F]{2})/.exec(text.slice(i, i + 3));
    if (escaped) {
      bytes.push(parseInt(escaped[1], 16));
      i += 3;
      continue;
    }
    const character = String.fromCodePoint(text.codePointAt(i)!);
    bytes.push(...new TextEncoder().encode(character));
    i += character.length;
  }
  return textOf(new Uint8Array(bytes));
}

/** UTF-8 as text, with one lone surrogate for each byte that is not UTF-8. */
function textOf(bytes: Uint8Array): string {
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let text = "";
  for (let i = 0; i < bytes.length;) {
    const length = bytes[i] < 0x80 ? 1 : bytes[i] >= 0xf0 ? 4 : bytes[i] >= 0xe0 ? 3 : 2;
    try {
      text += strict.decode(bytes.subarray(i, i + length));
      i += length;
    } catch {
      text += String.fromCharCode(0xdc00 + bytes[i++]);
    }
  }
  return text;
}

/** Reads a fragment, with or without its `#`. */
export function parseRoute(fragment: string): Route {
  const [path, search = ""] = fragment.replace(/^#/, "").split("?", 2);
  const parts = path.split("/").slice(1);
  const query = new URLSearchParams(search);
  switch (parts[0] ?? "") {
    case "":
      return { view: "home" };
    case "open":
      return { view: "home", path: query.get("path") ?? undefined, cache: query.get("cache") ?? undefined };
    case "compare":
      return {
        view: "compare",
        before: query.get("before") ?? undefined,
        after: query.get("after") ?? undefined,
      };
    case "kept":
    case "nix":
    case "settings":
      return { view: parts[0] as "kept" | "nix" | "settings" };
    case "path": {
      const tab = (parts[2] || "files") as Tab;
      if (!parts[1] || !TABS.includes(tab)) return { view: "nowhere" };
      const names = tab === "files" ? parts.slice(3).filter(Boolean).map(decodeName) : [];
      return { view: "path", base: decodeName(parts[1]), tab, file: names.join("/") };
    }
  }
  return { view: "nowhere" };
}

/** The address of a file of a path, or of another of its tabs. */
export function pathHref(path: string, tab: Tab = "files", file = ""): string {
  const base = baseOf(path);
  if (tab !== "files" || file === "") return `#/path/${encodeName(base)}${tab === "files" ? "" : `/${tab}`}`;
  return `#/path/${encodeName(base)}/files/${file.split("/").map(encodeName).join("/")}`;
}

/**
 * Where a file of a path is a web page, beside this page and without scripts; with an `origin` of its own there, with them.
 */
export function webHref(path: string, file = "", origin?: string): string {
  const below = [baseOf(path), ...file.split("/").filter(Boolean)].map(encodeName).join("/");
  return `${origin === undefined ? "" : `${origin}/`}nix/store/${below}`;
}

/** The address of a comparison. */
export function compareHref(before?: string, after?: string): string {
  const query = new URLSearchParams();
  if (before) query.set("before", baseOf(before));
  if (after) query.set("after", baseOf(after));
  return `#/compare${query.size > 0 ? `?${query}` : ""}`;
}

/** The last part of a store path. */
export function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** The name in a store path, without its hash. */
export function nameOf(path: string): string {
  return baseOf(path).slice(33);
}

/** Where one is. */
export const route = signal<Route>({ view: "home" });

/** Follows the address of the page from now on. */
export function followRoute(): void {
  const read = () => route.value = parseRoute(location.hash);
  addEventListener("hashchange", read);
  read();
}

/** Goes somewhere. */
export function go(href: string): void {
  location.hash = href;
}
