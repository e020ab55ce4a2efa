/** What people do with store paths, each with its card of progress. */
import type {
  Collected,
  FolderEntry,
  Opened,
  OpenOptions,
  Report,
  Saved,
  SavedFile,
  Target,
} from "../engine/engine.ts";
import { bytes, count } from "./figures.ts";
import { targetName } from "./dropped.ts";
import { go, nameOf, pathHref } from "./route.ts";
import { engine, type Outcome, run } from "./store.ts";

/** Larger files are written where the person says, as they are made; smaller ones are made in memory. */
const WORTH_ASKING = 64 * 1024 * 1024;

/** Entries of a folder in one message: a browser may take a millisecond for each. */
const ENTRIES = 50;

/** Opens a target, and goes there unless it is one of several, or one is there. */
export async function open(
  target: Target,
  options: OpenOptions = {},
  alone = true,
): Promise<Opened | undefined> {
  // Going there is a part of the deed, so that it is done as well when it is begun again.
  const deed = async (job: string, report: Report) => {
    const opened = await engine.open(await sendEntries(target, job), options, job, report);
    if (alone && opened.paths.length > 0 && opened.refused.length === 0) go(pathHref(opened.paths[0].path));
    return opened;
  };
  return await run(`Open ${targetName(target)}`, deed, tellOpened);
}

/** Sends most of a folder's entries ahead, for sending many at once would make the page stand still. */
async function sendEntries(target: Target, job: string): Promise<Target> {
  if (target.type !== "folder" || !Array.isArray(target.entries)) return target;
  const entries = target.entries as readonly FolderEntry[];
  let at = 0;
  for (; at + ENTRIES < entries.length; at += ENTRIES) {
    await engine.addEntries(job, entries.slice(at, at + ENTRIES));
  }
  return { ...target, entries: entries.slice(at) };
}

function tellOpened({ paths, refused }: Opened): Outcome {
  const size = paths.reduce((sum, { narSize }) => sum + narSize, 0);
  const opened = paths.length === 0 ? "Nothing opened" : `${count(paths.length, "path")}, ${bytes(size)}`;
  const href = paths[0] && pathHref(paths[0].path);
  if (refused.length === 0) return { told: opened, href };
  const first = `${refused[0].what}: ${refused[0].fault.message}`;
  const more = refused.length > 1 ? ` (and ${refused.length - 1} more)` : "";
  return { told: `${opened}. Refused: ${first}${more}`, href, bad: true };
}

/** Fetches all of a path, and proves it. */
export function complete(path: string): Promise<unknown> {
  return run(
    `Fetch all of ${nameOf(path)}`,
    (job, report) => engine.complete(path, job, report),
    () => ({ told: "everything is here, and every claim was recomputed" }),
  );
}

/** Saves something as a file on this machine. */
export async function save(what: Saved, name: string, size?: number): Promise<void> {
  let handle: FileSystemFileHandle | undefined;
  const picker = (globalThis as { showSaveFilePicker?: (options: unknown) => Promise<FileSystemFileHandle> })
    .showSaveFilePicker;
  if (picker && (size === undefined || size >= WORTH_ASKING)) {
    try {
      handle = await picker({ suggestedName: name });
    } catch (error) {
      if ((error as DOMException).name === "AbortError") return;
      // Not allowed here: it is made in memory then.
    }
  }
  const saved = await run(
    `Save ${name}`,
    (job, report) => engine.save(what, handle, job, report),
    ({ size }: SavedFile) => ({ told: `${bytes(size)} saved` }),
  );
  if (saved?.blob) download(saved.blob, saved.name);
}

function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** What a deletion freed, in words. */
export function tellCollected({ paths, freed }: Collected): Outcome {
  return { told: `${count(paths.length, "path")} deleted, ${bytes(freed)} free again` };
}
