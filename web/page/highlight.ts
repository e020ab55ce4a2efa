/** Colours of texts, worked out by a worker that is started when the first text wants them. */
import type { Piece } from "./highlighter.ts";

declare const __HIGHLIGHTER__: string;

export type { Piece } from "./highlighter.ts";

let worker: Worker | undefined;
let last = 0;
const waiting = new Map<number, (lines: Piece[][] | undefined) => void>();

/** The pieces of each line, or `undefined` where they cannot be had: then the text is plain. */
export function highlight(language: string, text: string): Promise<Piece[][] | undefined> {
  worker ??= start();
  const id = ++last;
  worker.postMessage({ id, language, text });
  return new Promise((resolve) => waiting.set(id, resolve));
}

function start(): Worker {
  const started = new Worker(new URL(__HIGHLIGHTER__, document.baseURI), {
    type: "module",
    name: "highlighter",
  });
  started.addEventListener("message", ({ data: { id, lines } }) => {
    waiting.get(id)?.(lines);
    waiting.delete(id);
  });
  started.addEventListener("error", () => {
    for (const resolve of waiting.values()) resolve(undefined);
    waiting.clear();
    worker = undefined;
  });
  return started;
}
