/** What was dropped on the page, or chosen in a dialog, as a target to open. */
import type { FolderEntry, Target } from "../engine/engine.ts";

/** Things in a dropped folder that are read at most, where the browser does not hand out the folder itself. */
const MOST_ENTRIES = 1_000_000;

/** Targets of a drop: files together, each folder for itself. */
export async function targetsOf(transfer: DataTransfer): Promise<Target[]> {
  const files: File[] = [];
  const folders: Promise<Target>[] = [];
  // All must be asked for before the first await: the list is empty after it.
  const taken = [...transfer.items].filter(({ kind }) => kind === "file").map((item) => {
    const entry = item.webkitGetAsEntry?.();
    const handle = entry?.isDirectory && "getAsFileSystemHandle" in item
      ? (item as unknown as { getAsFileSystemHandle(): Promise<FileSystemHandle | null> })
        .getAsFileSystemHandle()
      : undefined;
    return { entry, handle, file: item.getAsFile() };
  });
  for (const { entry, handle, file } of taken) {
    if (entry?.isDirectory) folders.push(folderOf(entry as FileSystemDirectoryEntry, handle));
    else if (file) files.push(file);
  }
  const targets = await Promise.all(folders);
  return files.length > 0 ? [{ type: "files", files }, ...targets] : targets;
}

async function folderOf(
  entry: FileSystemDirectoryEntry,
  asked?: Promise<FileSystemHandle | null>,
): Promise<Target> {
  const handle = await asked?.catch(() => null);
  if (handle?.kind === "directory") {
    return { type: "folder", name: entry.name, entries: handle as FileSystemDirectoryHandle };
  }
  const entries: FolderEntry[] = [];
  await readFolder(entry, "", entries);
  return { type: "folder", name: entry.name, entries };
}

async function readFolder(folder: FileSystemDirectoryEntry, at: string, into: FolderEntry[]): Promise<void> {
  const reader = folder.createReader();
  let any = false;
  for (;;) {
    // A hundred or so at a time, until there are none.
    const batch = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    if (batch.length === 0) break;
    any = true;
    for (const entry of batch) {
      if (into.length >= MOST_ENTRIES) {
        throw new Error(`Cannot take this folder: it holds over ${MOST_ENTRIES} things`);
      }
      const path = at + entry.name;
      if (entry.isDirectory) await readFolder(entry as FileSystemDirectoryEntry, `${path}/`, into);
      else {
        const file = await new Promise<File>((resolve, reject) =>
          (entry as FileSystemFileEntry).file(resolve, reject)
        );
        into.push({ path, file });
      }
    }
  }
  if (!any && at !== "") into.push({ path: at.slice(0, -1) });
}

/** The target of files that were chosen in a dialog; a folder's come with the path below it. */
export function targetOf(files: readonly File[]): Target {
  const parts = files[0]?.webkitRelativePath.split("/") ?? [];
  if (parts.length < 2) return { type: "files", files };
  const entries = files.map((file) => ({ path: file.webkitRelativePath.slice(parts[0].length + 1), file }));
  return { type: "folder", name: parts[0], entries };
}

/** What to call a target. */
export function targetName(target: Target): string {
  if (target.type === "path") {
    const base = target.path.slice(target.path.lastIndexOf("/") + 1).replace(/\.narinfo$/, "");
    return base.slice(33) || base;
  }
  if (target.type === "folder") return target.name;
  return target.files.length === 1 ? target.files[0].name : `${target.files.length} files`;
}
