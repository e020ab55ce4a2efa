/**
 * Remote calls: BlobService of `tvix.castore.v1`, a blob of 1 GiB and 20,000 blobs of 4 KiB.
 *
 *   grpc/PROTOCOL/up-64k/STORE     Put of the big blob, in messages of 64 KiB
 *                                  (websocket: at no more than 64 MiB/s, for want of a way to wait for the server)
 *   grpc/PROTOCOL/up-1m/STORE      in messages of 1 MiB
 *   grpc/PROTOCOL/down/STORE       Read of it
 *   grpc/PROTOCOL/put-4k/STORE     Put of the small blobs, 64 calls at a time: on native all on one connection, else one
 *                                  connection for each
 *   grpc/PROTOCOL/read-4k/STORE    Read of them
 *   grpc/PROTOCOL/stat/STORE       Stat of them
 *   peak-…                         the server's peak resident memory over each transfer of the big blob
 *
 * The peer is a server on @grpc/grpc-js and Node over the very same blobs (grpc/peer.ts), for native gRPC with the stores
 * `memory` and `files` of grpc/store.ts; with `memory` what is not protocol is hashing. With the store `default` firn runs
 * as it is served. Needs Linux, node, go and h2load.
 */
import { type BenchContext, newFolder, Series } from "./bench_context.ts";
import { callSmall, type Protocol, PROTOCOLS, putBig, readBig } from "./grpc/clients.ts";
import { type FramedBlob, writeBlob } from "./grpc/frames.ts";
import {
  build,
  type Built,
  forgetPeak,
  peakOf,
  startOwn,
  startPeer,
  startServe,
  type Target,
} from "./grpc/servers.ts";
import { removeTree, settle } from "./measure.ts";
import type { Report } from "./report.ts";

const MESSAGES = { "up-64k": 64 * 1024, "up-1m": 1024 * 1024 } as const;
const BIG = ["up-64k", "up-1m", "down"] as const;
const SMALL = ["put-4k", "read-4k", "stat"] as const;
type Kind = typeof BIG[number] | typeof SMALL[number];

/** Both servers beside each other, over a store of one kind; or firn alone, as it is served. */
interface Group {
  readonly protocol: Protocol;
  readonly store: "memory" | "files" | "default";
  readonly kinds: readonly Kind[];
}

const GROUPS: readonly Group[] = [
  { protocol: "native", store: "memory", kinds: [...BIG, ...SMALL] },
  { protocol: "native", store: "files", kinds: ["up-64k", "down", ...SMALL] },
  ...PROTOCOLS.map((protocol): Group => ({
    protocol,
    store: "default",
    kinds: ["up-64k", "down", ...SMALL],
  })),
];

/** What all groups of a run share. */
interface Shared {
  readonly built: Built;
  /** The big blob: of different bytes, or of the same again and again. */
  readonly blobs: { readonly different: FramedBlob; readonly repeating: FramedBlob };
  readonly smallCount: number;
}

export async function benchGrpc(context: BenchContext): Promise<void> {
  const { report } = context;
  const groups = GROUPS.map((group) => ({
    ...group,
    kinds: group.kinds.filter((kind) => wants(report, group, kind)),
  }))
    .filter(({ kinds }) => kinds.length > 0);
  if (groups.length === 0) return;
  const folder = newFolder(context, "grpc");
  const built = await build(folder);
  if ("missing" in built) {
    console.error(`left out grpc/…: they need ${built.missing}`);
    return;
  }
  const size = context.quick ? 256 * 2 ** 20 : 2 ** 30;
  const blobs = {
    different: await writeBlob(`${folder}/different`, size, false, [MESSAGES["up-64k"]]),
    repeating: await writeBlob(`${folder}/repeating`, size, true, Object.values(MESSAGES)),
  };
  await settle();
  const shared: Shared = { built, blobs, smallCount: context.quick ? 5000 : 20_000 };
  for (const group of groups) await benchGroup(group, shared, context);
  await removeTree(folder);
}

function rowOf({ protocol, store }: Group, kind: Kind): string {
  return `grpc/${protocol}/${kind}/${store}`;
}

function wants(report: Report, group: Group, kind: Kind): boolean {
  const row = rowOf(group, kind);
  return report.wants(row, `peak-${row}`);
}

async function benchGroup(group: Group, shared: Shared, context: BenchContext): Promise<void> {
  const { store, kinds } = group;
  const figures = new Series();
  const turn = async (who: "peer" | "own", start: (place: string) => Promise<Target>) => {
    const place = store === "memory" ? store : newFolder(context, "store");
    {
      await using target = await start(place);
      await measure(group, target, shared, (name, value) => figures.push(`${who}/${name}`, value));
    }
    if (place !== "memory") await removeTree(place);
    await settle();
  };
  for (let round = 0; round < context.rounds; round++) {
    if (store !== "default") await turn("peer", (place) => startPeer(shared.built, place));
    await turn("own", store === "default" ? startServe : startOwn);
  }
  for (const kind of kinds) {
    const row = rowOf(group, kind);
    const others = figures.of(`peer/${kind}`);
    const peer = others.length > 0 ? { name: "grpc-js", values: others } : undefined;
    const unit = SMALL.some((small) => small === kind) ? "requests/s" : "MB/s";
    context.report.add(row, unit, figures.of(`own/${kind}`), peer);
    const peaks = figures.of(`own/peak-${kind}`);
    if (peaks.length > 0) context.report.add(`peak-${row}`, "MiB", peaks);
  }
}

async function measure(
  { protocol, store, kinds }: Group,
  target: Target,
  { built, blobs, smallCount }: Shared,
  push: (name: string, value: number) => void,
): Promise<void> {
  const blob = store === "memory" ? blobs.repeating : blobs.different;
  const big = async (kind: Kind, task: () => Promise<number>) => {
    await forgetPeak(target);
    push(kind, blob.size / 1e6 / await task());
    push(`peak-${kind}`, await peakOf(target));
  };
  if (BIG.some((kind) => kinds.includes(kind))) {
    for (const kind of ["up-64k", "up-1m"] as const) {
      // What is read must have been put.
      const needed = kinds.includes(kind) || (kind === "up-64k" && kinds.includes("down"));
      if (needed) await big(kind, () => putBig(built, target, protocol, blob, MESSAGES[kind]));
    }
    if (kinds.includes("down")) await big("down", () => readBig(built, target, protocol, blob));
  }
  if (SMALL.some((kind) => kinds.includes(kind))) {
    const seconds = await callSmall(built, target, protocol, smallCount);
    push("put-4k", smallCount / seconds.put);
    push("read-4k", smallCount / seconds.read);
    push("stat", smallCount / seconds.stat);
  }
}
