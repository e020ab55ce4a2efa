/**
 * Completing an index from the packs themselves: one that is new, or was not closed properly and may lack the last changes.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { DamageError } from "../errors.ts";
import type { Forgotten } from "./forgotten.ts";
import { readPackTable } from "./pack_format.ts";
import type { PackEntry, PackIndex } from "./pack_index.ts";
import { PACKS } from "./pack_reader.ts";
import type { PackedParts } from "./packed.ts";

/** What the keys of values begin with that are too long to share a pack. */
export const ALONE = "value/";

/**
 * Makes the index say what the packs say: those it does not have are added, but for what was noted to be forgotten of them; those
 * that are gone are removed; and what was noted of others is forgotten, in case the index does not know yet.
 */
export async function rebuildIndex(parts: PackedParts, forgotten: Forgotten): Promise<void> {
  const { index, onRebuild } = parts;
  const there = await allPacks(parts);
  await removeMissing(index, forgotten, there);
  const unknown = new Set<string>();
  for (const pack of there) if (!await index.hasPack(pack)) unknown.add(pack);
  for (const pack of forgotten.packs) if (!unknown.has(pack)) await forgetNoted(index, forgotten, pack);
  // What is forgotten is told first, when the index cannot confuse it with what is there.
  for (const pack of unknown) if (forgotten.packs.has(pack)) await addForgotten(parts, forgotten, pack);
  let packs = 0;
  let values = 0;
  for (const pack of unknown) {
    const whole = await readPack(parts, pack);
    if (!whole) continue;
    const noted = await forgotten.of(pack);
    const gone = new Set(await index.deletedFrom(pack));
    const entries = entriesOf(whole.bytes, pack).filter(({ key }) => {
      return noted !== "all" && !noted?.has(key) && !gone.has(key);
    });
    await index.add(pack, whole.small, entries);
    values += entries.length;
    if (++packs % 64 === 0) onRebuild?.(packs, values);
  }
  await index.setComplete();
  if (packs > 0) onRebuild?.(packs, values);
}

/** Names of all packs: some hundred bytes each. */
async function allPacks({ bytes, names }: PackedParts): Promise<Set<string>> {
  const packs = new Set<string>();
  for await (const pack of bytes.list(PACKS)) packs.add(pack);
  for await (const pack of names.list(PACKS)) packs.add(pack);
  for await (const pack of bytes.list(ALONE)) packs.add(pack);
  return packs;
}

async function readPack(
  { bytes, names }: PackedParts,
  pack: string,
): Promise<{ bytes: Bytes; small: boolean } | undefined> {
  const large = await bytes.get(pack);
  if (large) return { bytes: large, small: false };
  const small = await names.get(pack);
  return small && { bytes: small, small: true };
}

function entriesOf(whole: Bytes, pack: string): PackEntry[] {
  if (pack.startsWith(ALONE)) return [{ key: pack.slice(ALONE.length), offset: 0, length: whole.length }];
  try {
    return readPackTable(whole, pack);
  } catch (cause) {
    throw new DamageError(
      "pack",
      pack,
      `Cannot complete the index of packs: ${pack} is damaged; move it away to go on without what it holds`,
      { cause },
    );
  }
}

/**
 * Forgets packs that were removed before the index knew, of which there is a note still. What lay in them may lie elsewhere,
 * and is found there then. A pack that is missing without a note was lost: who reads a value in it shall hear of that.
 */
async function removeMissing(
  index: PackIndex,
  forgotten: Forgotten,
  there: ReadonlySet<string>,
): Promise<void> {
  const missing = new Set([...forgotten.packs].filter((pack) => !there.has(pack)));
  if (missing.size === 0) return;
  for await (const key of index.list("")) {
    const location = await index.get(key);
    if (location && missing.has(location.pack)) await index.delete(key);
  }
  for (const pack of missing) {
    await index.removePack(pack);
    await forgotten.remove(pack);
  }
}

/** Forgets what was noted of a pack that the index has. */
async function forgetNoted(index: PackIndex, forgotten: Forgotten, pack: string): Promise<void> {
  const noted = await forgotten.of(pack);
  if (!noted) return;
  if (noted !== "all") {
    for (const key of noted) if ((await index.get(key))?.pack === pack) await index.delete(key);
    return;
  }
  for await (const key of index.list("")) {
    if ((await index.get(key))?.pack === pack) await index.delete(key);
  }
}

/** Tells the index of the values of a pack that are forgotten, so that it knows how much of the pack is dead. */
async function addForgotten(parts: PackedParts, forgotten: Forgotten, pack: string): Promise<void> {
  const { index } = parts;
  const whole = await readPack(parts, pack);
  if (!whole) return;
  const noted = await forgotten.of(pack);
  const entries: PackEntry[] = [];
  for (const entry of entriesOf(whole.bytes, pack)) {
    if (noted !== "all" && !noted?.has(entry.key)) continue;
    if (await index.get(entry.key) === undefined) entries.push(entry);
  }
  if (entries.length === 0) return;
  await index.add(pack, whole.small, entries);
  for (const { key } of entries) await index.delete(key);
}
