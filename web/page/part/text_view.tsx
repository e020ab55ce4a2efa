/** A text by lines, of which only those that are seen are in the page; coloured when its colours have come. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { shown } from "../../engine/shown.ts";
import { highlight, type Piece } from "../highlight.ts";
import { Virtual, type VirtualHandle } from "./virtual.tsx";

const LINE = 20;
/** Characters of a line that are shown: minified files have one line. */
const MOST_COLUMNS = 5000;
/** Longest text that is coloured. */
const MOST_COLOURED = 400_000;

/** What cannot be seen becomes visible; tabs stay. */
function visible(text: string): string {
  return text.split("\t").map(shown).join("\t");
}

export function TextView({ text, language, label }: { text: string; language?: string; label: string }) {
  const lines = useMemo(() => text.replaceAll("\r\n", "\n").replace(/\n$/, "").split("\n"), [text]);
  const [coloured, setColoured] = useState<Piece[][] | undefined>(undefined);
  const virtual = useRef<VirtualHandle>(null);
  useEffect(() => {
    setColoured(undefined);
    if (language === undefined || text.length > MOST_COLOURED) return;
    let late = false;
    highlight(language, lines.join("\n")).then((pieces) => late || setColoured(pieces));
    return () => {
      late = true;
    };
  }, [text, language]);
  const digits = String(lines.length).length;
  return (
    <Virtual
      class="text wide"
      handle={virtual}
      count={lines.length}
      rowHeight={LINE}
      attributes={{ role: "region", "aria-label": label }}
      row={(index) => (
        <div class="line" key={index}>
          <span class="number" aria-hidden="true" style={{ minWidth: `${digits + 3}ch` }}>{index + 1}</span>
          <Line plain={lines[index]} pieces={coloured?.[index]} />
        </div>
      )}
    />
  );
}

function Line({ plain, pieces }: { plain: string; pieces?: Piece[] }) {
  if (!pieces || plain.length > MOST_COLUMNS) {
    const cut = plain.length > MOST_COLUMNS;
    return (
      <span class="code">
        {visible(plain.slice(0, MOST_COLUMNS))}
        {cut && <span class="dim">… {plain.length - MOST_COLUMNS} more characters</span>}
      </span>
    );
  }
  return (
    <span class="code">
      {pieces.map(([text, kind], i) => <span key={i} class={kind}>{visible(text)}</span>)}
    </span>
  );
}
