/**
 * A list of any length of which only what is seen is in the page. Rows have one height. Browsers cannot lay out more than
 * some 17 million pixels: past that the scroll bar stands for more rows than it has pixels.
 */
import type { ComponentChildren, HTMLAttributes } from "preact";
import { useCallback, useEffect, useImperativeHandle, useRef, useState } from "preact/hooks";
import type { Ref } from "preact";

const MOST_PIXELS = 12_000_000;
/** Rows above and below what is seen. */
const MARGIN = 8;

export interface VirtualHandle {
  /** Scrolls as little as is needed to see the row. */
  reveal(row: number): void;
  focus(): void;
}

export interface VirtualProps {
  readonly count: number;
  readonly rowHeight: number;
  readonly row: (index: number) => ComponentChildren;
  /** Told which rows are in the page, end not included. */
  readonly onRange?: (start: number, end: number) => void;
  readonly handle?: Ref<VirtualHandle>;
  readonly class?: string;
  readonly attributes?: HTMLAttributes<HTMLDivElement>;
}

/** Where things stand for a scroll position: the first row, and by how much it is moved. Exported for its test. */
export function windowOf(top: number, height: number, count: number, rowHeight: number) {
  const all = count * rowHeight;
  const room = Math.min(all, MOST_PIXELS);
  // Scaled so that the ends of the scroll bar are the ends of the list.
  const factor = room > height && all > room ? (all - height) / (room - height) : 1;
  const from = Math.max(0, Math.min(top, room - height)) * factor;
  const start = Math.max(0, Math.floor(from / rowHeight) - MARGIN);
  const end = Math.min(count, Math.ceil((from + height) / rowHeight) + MARGIN);
  return {
    room,
    factor,
    start,
    end,
    shift: Math.round(start * rowHeight - from + Math.max(0, Math.min(top, room - height))),
  };
}

export function Virtual(
  { count, rowHeight, row, onRange, handle, class: extra = "", attributes }: VirtualProps,
) {
  const element = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  const { room, factor, start, end, shift } = windowOf(top, height, count, rowHeight);

  useEffect(() => {
    const watched = element.current!;
    const observer = new ResizeObserver(() => setHeight(watched.clientHeight));
    observer.observe(watched);
    return () => observer.disconnect();
  }, []);
  useEffect(() => onRange?.(start, end), [start, end, count, onRange]);
  useImperativeHandle(handle ?? null, () => ({
    reveal(index) {
      const { scrollTop, clientHeight } = element.current!;
      const from = scrollTop * factor;
      const at = index * rowHeight;
      if (at < from) element.current!.scrollTop = at / factor;
      else if (at + rowHeight > from + clientHeight) {
        element.current!.scrollTop = (at + rowHeight - clientHeight) / factor;
      }
    },
    focus: () => element.current?.focus(),
  }), [factor, rowHeight]);
  const onScroll = useCallback(() => setTop(element.current!.scrollTop), []);

  const rows: ComponentChildren[] = [];
  for (let i = start; i < end; i++) rows.push(row(i));
  return (
    <div ref={element} class={`virtual ${extra}`} onScroll={onScroll} tabIndex={0} {...attributes}>
      <div class="room" role="presentation" style={{ height: `${room}px` }}>
        <div class="at" role="presentation" style={{ transform: `translateY(${shift}px)` }}>{rows}</div>
      </div>
    </div>
  );
}
