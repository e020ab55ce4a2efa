/** What is kept here, whole or partly, and letting go of it. */
import type { Node } from "../../src/castore/node.ts";
import { formatStorePath } from "../../src/nix/store_path.ts";
import type { Collected } from "./engine.ts";
import type { Job } from "./job.ts";
import type { Keeping } from "./keeping.ts";
import type { KeptPath, TabStore } from "./tab_store.ts";

/** All paths that are kept, whole ones first. */
export async function* allKept(tab: TabStore): AsyncGenerator<KeptPath, void, void> {
  for await (const { storePath } of tab.services.pathInfos.list()) {
    const kept = await tab.find(storePath.hashPart);
    if (kept) yield kept;
  }
  for await (const hashPart of tab.records.openedHashParts()) {
    const kept = await tab.find(hashPart);
    if (kept && !kept.whole) yield kept;
  }
}

/**
 * Deletes the wanted paths (by hash part), and with `keep` `pinned` all that no pin needs; those partly here by forgetting them; and then
 * contents that nothing needs any more. Nobody else may write meanwhile.
 */
export async function collectPaths(
  wanted: ReadonlySet<string>,
  keep: "all" | "pinned",
  tab: TabStore,
  keeping: Keeping,
  job: Job,
): Promise<Collected> {
  job.enter("collecting");
  const names = new Map<string, string>();
  const partial: Node[] = [];
  const forgotten: string[] = [];
  const remove: string[] = [];
  for await (const { info, whole } of allKept(tab)) {
    const { hashPart } = info.storePath;
    names.set(hashPart, formatStorePath(info.storePath));
    if (whole && wanted.has(hashPart)) remove.push(hashPart);
    else if (!whole && (wanted.has(hashPart) || keep === "pinned")) forgotten.push(hashPart);
    else if (!whole) partial.push(info.node);
  }
  const { paths, freed } = await keeping.collect({ remove, keep, partial, signal: job.signal });
  for (const hashPart of [...forgotten, ...paths]) await tab.records.deleteOpened(hashPart);
  return { paths: [...forgotten, ...paths].map((hashPart) => names.get(hashPart) ?? hashPart), freed };
}
