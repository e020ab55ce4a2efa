/** A tree of folders: rows on demand, and the keys that trees have. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { FolderTree, type Lister, type Row } from "../folder_tree.ts";
import type { Item, ListOptions } from "../../engine/engine.ts";
import { Icon } from "../icons.tsx";
import { bytes } from "../figures.ts";
import { shown } from "../../engine/shown.ts";
import { Name } from "./basics.tsx";
import { Virtual, type VirtualHandle } from "./virtual.tsx";

const ROW = 28;

export interface FileTreeProps {
  readonly list: Lister;
  readonly order: NonNullable<ListOptions["order"]>;
  readonly label: string;
  /** The file that is looked at. */
  readonly selected: string;
  readonly onSelect: (file: string, item: Item) => void;
  readonly onFail: (error: unknown) => void;
}

export function FileTree({ list, order, label, selected, onSelect, onFail }: FileTreeProps) {
  const [, redraw] = useState(0);
  const [active, setActive] = useState(0);
  const virtual = useRef<VirtualHandle>(null);
  const tree = useMemo(() => new FolderTree(list, order, () => redraw((n) => n + 1), onFail), [list, order]);

  /** Opens the folders around what is looked at, and it, if it is one. */
  const show = async () => {
    const row = selected === "" ? undefined : await tree.reveal(selected);
    if (row === undefined) return;
    await tree.open(row);
    setActive(row);
    requestAnimationFrame(() => virtual.current?.reveal(row));
  };
  useEffect(() => {
    let late = false;
    (async () => {
      await tree.start();
      if (!late) await show();
    })();
    return () => {
      late = true;
    };
  }, [tree]);
  useEffect(() => {
    // Chosen elsewhere: by a link, or by going back.
    if (selected === "" || tree.count === 0 || tree.row(Math.min(active, tree.count - 1)).file === selected) {
      return;
    }
    show();
  }, [selected]);

  const count = tree.count;
  const move = (to: number, choose = true) => {
    const row = Math.max(0, Math.min(count - 1, to));
    setActive(row);
    virtual.current?.reveal(row);
    const { file, item } = tree.row(row);
    if (choose && item) onSelect(file, item);
  };
  const toggle = (index: number) => {
    const { open } = tree.row(index);
    if (open) tree.close(index);
    else tree.open(index).catch(onFail);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (count === 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const now = Math.min(active, count - 1);
    const { item, open } = tree.row(now);
    const folder = item?.type === "directory";
    const deeds: Record<string, () => void> = {
      ArrowDown: () => move(now + 1),
      ArrowUp: () => move(now - 1),
      PageDown: () => move(now + 20),
      PageUp: () => move(now - 20),
      Home: () => move(0),
      End: () => move(count - 1),
      ArrowRight: () => folder && (open ? move(now + 1) : toggle(now)),
      ArrowLeft: () => folder && open ? toggle(now) : tree.parent(now) >= 0 && move(tree.parent(now)),
      Enter: () => folder ? toggle(now) : move(now),
      " ": () => folder ? toggle(now) : move(now),
    };
    const deed = deeds[event.key];
    if (!deed) return;
    event.preventDefault();
    deed();
  };
  const onRange = useCallback((start: number, end: number) => tree.need(start, end), [tree]);

  return (
    <Virtual
      count={count}
      rowHeight={ROW}
      handle={virtual}
      onRange={onRange}
      attributes={{
        role: "tree",
        "aria-label": label,
        "aria-activedescendant": count > 0 ? `tree-${Math.min(active, count - 1)}` : undefined,
        onKeyDown,
      }}
      row={(index) => (
        <TreeRow
          key={index}
          index={index}
          row={tree.row(index)}
          active={index === active}
          selected={tree.row(index).file === selected}
          onClick={() => {
            const { item } = tree.row(index);
            if (item?.type === "directory") toggle(index);
            move(index);
          }}
        />
      )}
    />
  );
}

function TreeRow(
  { index, row, active, selected, onClick }: {
    index: number;
    row: Row;
    active: boolean;
    selected: boolean;
    onClick: () => void;
  },
) {
  const { item, depth } = row;
  const folder = item?.type === "directory";
  return (
    <div
      id={`tree-${index}`}
      class={`treerow ${active ? "active" : ""} ${item ? "" : "waiting"}`}
      role="treeitem"
      aria-level={depth + 1}
      aria-posinset={row.index + 1}
      aria-setsize={row.total}
      aria-selected={selected}
      aria-expanded={folder ? row.open : undefined}
      style={{ paddingInlineStart: `${8 + Math.min(depth, 24) * 16}px` }}
      onClick={onClick}
      title={item ? shown(row.file) : undefined}
    >
      <span class="twist">{folder && <Icon name="right" />}</span>
      <ItemIcon type={item?.type ?? "file"} />
      <span class="label">
        {item ? <Name>{item.name}</Name> : "…"}
        {item?.target !== undefined && (
          <span class="dim">
            {" → "}
            <Name>{item.target}</Name>
          </span>
        )}
      </span>
      {item?.executable && <span class="exec" title="Executable">exec</span>}
      <span class="size">{item?.size !== undefined ? bytes(item.size) : ""}</span>
    </div>
  );
}

export function ItemIcon({ type }: { type: Item["type"] }) {
  const [name, word] = type === "directory"
    ? ["folder", "folder"] as const
    : type === "symlink"
    ? ["link", "symlink"] as const
    : ["file", "file"] as const;
  return (
    <span class={`kind ${type === "directory" ? "folder" : ""}`}>
      <Icon name={name} />
      <span class="hidden">{word}:</span>
    </span>
  );
}
