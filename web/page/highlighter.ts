/**
 * A worker that colours texts, so that the page does not wait for it. Gets `{ id, language, text }`, gives `{ id, lines }`: of each line its
 * pieces, each with a class or none. Pieces are data, never markup.
 */
import { createLowlight } from "lowlight";
import bash from "highlight.js/lib/languages/bash";
import c from "highlight.js/lib/languages/c";
import cmake from "highlight.js/lib/languages/cmake";
import cpp from "highlight.js/lib/languages/cpp";
import css from "highlight.js/lib/languages/css";
import diff from "highlight.js/lib/languages/diff";
import go from "highlight.js/lib/languages/go";
import ini from "highlight.js/lib/languages/ini";
import java from "highlight.js/lib/languages/java";
import javascript from "highlight.js/lib/languages/javascript";
import json from "highlight.js/lib/languages/json";
import lua from "highlight.js/lib/languages/lua";
import makefile from "highlight.js/lib/languages/makefile";
import markdown from "highlight.js/lib/languages/markdown";
import nix from "highlight.js/lib/languages/nix";
import perl from "highlight.js/lib/languages/perl";
import python from "highlight.js/lib/languages/python";
import ruby from "highlight.js/lib/languages/ruby";
import rust from "highlight.js/lib/languages/rust";
import typescript from "highlight.js/lib/languages/typescript";
import xml from "highlight.js/lib/languages/xml";
import yaml from "highlight.js/lib/languages/yaml";

const languages = {
  ...{ bash, c, cmake, cpp, css, diff, go, ini, java, javascript, json, lua, makefile, markdown, nix, perl },
  ...{ python, ruby, rust, typescript, xml, yaml },
};
const lowlight = createLowlight(languages);

/** A piece of a line and its class. */
export type Piece = readonly [text: string, kind?: string];

interface Part {
  readonly type: string;
  readonly value?: string;
  readonly children?: readonly Part[];
  readonly properties?: { readonly className?: unknown };
}

/** The pieces of each line of a text. */
export function colour(language: string, text: string): Piece[][] {
  const lines: Piece[][] = [[]];
  const walk = (part: Part, kind: string | undefined) => {
    if (part.type === "text") {
      for (const [i, piece] of part.value!.split("\n").entries()) {
        if (i > 0) lines.push([]);
        if (piece !== "") lines.at(-1)!.push(kind ? [piece, kind] : [piece]);
      }
      return;
    }
    const names = part.properties?.className;
    const own = Array.isArray(names) ? String(names[0]).replace(/^hljs-/, "t-") : kind;
    for (const child of part.children ?? []) walk(child, own);
  };
  walk(lowlight.highlight(language, text) as Part, undefined);
  return lines;
}

if ("WorkerGlobalScope" in globalThis && !("Deno" in globalThis)) { // imported by a test, it is no worker
  addEventListener("message", (event) => {
    const { id, language, text } = (event as MessageEvent).data as {
      id: number;
      language: string;
      text: string;
    };
    postMessage({ id, lines: colour(language, text) });
  });
}
