/**
 * Answers requests for what is in store paths from the store in the tab: the part of the service worker that knows the store.
 */
import { openIdb } from "../../src/adapters/idb/open_idb.ts";
import type { Bytes } from "../../src/bytes/bytes.ts";
import { MissingError } from "../../src/errors.ts";
import { formatDigest } from "../../src/castore/digest.ts";
import { portableHashes } from "../../src/hash/hashes.ts";
import { isHashPart, storePathBase } from "../../src/nix/store_path.ts";
import { storePage, type StorePagesOptions } from "../../src/server/store_pages.ts";
import type { Codec } from "../../src/store/codec.ts";
import { quiet } from "./job.ts";
import { readHere, readLazily } from "./lazy_files.ts";
import { type KeptPath, TabStore } from "./tab_store.ts";
import { followNames } from "./walk_path.ts";

const STORE = "firn";
/** A file is read in pieces of this length. */
const PIECE = 4 * 1024 * 1024;

let tab: Promise<TabStore> | undefined;

/** The store, opened when it is first needed, and anew after it failed. */
function openTab(): Promise<TabStore> {
  tab ??= openIdb({ indexedDB, name: STORE }).then((home) =>
    new TabStore({
      home,
      fetch,
      hashes: portableHashes,
      codec: noCodec,
    })
  );
  tab.catch(() => tab = undefined);
  return tab;
}

/** Archives are unpacked in the page's worker. */
const noCodec: Codec = {
  decompresses: new Set(),
  compresses: new Set(),
  decompress: () => {
    throw new TypeError("Cannot unpack archives here");
  },
  compress: () => {
    throw new TypeError("Cannot make archives here");
  },
};

/** What is kept at a path below `<prefix>nix/store/`; `undefined`: nothing. */
export async function answer(request: Request, prefix: string): Promise<Response | undefined> {
  try {
    return await storePage(request, pagesOver(await openTab()), prefix);
  } catch (error) {
    tab = undefined; // it may have been closed under us: it is opened anew for the next one
    throw error;
  }
}

function pagesOver(tab: TabStore): StorePagesOptions {
  return {
    liveliness: "still",
    find: async (base, names) => {
      const hashPart = base.slice(0, 32);
      const kept = isHashPart(hashPart) ? await tab.find(hashPart) : undefined;
      if (!kept || storePathBase(kept.info.storePath) !== base) return undefined;
      const place = await followNames(kept, names, tab);
      if (!place) return undefined;
      const { node } = place;
      return {
        node,
        ...(node.type === "directory" && {
          items: async () => {
            const directory = await tab.services.directories.get(node.digest);
            if (!directory) throw new MissingError("directory", formatDigest(node.digest));
            return directory.items;
          },
        }),
        read: (file, range) => pieces(place.kept, file, range, tab),
      };
    },
  };
}

/** A stretch of a file, whose lacking parts are fetched as they are read. */
async function* pieces(
  kept: KeptPath,
  file: Parameters<typeof readHere>[0],
  { start, end }: { start: number; end: number },
  tab: TabStore,
): AsyncGenerator<Bytes, void, void> {
  const { names, bytes: store } = tab.home;
  const { blobs } = tab.services;
  for (let at = start; at < end; at += PIECE) {
    const range = { start: at, end: Math.min(end, at + PIECE) };
    const here = await readHere(file, range, names, { blobs, store });
    if (here) yield here;
    else {
      const job = quiet();
      const fetch = { store, blobs, contents: await tab.contentsFor(kept, job), job };
      yield await navigator.locks.request(
        STORE,
        { mode: "shared" },
        () => readLazily(file, range, names, fetch),
      );
    }
  }
}
