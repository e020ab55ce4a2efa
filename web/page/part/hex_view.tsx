/** The bytes of a file of any size: only what is seen is read. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { Virtual } from "./virtual.tsx";

const LINE = 20;
/** Bytes read at once; a whole number of rows of every width. */
const BLOCK = 65_536;
const BLOCKS_KEPT = 64;

export type Reader = (start: number, end: number) => Promise<Uint8Array>;

/** One row as text: hex in groups of eight, and what is printable ASCII. Exported for its test. */
export function hexRow(bytes: Uint8Array, width: number): { hex: string; ascii: string } {
  const cells = Array.from(
    { length: width },
    (_, i) => i < bytes.length ? bytes[i].toString(16).padStart(2, "0") : "  ",
  );
  const groups: string[] = [];
  for (let i = 0; i < width; i += 8) groups.push(cells.slice(i, i + 8).join(" "));
  const ascii = Array.from(bytes, (byte) => byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".")
    .join("");
  return { hex: groups.join("  "), ascii };
}

export function HexView(
  { size, read, label, onFail }: {
    size: number;
    read: Reader;
    label: string;
    onFail: (error: unknown) => void;
  },
) {
  const [, redraw] = useState(0);
  const blocks = useRef(new Map<number, Uint8Array | "asked">());
  const room = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(16);
  useEffect(() => {
    blocks.current.clear();
    redraw((n) => n + 1);
  }, [read]);
  useEffect(() => {
    const observer = new ResizeObserver(([{ contentRect }]) => setWidth(contentRect.width < 640 ? 8 : 16));
    observer.observe(room.current!);
    return () => observer.disconnect();
  }, []);
  const onRange = useCallback((start: number, end: number) => {
    const known = blocks.current;
    for (
      let block = Math.floor(start * width / BLOCK);
      block * BLOCK < Math.min(size, end * width);
      block++
    ) {
      if (known.has(block)) continue;
      known.set(block, "asked");
      read(block * BLOCK, Math.min(size, (block + 1) * BLOCK)).then((bytes) => {
        known.set(block, bytes);
        for (const old of known.keys()) if (known.size > BLOCKS_KEPT && old !== block) known.delete(old);
        redraw((n) => n + 1);
      }, (error) => {
        known.delete(block);
        onFail(error);
      });
    }
  }, [size, read, width]);
  const digits = Math.max(4, (size - 1).toString(16).length);
  const row = (index: number) => {
    const at = index * width;
    const block = blocks.current.get(Math.floor(at / BLOCK));
    const from = at % BLOCK;
    const { hex, ascii } = typeof block === "object"
      ? hexRow(block.subarray(from, Math.min(from + width, block.length)), width)
      : { hex: "·· ".repeat(width).trim(), ascii: "" };
    return (
      <div class="line" key={index}>
        <span class="at-byte">{at.toString(16).padStart(digits, "0")}</span>
        <span>{hex}</span>
        <span class="ascii">{ascii}</span>
      </div>
    );
  };
  return (
    <div class="body grow" ref={room} style={{ display: "flex", flexDirection: "column", minHeight: 0 }}>
      <Virtual
        class="hex"
        count={Math.ceil(size / width)}
        rowHeight={LINE}
        onRange={onRange}
        attributes={{ role: "region", "aria-label": label }}
        row={row}
      />
    </div>
  );
}
