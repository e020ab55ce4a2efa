/** What is kept here, in figures. */
import { allKept } from "./collect_paths.ts";
import type { Overview } from "./engine.ts";
import type { EngineParts } from "./tab_engine.ts";
import type { TabStore } from "./tab_store.ts";

/** The figures of a store of which this is measured. */
export async function overviewOf(
  tab: TabStore,
  { storage, evicted }: Pick<EngineParts, "storage" | "evicted">,
  measured: Pick<Overview, "distinct" | "stored" | "garbage" | "chunks">,
): Promise<Overview> {
  let [paths, partial, logical] = [0, 0, 0];
  for await (const { whole, info } of allKept(tab)) {
    paths++;
    if (whole) logical += info.narSize;
    else partial++;
  }
  const estimate = await storage?.estimate();
  return {
    paths,
    partial,
    logical,
    ...measured,
    persisted: await storage?.persisted() ?? false,
    ...(estimate?.usage !== undefined && { usage: estimate.usage }),
    ...(estimate?.quota !== undefined && { quota: estimate.quota }),
    ...(evicted && { evicted }),
  };
}
