/** The files of a store path: a tree or what was searched for, and beside it what one of them holds. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import * as Comlink from "comlink";
import type { Fault, ListOptions, SearchEnd, SearchHit } from "../../engine/engine.ts";
import { faultOf } from "../../engine/fault.ts";
import { shown } from "../../engine/shown.ts";
import { bytes, count } from "../figures.ts";
import { Icon } from "../icons.tsx";
import { FaultNote, Name } from "../part/basics.tsx";
import { FileTree, ItemIcon } from "../part/file_tree.tsx";
import { Virtual } from "../part/virtual.tsx";
import { go, nameOf, pathHref } from "../route.ts";
import { engine } from "../store.ts";
import { Preview } from "./preview.tsx";

type Order = NonNullable<ListOptions["order"]>;

export function Browse({ path, file }: { path: string; file: string }) {
  const [order, setOrder] = useState<Order>("folders");
  const [text, setText] = useState("");
  const [fault, setFault] = useState<Fault | undefined>(undefined);
  // On a phone either the tree or the file is seen.
  const [shows, setShows] = useState<"side" | "pane">(file === "" ? "side" : "pane");
  const list = useCallback(
    (folder: string, options: ListOptions) => engine.list(path, folder, options),
    [path],
  );
  const onFail = useCallback((error: unknown) => setFault(faultOf(error)), []);
  const own = useRef(file);
  const select = (chosen: string, show: boolean) => {
    own.current = chosen;
    if (show) setShows("pane");
    if (chosen !== file) go(pathHref(path, "files", chosen));
  };
  useEffect(() => {
    // Led here by a link, not by the tree: then it is to be seen.
    if (file !== own.current && file !== "") setShows("pane");
    own.current = file;
  }, [file]);
  return (
    <div class="browse" data-shows={shows}>
      <div class="side">
        <div class="tools">
          <SearchField text={text} onText={setText} />
          <select
            aria-label="Order"
            value={order}
            onChange={({ currentTarget }) => setOrder(currentTarget.value as Order)}
          >
            <option value="folders">Folders first</option>
            <option value="name">By name</option>
            <option value="size">By size</option>
          </select>
        </div>
        {fault && <FaultNote fault={fault} again={() => setFault(undefined)} />}
        {text.trim() === ""
          ? (
            <FileTree
              key={`${path} ${order}`}
              list={list}
              order={order}
              label={`Files of ${shown(nameOf(path))}`}
              selected={file}
              onSelect={(chosen, item) => select(chosen, item.type !== "directory")}
              onFail={onFail}
            />
          )
          : (
            <Hits
              path={path}
              text={text.trim()}
              selected={file}
              onSelect={(chosen) => select(chosen, true)}
            />
          )}
      </div>
      <div class="pane">
        <div class="about">
          <button type="button" class="quiet small only-narrow" onClick={() => setShows("side")}>
            <Icon name="left" /> Files
          </button>
          <Crumbs path={path} file={file} />
        </div>
        <Preview path={path} file={file} />
      </div>
    </div>
  );
}

/** Found by `/` from everywhere on the page. */
function SearchField({ text, onText }: { text: string; onText: (text: string) => void }) {
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const writing = (event.target as HTMLElement).closest?.(
        "input:not([type=radio]), textarea, select, [contenteditable]",
      );
      if (event.key !== "/" || writing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
  return (
    <div class="field">
      <input
        ref={field}
        type="search"
        aria-label="Search for names in this path"
        placeholder="Search, or *.so"
        value={text}
        spellcheck={false}
        autocomplete="off"
        onInput={({ currentTarget }) => onText(currentTarget.value)}
        onKeyDown={(event) => event.key === "Escape" && onText("")}
      />
      <Icon name="search" />
      <kbd aria-hidden="true">/</kbd>
    </div>
  );
}

let searches = 0;

function Hits(
  { path, text, selected, onSelect }: {
    path: string;
    text: string;
    selected: string;
    onSelect: (file: string) => void;
  },
) {
  const [hits, setHits] = useState<readonly SearchHit[]>([]);
  const [end, setEnd] = useState<SearchEnd | Fault | undefined>(undefined);
  const [active, setActive] = useState(0);
  useEffect(() => {
    const job = `search ${++searches}`;
    let late = false;
    let all: SearchHit[] = [];
    setHits([]);
    setEnd(undefined);
    setActive(0);
    const timer = setTimeout(() => {
      const found = Comlink.proxy((batch: readonly SearchHit[]) => {
        if (!late) setHits(all = all.concat(batch));
      });
      engine.search(path, text, {}, job, found).then(
        (value) => late || setEnd(value),
        (error) => late || setEnd(faultOf(error)),
      );
    }, 150);
    return () => {
      late = true;
      clearTimeout(timer);
      engine.cancel(job);
    };
  }, [path, text]);
  const told = useMemo(() => {
    if (!end) return hits.length > 0 ? `${count(hits.length, "hit")} so far…` : "Searching…";
    if ("message" in end) return end.message;
    if (end.hits === 0) return "Nothing has such a name";
    return `${count(end.hits, "hit")}${end.more ? ", and there are more" : ""}`;
  }, [hits, end]);
  const choose = (index: number) => {
    const at = Math.max(0, Math.min(hits.length - 1, index));
    setActive(at);
    if (hits[at]) onSelect(hits[at].file);
  };
  return (
    <>
      <p class="foot" role="status" style={{ borderTop: 0 }}>{told}</p>
      <Virtual
        count={hits.length}
        rowHeight={28}
        attributes={{
          role: "listbox",
          "aria-label": "What was found",
          "aria-activedescendant": hits.length > 0 ? `hit-${active}` : undefined,
          onKeyDown: (event: KeyboardEvent) => {
            const steps: Record<string, number> = {
              ArrowDown: 1,
              ArrowUp: -1,
              PageDown: 20,
              PageUp: -20,
              Enter: 0,
            };
            if (!(event.key in steps)) return;
            event.preventDefault();
            choose(active + steps[event.key]);
          },
        }}
        row={(index) => {
          const { file, item } = hits[index];
          const at = file.lastIndexOf("/");
          return (
            <div
              key={index}
              id={`hit-${index}`}
              class={`treerow ${index === active ? "active" : ""}`}
              role="option"
              aria-selected={file === selected}
              style={{ paddingInlineStart: "10px" }}
              title={shown(file)}
              onClick={() => choose(index)}
            >
              <ItemIcon type={item.type} />
              <span class="label">
                <Name>{file.slice(at + 1)}</Name>
                {at >= 0 && (
                  <span class="dim">
                    {" in "}
                    <Name>{file.slice(0, at)}</Name>
                  </span>
                )}
              </span>
              <span class="size">{item.size !== undefined ? bytes(item.size) : ""}</span>
            </div>
          );
        }}
      />
    </>
  );
}

function Crumbs({ path, file }: { path: string; file: string }) {
  const names = file === "" ? [] : file.split("/");
  return (
    <nav aria-label="Where this is" class="grow">
      <ol class="crumbs">
        <li>
          {names.length === 0
            ? (
              <span aria-current="location">
                <Name>{nameOf(path)}</Name>
              </span>
            )
            : (
              <a href={pathHref(path)}>
                <Name>{nameOf(path)}</Name>
              </a>
            )}
        </li>
        {names.map((name, i) => (
          <li key={i}>
            {i === names.length - 1
              ? (
                <span aria-current="location">
                  <Name>{name}</Name>
                </span>
              )
              : (
                <a href={pathHref(path, "files", names.slice(0, i + 1).join("/"))}>
                  <Name>{name}</Name>
                </a>
              )}
          </li>
        ))}
      </ol>
    </nav>
  );
}
