/** One thing in a store path: what it is, and what is in it. */
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import type { Fault, Found, Item } from "../../engine/engine.ts";
import { faultOf } from "../../engine/fault.ts";
import { shown } from "../../engine/shown.ts";
import { imageType, type Kind, kindOf, languageOf } from "../contents.ts";
import { save } from "../deeds.ts";
import { bytes, count, exactBytes, whole } from "../figures.ts";
import { Icon } from "../icons.tsx";
import { useAnswer } from "../part/ask.ts";
import { Bars } from "../part/bars.tsx";
import { Empty, FaultNote, Mark, Name, Waiting } from "../part/basics.tsx";
import { HexView } from "../part/hex_view.tsx";
import { TextView } from "../part/text_view.tsx";
import { nameOf, pathHref, webHref } from "../route.ts";
import { changes, engine, site } from "../store.ts";

/** Of a text this much is shown; all of it can be seen as bytes. */
const MOST_TEXT = 2 * 1024 * 1024;
const MOST_IMAGE = 32 * 1024 * 1024;
const CALL = 8 * 1024 * 1024;
const HEAD = 16_384;

/** The last name of a file path, or of the store path itself. */
function lastName(path: string, file: string): string {
  return file === "" ? nameOf(path) : file.slice(file.lastIndexOf("/") + 1);
}

export function Preview({ path, file }: { path: string; file: string }) {
  const { value: found, fault, waiting, again } = useAnswer(
    async () => await engine.stat(path, file) ?? null,
    [path, file, changes.value],
    [path, file],
  );
  if (fault) {
    return (
      <div class="inset">
        <FaultNote fault={fault} again={again} />
      </div>
    );
  }
  if (waiting) return <Waiting />;
  if (!found) {
    return (
      <Empty icon="file" title="Nothing is here under this name">
        <p>
          <a href={pathHref(path)}>Back to the top of the path</a>
        </p>
      </Empty>
    );
  }
  const { item } = found;
  if (item.type === "directory") return <FolderPane path={path} file={file} item={item} />;
  if (item.type === "symlink") return <LinkPane path={path} file={file} item={item} />;
  return <FilePane key={`${path}/${file}`} path={path} file={file} item={item} />;
}

function FolderPane({ path, file, item }: { path: string; file: string; item: Item }) {
  const { value: page, fault, again } = useAnswer(
    () => engine.list(path, file, { order: "size", limit: 12 }),
    [path, file],
  );
  const name = lastName(path, file);
  return (
    <>
      <div class="about">
        <Icon name="folder" class="dim" />
        <strong class="grow">
          <Name>{name}</Name>
        </strong>
        <button
          type="button"
          class="small"
          onClick={() => save({ type: "zip", path, file }, `${shown(name)}.zip`, item.size)}
        >
          <Icon name="download" /> Zip
        </button>
      </div>
      <div class="inset stack">
        {fault && <FaultNote fault={fault} again={again} />}
        <p class="dim">
          {page && `${count(page.total, "thing")} here`}
          {item.below !== undefined && page && item.below !== page.total &&
            `, ${whole(item.below)} at all depths`}
          {item.size !== undefined && `, ${exactBytes(item.size)} in files`}
        </p>
        {page && page.items.some(({ size }) => size) && (
          <section class="stack tight">
            <h2>Largest</h2>
            <Bars
              label="The largest things in this folder"
              items={page.items.filter(({ size }) => size).map((inside) => ({
                key: inside.name,
                size: inside.size!,
                label: (
                  <a href={pathHref(path, "files", file === "" ? inside.name : `${file}/${inside.name}`)}>
                    <Name>{inside.name + (inside.type === "directory" ? "/" : "")}</Name>
                  </a>
                ),
              }))}
            />
          </section>
        )}
        {page?.total === 0 && <p>This folder is empty.</p>}
      </div>
    </>
  );
}

function LinkPane({ path, file, item }: { path: string; file: string; item: Item }) {
  const { value: end, fault, waiting } = useAnswer(
    async () => await engine.stat(path, file, true) ?? null,
    [path, file],
  );
  return (
    <>
      <div class="about">
        <Icon name="link" class="dim" />
        <strong class="grow">
          <Name>{lastName(path, file)}</Name>
        </strong>
      </div>
      <div class="inset stack">
        <dl class="facts">
          <dt>Symlink to</dt>
          <dd class="mono">
            <Name>{item.target ?? ""}</Name>
          </dd>
        </dl>
        {fault && <FaultNote fault={fault} />}
        {end && <Followed end={end} />}
        {!end && !waiting && !fault && (
          <p class="dim">
            It leads to nothing that is kept here: out of this path, to one that was not opened, or in
            circles.
          </p>
        )}
      </div>
    </>
  );
}

function Followed({ end: { path, file, item } }: { end: Found }) {
  return (
    <p class="row">
      <a
        class="button primary"
        href={pathHref(path, "files", file)}
      >
        <Icon name="right" /> Follow
      </a>
      <span class="mono grow">
        <Name>{`${path}${file ? `/${file}` : ""}`}</Name>
      </span>
      <span class="dim">{item.type === "directory" ? "folder" : bytes(item.size ?? 0)}</span>
    </p>
  );
}

type Way = "shown" | "hex";

function FilePane({ path, file, item }: { path: string; file: string; item: Item }) {
  const size = item.size ?? 0;
  const name = lastName(path, file);
  const { value: head, fault, waiting, again } = useAnswer(
    () => size === 0 ? Promise.resolve(new Uint8Array()) : engine.read(path, file, 0, Math.min(size, HEAD)),
    [path, file],
  );
  const [way, setWay] = useState<Way>("shown");
  const [failure, setFailure] = useState<Fault | undefined>(undefined);
  const read = useCallback((start: number, end: number) => engine.read(path, file, start, end), [path, file]);
  const onFail = useCallback((error: unknown) => setFailure(faultOf(error)), []);
  const kind = head && kindOf(name, head);
  const both = kind === "text" || kind === "image";
  return (
    <>
      <div class="about">
        <Icon name="file" class="dim" />
        <strong class="grow">
          <Name>{name}</Name>
        </strong>
        {item.executable && <Mark tone="plain" icon="check">executable</Mark>}
        <span class="dim figure" title={exactBytes(size)}>{bytes(size)}</span>
        {both && (
          <span class="choice" role="radiogroup" aria-label="Show as">
            {(["shown", "hex"] as const).map((option) => (
              <label key={option}>
                <input type="radio" name="way" checked={way === option} onChange={() => setWay(option)} />
                {option === "hex" ? "Bytes" : kind === "image" ? "Image" : "Text"}
              </label>
            ))}
          </span>
        )}
        {/\.x?html?$/i.test(name) && (
          <>
            <a class="button small" href={webHref(path, file)} target="_blank" rel="noopener">
              <Icon name="outside" /> As a page
            </a>
            {site.value.contentOrigin && (
              <a
                class="button small"
                href={webHref(path, file, site.value.contentOrigin)}
                target="_blank"
                rel="noopener"
                title="On an origin of its own, where it can do nothing to this page"
              >
                With its scripts
              </a>
            )}
          </>
        )}
        <button
          type="button"
          class="small"
          onClick={() => save({ type: "file", path, file }, shown(name), size)}
        >
          <Icon name="download" /> Download
        </button>
      </div>
      {failure && (
        <div class="inset">
          <FaultNote fault={failure} again={() => setFailure(undefined)} />
        </div>
      )}
      {fault && (
        <div class="inset">
          <FaultNote fault={fault} again={again} />
        </div>
      )}
      {waiting && <Waiting>Fetching…</Waiting>}
      {head && !failure && (
        <div class="body">
          <Contents
            path={path}
            file={file}
            size={size}
            head={head}
            kind={way === "hex" ? "binary" : kind!}
            read={read}
            onFail={onFail}
          />
        </div>
      )}
    </>
  );
}

interface ContentsProps {
  path: string;
  file: string;
  size: number;
  head: Uint8Array;
  kind: Kind;
  read: (start: number, end: number) => Promise<Uint8Array>;
  onFail: (error: unknown) => void;
}

function Contents(props: ContentsProps) {
  const { path, file, size, kind, read, onFail } = props;
  const name = lastName(path, file);
  if (kind === "empty") return <Empty icon="file" title="This file is empty" />;
  if (kind === "text") return <Text {...props} />;
  if (kind === "image" && size <= MOST_IMAGE) return <Picture {...props} />;
  return <HexView size={size} read={read} label={`Bytes of ${shown(name)}`} onFail={onFail} />;
}

/** Several calls' worth of a file, one after the other. */
async function readAll(read: ContentsProps["read"], size: number): Promise<Uint8Array<ArrayBuffer>> {
  const all = new Uint8Array(size);
  for (let at = 0; at < size; at += CALL) all.set(await read(at, Math.min(size, at + CALL)), at);
  return all;
}

function Text({ path, file, size, head, read }: ContentsProps) {
  const name = lastName(path, file);
  const end = Math.min(size, MOST_TEXT);
  const { value, fault, again } = useAnswer(
    () => head.length >= end ? Promise.resolve(head) : readAll(read, end),
    [path, file],
  );
  const text = useMemo(() => value && new TextDecoder().decode(value), [value]);
  if (fault) {
    return (
      <div class="inset">
        <FaultNote fault={fault} again={again} />
      </div>
    );
  }
  if (text === undefined) return <Waiting>Fetching…</Waiting>;
  const language = languageOf(name, text.slice(0, 200).split("\n")[0]);
  return (
    <>
      <TextView text={text} language={language} label={`Text of ${shown(name)}`} />
      <div class="foot">
        <span>{count(text.split("\n").length - (text.endsWith("\n") ? 1 : 0), "line")}</span>
        {language && <span>{language}</span>}
        {size > end && <span>The first {bytes(end)} of {bytes(size)}; as bytes all of it can be seen</span>}
      </div>
    </>
  );
}

function Picture({ path, file, size, head, read, onFail }: ContentsProps) {
  const [url, setUrl] = useState<string | undefined>(undefined);
  const [dimensions, setDimensions] = useState("");
  const name = lastName(path, file);
  const type = imageType(name, head)!;
  useEffect(() => {
    let late = false;
    let made: string | undefined;
    readAll(read, size).then((bytes) => {
      if (late) return;
      setUrl(made = URL.createObjectURL(new Blob([bytes], { type })));
    }, onFail);
    return () => {
      late = true;
      if (made) URL.revokeObjectURL(made);
    };
  }, [path, file]);
  return (
    <>
      <div class="shown-image" tabIndex={0} role="region" aria-label="The image">
        {url && (
          <img
            src={url}
            alt={`The image ${shown(name)}`}
            onLoad={({ currentTarget: { naturalWidth, naturalHeight } }) =>
              setDimensions(`${naturalWidth} × ${naturalHeight}`)}
            onError={() => onFail(new Error("Cannot show this image: the browser does not understand it"))}
          />
        )}
      </div>
      <div class="foot">
        <span>{type}</span>
        <span>{dimensions}</span>
      </div>
    </>
  );
}
