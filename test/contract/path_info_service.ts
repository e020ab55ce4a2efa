/**
 * What `PathInfoService` promises, sentence by sentence.
 */
import { type Bytes, fromText } from "../../src/bytes/bytes.ts";
import { toNixBase32 } from "../../src/bytes/nixbase32.ts";
import { ConflictError, UnsupportedError } from "../../src/errors.ts";
import { parseStorePathBase } from "../../src/nix/store_path.ts";
import { encodeStoredPath } from "../../src/store/messages.ts";
import type { PathInfo } from "../../src/store/path_info.ts";
import type { PathInfoService } from "../../src/store/path_info_service.ts";
import { type ContractCase, ensure, ensureRejects, ensureSame, promiseOf } from "./case.ts";

/** A PathInfoService to be examined. */
export interface PathInfoSubject extends AsyncDisposable {
  readonly pathInfos: PathInfoService;
  /** Whether it is a remote, whose protocol carries less and has no deletion. */
  readonly remote?: true;
}

const HELLO = parseStorePathBase("00bgd045z0d4icpbc2yyz4gx48ak44la-net-tools-1.60_p20170221182432");
const OTHER = parseStorePathBase("y7j0h1s346m08pya3s42nhmx0j0mqidh-foo");
const THIRD = parseStorePathBase("bppn0r6splkj24pphgcaqj4l44gsbqs3-foo");

const signature = (name: string, byte: number) => ({ name, data: new Uint8Array(64).fill(byte) });

const BARE: PathInfo = {
  storePath: HELLO,
  node: { type: "symlink", target: fromText("/nix/store/somewhereelse") },
  references: [],
  narSha256: new Uint8Array(32).fill(7),
  narSize: 136,
  signatures: [],
  unclaimedReferences: [],
  registeredAt: 0,
};

const FULL: PathInfo = {
  ...BARE,
  node: { type: "directory", digest: new Uint8Array(32).fill(3), size: (1n << 64n) - 1n },
  references: [OTHER, HELLO, THIRD],
  narSize: Number.MAX_SAFE_INTEGER,
  deriver: { ...THIRD, name: "net-tools.drv" },
  signatures: [signature("b-1", 1), signature("a-1", 2)],
  ca: { method: "nar", algorithm: "sha1", digest: new Uint8Array(20).fill(9) },
  unclaimedReferences: ["0".repeat(32)],
  registeredAt: 1_700_000_000_123,
};

function ensureInfo(actual: PathInfo | undefined, expected: PathInfo, about: string): void {
  ensure(actual !== undefined, `${about}: it is absent`);
  ensureSame(encodeStoredPath(actual), encodeStoredPath(expected), about);
}

/** What is left of a path info on the way to this service. */
function kept(info: PathInfo, { remote }: PathInfoSubject): PathInfo {
  return remote ? { ...info, unclaimedReferences: [], registeredAt: 0 } : info;
}

const namesOf = (info: PathInfo | undefined) =>
  info?.signatures.map(({ name, data }) => `${name}:${data[0]}`);

/** A path of its own for each number; the hash parts are not in the order of the numbers. */
function numbered(i: number): PathInfo {
  const digest: Bytes = new Uint8Array(20).fill(i);
  digest[19] = i * 37;
  return { ...BARE, storePath: { hashPart: toNixBase32(digest), name: `path-${i}` } };
}

/** Every promise of a PathInfoService. */
export const pathInfoServiceContract: readonly ContractCase<PathInfoSubject>[] = [
  promiseOf("an absent path info is undefined", async ({ pathInfos }) => {
    ensureSame(await pathInfos.get(HELLO.hashPart), undefined, "get");
    await pathInfos.put(BARE);
    ensureSame(await pathInfos.get(OTHER.hashPart), undefined, "get of another");
  }),

  promiseOf("a path info is read back with all its fields, and put resolves to it", async (subject) => {
    const { pathInfos } = subject;
    for (const info of [FULL, { ...BARE, storePath: OTHER }]) {
      ensureInfo(await pathInfos.put(info), kept(info, subject), "what put resolves to");
      ensureInfo(await pathInfos.get(info.storePath.hashPart), kept(info, subject), "get");
    }
  }),

  promiseOf("a file, a symlink and a directory may be a root", async ({ pathInfos }) => {
    const file = { type: "file", digest: new Uint8Array(32), size: 12, executable: true } as const;
    const folder = { type: "directory", digest: new Uint8Array(32), size: 0n } as const;
    for (const [i, node] of [file, { ...file, executable: false, size: 0 }, folder, BARE.node].entries()) {
      const info = { ...numbered(i), node };
      await pathInfos.put(info);
      ensureInfo(await pathInfos.get(info.storePath.hashPart), info, node.type);
    }
  }),

  promiseOf("signatures of both are kept when it is put again, each once", async ({ pathInfos }) => {
    await pathInfos.put({ ...BARE, signatures: [signature("a", 1), signature("a", 1)] });
    ensureSame(namesOf(await pathInfos.get(HELLO.hashPart)), ["a:1"], "after the first");
    const second = await pathInfos.put({ ...BARE, signatures: [signature("b", 2), signature("a", 1)] });
    ensureSame(namesOf(second), ["a:1", "b:2"], "what the second put resolves to");
    const third = await pathInfos.put({ ...BARE, signatures: [signature("a", 3)] });
    ensureSame(namesOf(third), ["a:1", "b:2", "a:3"], "one name with two signatures");
    ensureSame(namesOf(await pathInfos.put(BARE)), ["a:1", "b:2", "a:3"], "a put without signatures");
    ensureSame(namesOf(await pathInfos.get(HELLO.hashPart)), ["a:1", "b:2", "a:3"], "what is stored");
  }),

  promiseOf(
    "another claim is a ConflictError that says which, and nothing is changed",
    async (subject) => {
      const { pathInfos } = subject;
      await pathInfos.put(FULL);
      const changes: [string, Partial<PathInfo>][] = [
        ["StorePath", { storePath: { ...HELLO, name: "other-name" } }],
        ["NarHash", { narSha256: new Uint8Array(32) }],
        ["NarSize", { narSize: 5 }],
        ["References", { references: [OTHER, HELLO] }],
        ["References", { references: [] }],
        ["Deriver", { deriver: undefined }],
        ["Deriver", { deriver: { ...OTHER, name: "net-tools.drv" } }],
        ["CA", { ca: undefined }],
        ["CA", { ca: { ...FULL.ca!, method: "flat" } }],
      ];
      for (const [field, change] of changes) {
        const other = { ...FULL, ...change, signatures: [signature("new", 5)] };
        const { message } = await ensureRejects(pathInfos.put(other), ConflictError, `another ${field}`);
        ensure(message.includes(field), `the message does not name ${field}: ${message}`);
        ensureInfo(
          await pathInfos.get(HELLO.hashPart),
          kept(FULL, subject),
          `the path info after another ${field}`,
        );
      }
      await pathInfos.put({ ...FULL, references: [THIRD, OTHER, HELLO] });
      ensureInfo(
        await pathInfos.get(HELLO.hashPart),
        kept(FULL, subject),
        "after references in another order",
      );
    },
  ),

  promiseOf("all puts of one path at once count", async ({ pathInfos }) => {
    const names = Array.from({ length: 20 }, (_, i) => `key-${i}`);
    await Promise.all(names.map((name, i) => pathInfos.put({ ...BARE, signatures: [signature(name, i)] })));
    const got = (await pathInfos.get(HELLO.hashPart))!.signatures.map(({ name }) => name);
    ensureSame(got.sort(), [...names].sort(), "the signatures");
  }),

  promiseOf(
    "of different claims put at once one stands, and the others are refused",
    async ({ pathInfos }) => {
      const infos = Array.from({ length: 8 }, (_, i) => ({ ...BARE, narSize: i + 1 }));
      const results = await Promise.allSettled(infos.map((info) => pathInfos.put(info)));
      const taken = results.flatMap((result, i) => result.status === "fulfilled" ? [i] : []);
      ensureSame(taken.length, 1, "how many were taken");
      ensureInfo(await pathInfos.get(HELLO.hashPart), infos[taken[0]], "what stands");
      for (const result of results) {
        ensure(
          result.status === "fulfilled" || result.reason instanceof ConflictError,
          "it is no ConflictError",
        );
      }
    },
  ),

  promiseOf("list() gives all by hash part in byte order", async ({ pathInfos }) => {
    ensureSame((await Array.fromAsync(pathInfos.list())).length, 0, "how many there are at first");
    const infos = Array.from({ length: 200 }, (_, i) => numbered(i));
    await Promise.all(infos.map((info) => pathInfos.put(info)));
    const got = await Array.fromAsync(pathInfos.list());
    const want = infos.map(({ storePath }) => storePath.hashPart).sort();
    ensureSame(got.map(({ storePath }) => storePath.hashPart), want, "the hash parts");
    for (const info of got) {
      ensureInfo(
        info,
        infos.find((i) => i.storePath.name === info.storePath.name)!,
        "one",
      );
    }
    for await (const info of pathInfos.list()) {
      ensureSame(info.storePath.hashPart, want[0], "the first of a list that is left");
      break;
    }
  }),

  promiseOf("a deleted path info is gone, others stay, and it may be put anew", async (subject) => {
    const { pathInfos } = subject;
    await pathInfos.put(FULL);
    if (subject.remote) {
      await ensureRejects(pathInfos.delete(HELLO.hashPart), UnsupportedError, "deleting from a remote");
      ensureInfo(await pathInfos.get(HELLO.hashPart), kept(FULL, subject), "what was not deleted");
      return;
    }
    await pathInfos.put({ ...BARE, storePath: OTHER });
    await pathInfos.delete(HELLO.hashPart);
    await pathInfos.delete(HELLO.hashPart);
    await pathInfos.delete(THIRD.hashPart);
    ensureSame(await pathInfos.get(HELLO.hashPart), undefined, "get");
    const left = (await Array.fromAsync(pathInfos.list())).map(({ storePath }) => storePath.name);
    ensureSame(left, [OTHER.name], "what is listed");
    ensureInfo(await pathInfos.put(BARE), BARE, "another path info afterwards");
  }),
];
