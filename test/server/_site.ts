/**
 * What the server's tests share: an application over a home of each kind, requests to it, uploads made by hand, and what
 * every refusal must look like.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import * as zlib from "node:zlib";
import { openCodecs } from "../../src/adapters/codecs/codecs.ts";
import { nativeHashes } from "../../src/adapters/native/hashes.ts";
import { type Bytes, concat, fromText } from "../../src/bytes/bytes.ts";
import { toNixBase32 } from "../../src/bytes/nixbase32.ts";
import { type HomeOptions, type OpenHome, openHome } from "../../src/cli/home.ts";
import type { NarToken } from "../../src/nar/parser.ts";
import { writeNar } from "../../src/nar/writer.ts";
import { createServer, type Server, type ServerOptions } from "../../src/server/app.ts";
import { type Services, servicesOver } from "../../src/store/services.ts";
import { type Need, permissions, testNeeding } from "../needs.ts";

/** The homes every case runs on: all in memory, and the default one in a folder. */
const HOMES = ["memory", "folder"] as const;

/** A server without a network, over a store of its own. */
export class Site implements AsyncDisposable {
  /** What it told its operator. */
  readonly log: string[] = [];
  readonly services: Services;
  readonly app: Server;
  #resources: AsyncDisposableStack;

  private constructor(
    readonly home: OpenHome,
    options: Partial<ServerOptions>,
    resources: AsyncDisposableStack,
  ) {
    const services = this.services = servicesOver(home);
    this.#resources = resources;
    this.app = createServer({
      ...services,
      codec: openCodecs(),
      hashes: nativeHashes,
      log: (line) => this.log.push(line),
      ...options,
    });
    resources.use(this.app);
  }

  /** Opens a site over a store address. */
  static async open(
    address: string,
    { frames, ...options }: Partial<ServerOptions> & Pick<HomeOptions, "frames"> = {},
  ): Promise<Site> {
    const resources = new AsyncDisposableStack();
    const home = resources.use(await openHome(address, () => {}, { frames }));
    return new Site(home, options, resources);
  }

  /** A site over a home that is open, and stays so. */
  static over(home: OpenHome, options: Partial<ServerOptions> = {}): Promise<Site> {
    return Promise.resolve(new Site(home, options, new AsyncDisposableStack()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }

  /** Sends a request and returns its response. */
  async send(
    method: string,
    path: string,
    { body, headers }: { body?: BodyInit | null; headers?: HeadersInit } = {},
  ): Promise<Response> {
    return await this.app.fetch(new Request(`http://firn.test/${path}`, { method, body, headers }));
  }

  async get(path: string, headers?: HeadersInit): Promise<Response> {
    return await this.send("GET", path, { headers });
  }

  async put(path: string, body: BodyInit, headers?: HeadersInit): Promise<Response> {
    return await this.send("PUT", path, { body, headers });
  }

  /** Uploads a file as a NAR, which must succeed. */
  async putNar(file: NarFile): Promise<NarFile> {
    await assertTaken(await this.put(file.url, file.bytes));
    return file;
  }

  /** Uploads a NAR and publishes it as a path, which must succeed. */
  async publish(path: string, file: NarFile, changes: NarInfoChanges = {}): Promise<void> {
    await this.putNar(file);
    await assertTaken(await this.put(narInfoName(path), narInfo(path, file, changes)));
  }

  /** That nothing is known of a path. */
  async assertNoPath(path: string): Promise<void> {
    for (const method of ["GET", "HEAD"]) {
      const answer = await this.send(method, narInfoName(path));
      assert.equal(answer.status, 404, `${method} of the narinfo of a path that was refused`);
      await answer.body?.cancel();
    }
    assert.equal(await this.services.pathInfos.get(path.slice(0, 32)), undefined);
  }

  /** That nothing is known of an uploaded file. */
  async assertNoFile(url: string): Promise<void> {
    for (const method of ["GET", "HEAD"]) {
      const answer = await this.send(method, url);
      assert.equal(answer.status, 404, `${method} ${url}, which was refused`);
      await answer.body?.cancel();
    }
  }
}

/** Declares a test that runs once on each kind of home, with a server of these options. */
export function siteTest(
  title: string,
  body: (site: Site) => Promise<void>,
  { needs = [], ...options }: Partial<ServerOptions> & { needs?: readonly Need[] } = {},
): void {
  for (const kind of HOMES) {
    const test = testNeeding(...(kind === "folder" ? [permissions] : []), ...needs);
    test(`${title} (${kind})`, async () => {
      const folder = kind === "folder" ? await Deno.makeTempDir({ prefix: "firn-server-" }) : undefined;
      try {
        await using site = await Site.open(folder ?? "memory:", options);
        await body(site);
      } finally {
        if (folder) await Deno.remove(folder, { recursive: true });
      }
    });
  }
}

/** An upload that must be taken. */
export async function assertTaken(answer: Response): Promise<void> {
  const text = await answer.text();
  assert.equal(answer.status, 200, `${answer.status} ${text}`);
}

/** A refusal: its status, and one line of plain text that says what is wrong. */
export async function assertRefused(answer: Response, status: number, why: RegExp): Promise<void> {
  const text = await answer.text();
  assert.equal(answer.status, status, `${answer.status} ${text}`);
  assert.match(answer.headers.get("content-type") ?? "none", /^text\/plain;\s?charset=utf-8$/i);
  assert.match(text, /^[^\n]+\n$/, "one line");
  assert.match(text, why);
}

/** A file as Nix uploads it: a NAR, compressed or not. */
export interface NarFile {
  readonly nar: Bytes;
  readonly compression: string;
  readonly bytes: Bytes;
  /** `nar/<hash>.nar[.suffix]` */
  readonly url: string;
}

const SUFFIXES: Record<string, string> = {
  none: "",
  xz: ".xz",
  zstd: ".zst",
  gzip: "",
  br: ".br",
  bzip2: ".bz2",
};

/** The upload of a NAR. */
export async function narFile(nar: Bytes, compression = "none"): Promise<NarFile> {
  const bytes = await compress(compression, nar);
  return { nar, compression, bytes, url: narUrl(bytes, SUFFIXES[compression]) };
}

/** The name an uploaded file has to have. */
export function narUrl(bytes: Bytes, suffix = ""): string {
  return `nar/${nix32(sha256(bytes))}.nar${suffix}`;
}

/** Compressed by the tool of the format, or by zlib's own library. */
export async function compress(compression: string, bytes: Bytes): Promise<Bytes> {
  switch (compression) {
    case "none":
      return bytes;
    case "gzip":
      return new Uint8Array(zlib.gzipSync(bytes));
    case "br":
      return new Uint8Array(
        zlib.brotliCompressSync(bytes, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }),
      );
    case "zstd":
      return new Uint8Array(zlib.zstdCompressSync(bytes));
    default:
      return await runTool(compression, bytes); // xz, bzip2: the commands have the names of the formats
  }
}

async function runTool(command: string, bytes: Bytes): Promise<Bytes> {
  const child = new Deno.Command(command, { args: ["-c"], stdin: "piped", stdout: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  const [{ stdout, success }] = await Promise.all([
    child.output(),
    writer.write(bytes).then(() => writer.close()),
  ]);
  assert.ok(success, `${command} failed`);
  return new Uint8Array(stdout);
}

/** Fields that stand instead of the right ones; `null` leaves one out; a list repeats it. */
export type NarInfoChanges = Readonly<Record<string, string | readonly string[] | null>>;

/** `<hash part>.narinfo` of a path, of which only the base name is given. */
export function narInfoName(path: string): string {
  return `${path.slice(0, 32)}.narinfo`;
}

/** The narinfo of a path without references whose NAR is this file. */
export function narInfo(path: string, file: NarFile, changes: NarInfoChanges = {}): string {
  const fields: Record<string, string | readonly string[] | null> = {
    StorePath: `/nix/store/${path}`,
    URL: file.url,
    Compression: file.compression,
    FileHash: `sha256:${nix32(sha256(file.bytes))}`,
    FileSize: String(file.bytes.length),
    NarHash: `sha256:${nix32(sha256(file.nar))}`,
    NarSize: String(file.nar.length),
    References: "",
    ...changes,
  };
  let text = "";
  for (const [key, value] of Object.entries(fields)) {
    if (value === null) continue;
    for (const one of typeof value === "string" ? [value] : value) text += `${key}: ${one}\n`;
  }
  return text;
}

/** The base name of a store path that belongs to nothing in particular; the same for the same name. */
export function pathOf(name: string): string {
  return `${nix32(sha256(fromText(name)).subarray(0, 20))}-${name}`;
}

/** One file as a NAR. */
export async function fileNar(contents: string | Bytes, executable = false): Promise<Bytes> {
  const bytes = typeof contents === "string" ? fromText(contents) : contents;
  return await narOf([
    { type: "file", name: fromText(""), executable, size: bytes.length },
    { type: "data", bytes },
    { type: "end" },
  ]);
}

/** A tree as tokens: text and bytes are files, `{ link }` is a symlink, everything else a folder. */
export interface Tree {
  readonly [name: string]: string | Bytes | Tree | { readonly link: string };
}

/** The NAR of a folder. */
export async function treeNar(tree: Tree): Promise<Bytes> {
  return await narOf(tokensOf("", tree));
}

function* tokensOf(nameText: string, item: Tree[string]): Generator<NarToken> {
  const name = fromText(nameText);
  if (typeof item === "string" || item instanceof Uint8Array) {
    const bytes = typeof item === "string" ? fromText(item) : item;
    yield { type: "file", name, executable: nameText.endsWith(".sh"), size: bytes.length };
    yield { type: "data", bytes };
    yield { type: "end" };
  } else if (typeof item.link === "string") yield { type: "symlink", name, target: fromText(item.link) };
  else {
    yield { type: "directory", name };
    for (const child of Object.keys(item).sort()) yield* tokensOf(child, (item as Tree)[child]);
    yield { type: "end" };
  }
}

/** The NAR of tokens, in one array. */
export async function narOf(tokens: Iterable<NarToken>): Promise<Bytes> {
  return concat(await Array.fromAsync(writeNar(tokens)));
}

/** Bytes without a pattern, the same for the same seed. */
export function noise(length: number, seed = 1): Bytes {
  const bytes = new Uint8Array(Math.ceil(length / 4) * 4);
  const words = new Uint32Array(bytes.buffer);
  for (let i = 0, state = seed || 1; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return bytes.subarray(0, length);
}

export function sha256(bytes: Uint8Array): Bytes {
  return new Uint8Array(createHash("sha256").update(bytes).digest());
}

export function nix32(bytes: Bytes): string {
  return toNixBase32(bytes);
}
