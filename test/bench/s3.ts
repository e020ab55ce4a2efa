/**
 * Packs in S3, on a Ceph of three OSDs on this machine, with names and the index on its disk:
 *
 *   s3/upload/…                   a corpus put into the store
 *   s3/requests-per-100-files/…   requests to S3 that took, for each 100 files; `slow`: 5,000 files of 4 KiB, in bursts of 64 KiB at 1 MB/s
 *   s3/download/…                 its NARs, one stream, from a store opened anew; the peer is `aws4fetch` reading one object of that
 *                                 size, which verifies nothing
 *
 * Both need the packages ceph-mon, ceph-osd, radosgw and ceph-common.
 */
import { DatabaseSync } from "node:sqlite";
import { openDenoKv } from "../../src/adapters/deno_kv/deno_kv_store.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { S3_PACKING, type S3Store } from "../../src/adapters/s3/open_s3.ts";
import { openSqliteIndex } from "../../src/adapters/sqlite/sqlite_index.ts";
import { type Bytes, concat, EMPTY } from "../../src/bytes/bytes.ts";
import { type ByteSource, iterate } from "../../src/bytes/streams.ts";
import type { Node } from "../../src/castore/node.ts";
import { openPacked } from "../../src/combinators/packed.ts";
import type { NarToken } from "../../src/nar/parser.ts";
import { writeNar } from "../../src/nar/writer.ts";
import { ingestNar } from "../../src/store/ingest_nar.ts";
import { narLayout } from "../../src/store/nar_layout.ts";
import { renderNar } from "../../src/store/render_nar.ts";
import { type Services, servicesOver } from "../../src/store/services.ts";
import { type Ceph, ceph, startCeph } from "../e2e/_ceph.ts";
import { clientOf, makeBucket, storeOn } from "../e2e/_s3.ts";
import { type BenchContext, newFolder, Series } from "./bench_context.ts";
import type { Corpus } from "./corpora.ts";
import { seconds } from "./measure.ts";

const CORPORA = ["small", "big"] as const;
const KINDS = ["upload", "requests-per-100-files", "download"];
const BUCKET = "bench";
/** What a slow client sends: bytes a second, bytes at once, and files of 4 KiB. */
const SLOW_RATE = 1e6, BURST = 64 * 1024, SLOW_FILES = 5000;

export async function benchS3(context: BenchContext): Promise<void> {
  const { report } = context;
  const wanted = CORPORA.filter((name) => report.wants(...KINDS.map((kind) => `s3/${kind}/${name}`)));
  const slow = report.wants("s3/requests-per-100-files/slow");
  if (wanted.length === 0 && !slow) return;
  const missing = ceph();
  if (missing) throw new Error(`Cannot measure S3: it ${missing}`);
  await using cluster = await startCeph();
  await makeBucket(cluster, BUCKET);
  for (const name of wanted) await benchCorpus(await context.open(name), cluster, context);
  if (slow) {
    await using home = await Home.open(cluster, context);
    const files = await home.put(inBursts(writeNar(slowFiles())));
    report.add("s3/requests-per-100-files/slow", "requests", [home.requests / files * 100]);
  }
}

async function benchCorpus(corpus: Corpus, cluster: Ceph, context: BenchContext): Promise<void> {
  const figures = new Series();
  const speed = (time: number) => corpus.narBytes / 1e6 / time;
  for (let round = 0; round < context.rounds; round++) {
    await using home = await Home.open(cluster, context);
    const roots: Node[] = [];
    let files = 0;
    const uploading = await seconds(async () => {
      for (const { nar } of corpus.paths) {
        using file = await Deno.open(nar.file);
        files += await home.put(file.readable, roots);
      }
    });
    figures.push("upload", speed(uploading));
    figures.push("requests", home.requests / files * 100);
    await home.reopen();
    figures.push(
      "download",
      speed(
        await seconds(async () => {
          for (const root of roots) await home.read(root);
        }),
      ),
    );
    figures.push("peer", speed(await readObject(corpus, cluster)));
  }
  const { report } = context;
  report.add(`s3/upload/${corpus.name}`, "MB/s", figures.of("upload"));
  if (corpus.name === "small") {
    report.add("s3/requests-per-100-files/small", "requests", figures.of("requests"));
  }
  const peer = { name: "aws4fetch", values: figures.of("peer") };
  report.add(`s3/download/${corpus.name}`, "MB/s", figures.of("download"), peer);
}

/** Seconds that reading one object of the length of all NARs takes. */
async function readObject(corpus: Corpus, cluster: Ceph): Promise<number> {
  const client = clientOf(cluster);
  const url = `${cluster.endpoint}/${BUCKET}/one-object-${corpus.name}`;
  if (!(await client.fetch(url, { method: "HEAD" })).ok) {
    const body = new Uint8Array(corpus.narBytes);
    for (let at = 0; at < body.length; at += 65536) crypto.getRandomValues(body.subarray(at, at + 65536));
    const put = await client.fetch(url, { method: "PUT", body });
    if (!put.ok) throw new Error(`Cannot put an object: ${put.status} ${await put.text()}`);
    await put.body?.cancel();
  }
  return await seconds(async () => {
    let read = 0;
    for await (const piece of iterate((await client.fetch(url)).body!)) read += piece.length;
    if (read !== corpus.narBytes) throw new Error(`Cannot read the object: ${read} bytes came`);
  });
}

function* slowFiles(): Generator<NarToken, void, void> {
  yield { type: "directory", name: EMPTY };
  for (let i = 0; i < SLOW_FILES; i++) {
    const name = new TextEncoder().encode(`${i}`.padStart(5, "0")) as Bytes;
    const bytes = crypto.getRandomValues(new Uint8Array(4096));
    yield { type: "file", name, executable: false, size: bytes.length };
    yield { type: "data", bytes };
    yield { type: "end" };
  }
  yield { type: "end" };
}

/** As a slow line gives them. */
async function* inBursts(source: ByteSource): AsyncGenerator<Bytes, void, void> {
  let burst: Bytes[] = [];
  let length = 0;
  for await (const piece of iterate(source)) {
    burst.push(piece.slice());
    length += piece.length;
    if (length < BURST) continue;
    yield concat(burst);
    await new Promise((resolve) => setTimeout(resolve, length / SLOW_RATE * 1000));
    burst = [];
    length = 0;
  }
  yield concat(burst);
}

/** A store of this run with its packs in S3. */
class Home implements AsyncDisposable {
  requests = 0;
  #folder: string;
  #kv: Deno.Kv;
  #s3: S3Store;
  #services!: Services;
  #packs!: AsyncDisposable;

  private constructor(folder: string, kv: Deno.Kv, cluster: Ceph) {
    this.#folder = folder;
    this.#kv = kv;
    const prefix = crypto.randomUUID();
    this.#s3 = storeOn(cluster, { bucket: BUCKET, prefix, onRequest: () => this.requests++ });
  }

  static async open(cluster: Ceph, context: BenchContext): Promise<Home> {
    const folder = newFolder(context, "s3");
    await Deno.mkdir(folder);
    const home = new Home(folder, await Deno.openKv(`${folder}/names.kv`), cluster);
    await home.#open();
    home.requests = 0; // without those of looking for packs
    return home;
  }

  async #open(): Promise<void> {
    const names = openDenoKv(this.#kv);
    const index = openSqliteIndex(new DatabaseSync(`${this.#folder}/index.sqlite`));
    const bytes = await openPacked({ bytes: this.#s3, names, index, ...S3_PACKING });
    this.#packs = bytes;
    this.#services = servicesOver({ names, bytes });
  }

  /** Forgets what was read. */
  async reopen(): Promise<void> {
    await this.#packs[Symbol.asyncDispose]();
    await this.#open();
  }

  /** Stores a NAR, adds its root, and resolves to how many files are in it. */
  async put(nar: ByteSource, roots: Node[] = []): Promise<number> {
    const { node } = await ingestNar(nar, { ...this.#services, hashes: nativeHashes });
    roots.push(node);
    const layout = await narLayout(node, this.#services.directories);
    let files = 0;
    for (const { type } of layout.segments()) if (type === "blob") files++;
    return files;
  }

  async read(root: Node): Promise<void> {
    const layout = await narLayout(root, this.#services.directories);
    for await (const _ of renderNar(layout, this.#services.blobs));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#packs[Symbol.asyncDispose]();
    await this.#s3[Symbol.asyncDispose]();
    this.#kv.close();
    await Deno.remove(this.#folder, { recursive: true });
  }
}
