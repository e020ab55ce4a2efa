/**
 * What a tab moves: two versions of real programs, opened in Chromium from a firn server, beside the archive that Nix would
 * download. `deno run -A test/bench/tab_bytes.ts [PACKAGE…]`; wants apt with two versions of each. Prints one JSON line a package:
 *
 *   { package, versions, narBytes, xzBytes, look, file, whole, next, nextXz }      bytes
 *
 *   look   opening the first version: its folders        file   and then its largest file's first 64 KiB
 *   whole  and then all the rest                         next   all of the second version after the first
 *   xzBytes, nextXz   the NARs of the first and the second as `xz -6` makes them, which is what caches hold
 */
import type { RemoteEngine } from "../../web/engine/connect.ts";
import type { Progress } from "../../web/engine/engine.ts";
import { type Bytes, compare, EMPTY, fromText } from "../../src/bytes/bytes.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { iterate } from "../../src/bytes/streams.ts";
import type { NarToken } from "../../src/nar/parser.ts";
import { writeNar } from "../../src/nar/writer.ts";
import { contentAddressedPath } from "../../src/nix/content_address.ts";
import { formatStorePath } from "../../src/nix/store_path.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { TabWorld } from "../e2e/tab/_tab_page.ts";
import { twoVersions } from "./debian_versions.ts";

declare const engine: RemoteEngine;
declare const proxy: <T>(callback: T) => T;

const PACKAGES = ["git", "libpython3.11-stdlib", "nodejs", "chromium"];

/** The tokens of a folder's NAR. */
async function* tokensOf(path: string, name: Bytes): AsyncGenerator<NarToken, void, void> {
  const info = await Deno.lstat(path);
  if (info.isSymlink) yield { type: "symlink", name, target: fromText(await Deno.readLink(path)) };
  else if (info.isDirectory) {
    yield { type: "directory", name };
    const names = [...Deno.readDirSync(path)].map(({ name }) => ({ name, bytes: fromText(name) }));
    for (const { name, bytes } of names.sort((a, b) => compare(a.bytes, b.bytes))) {
      yield* tokensOf(`${path}/${name}`, bytes);
    }
    yield { type: "end" };
  } else {
    yield { type: "file", name, executable: (info.mode! & 0o111) !== 0, size: info.size };
    using file = await Deno.open(path);
    for await (const bytes of iterate(file.readable)) yield { type: "data", bytes };
    yield { type: "end" };
  }
}

/** Puts an unpacked package into the server's store; its path, and what its NAR takes. */
async function publish(
  world: TabWorld,
  folder: string,
  name: string,
): Promise<{ path: string; narBytes: number; xzBytes: number }> {
  const xz = new Deno.Command("xz", { args: ["-6", "-c", "-T2"], stdin: "piped", stdout: "piped" }).spawn();
  const writer = xz.stdin.getWriter();
  const passed = async function* () {
    for await (const piece of iterate(writeNar(tokensOf(folder, EMPTY)))) {
      await writer.write(piece);
      yield piece;
    }
    await writer.close();
  };
  const counted = (async () => {
    let length = 0;
    for await (const piece of xz.stdout) length += piece.length;
    return length;
  })();
  const nar = await ingestNar(passed(), { ...world.services, hashes: nativeHashes });
  const ca = { method: "nar", algorithm: "sha256", digest: nar.narSha256 } as const;
  const storePath = contentAddressedPath({ name, ca });
  await world.services.pathInfos.put({
    storePath,
    node: nar.node,
    references: [],
    narSha256: nar.narSha256,
    narSize: nar.narSize,
    signatures: [],
    ca,
    unclaimedReferences: [],
    registeredAt: Date.now(),
  });
  return { path: formatStorePath(storePath), narBytes: nar.narSize, xzBytes: await counted };
}

async function measure(name: string, folder: string): Promise<Record<string, unknown>> {
  const versions = await twoVersions(name, folder);
  await using world = await TabWorld.open({}, `${folder}/store ${name}`, {
    frames: { level: 1, workers: 1 },
  });
  const published = [];
  for (const [i, { root }] of versions.entries()) {
    published.push(await publish(world, root, `${name}-${i + 1}`));
  }
  const page = await world.page();
  const [one, two] = published;
  const moved = await page.evaluate(async ([one, two]) => {
    let last = 0;
    const report = proxy(({ moved }: Progress) => void (last = moved));
    const settled = () => new Promise((resolve) => setTimeout(resolve, 300)); // until the platform has told of it
    await engine.open({ type: "path", path: one }, {}, undefined, report);
    const look = last;
    // The largest file: from folder to folder into the largest thing.
    let file = "";
    for (let type = "directory"; type === "directory";) {
      const { items } = await engine.list(one, file, { order: "size", limit: 1 });
      file = file === "" ? items[0].name : `${file}/${items[0].name}`;
      type = items[0].type;
    }
    last = 0;
    await engine.read(one, file, 0, 65_536, undefined, report);
    await settled();
    const some = last;
    await engine.complete(one, undefined, report);
    const whole = last;
    await settled();
    await engine.open({ type: "path", path: two }, { everything: true }, undefined, report);
    return { look, file: some, whole, next: last };
  }, [one.path, two.path]);
  return {
    package: name,
    versions,
    narBytes: one.narBytes,
    xzBytes: one.xzBytes,
    ...moved,
    nextXz: two.xzBytes,
  };
}

const folder = await Deno.makeTempDir({ prefix: "firn-tab-bytes-" });
try {
  for (const name of Deno.args.length > 0 ? Deno.args : PACKAGES) {
    console.log(JSON.stringify(await measure(name, folder)));
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
