/**
 * Answers to requests for NARs. Of a NAR the store keeps the contents, not the file: it is rendered from its root node, which the URL
 * carries, or put together from the frames that are stored, where it is pressed.
 *
 * The name of a file that was uploaded is answered too: a client that uploaded it will not send it again (HEAD), and may come back
 * for it under that name, because it remembers its own narinfo (GET).
 */
import type { Context } from "hono";
import { type Bytes, fromText } from "../bytes/bytes.ts";
import { toHex } from "../bytes/hex.ts";
import { Lru } from "../bytes/lru.ts";
import { toReadable } from "../bytes/streams.ts";
import type { ByteRange } from "../castore/byte_store.ts";
import { encodeEntry } from "../castore/messages.ts";
import type { Node } from "../castore/node.ts";
import { DamageError, MissingError } from "../errors.ts";
import { blake3 } from "../hash/blake3.ts";
import type { CompressionName } from "../store/codec.ts";
import { type NarLayout, narLayout } from "../store/nar_layout.ts";
import { parseNarUrl } from "../store/nar_url.ts";
import type { PathInfo } from "../store/path_info.ts";
import type { PressedNar } from "../store/pressed_nar.ts";
import { parseNarFileName, receivedFile, receivedNar } from "../store/receive_nar.ts";
import { renderNar } from "../store/render_nar.ts";
import { renderPressed } from "../store/render_pressed.ts";
import type { ServerContext } from "./context.ts";
import { checkFileSize } from "./file_size.ts";
import { HttpError } from "./http_error.ts";
import { notFound } from "./not_found.ts";
import type { PressedNars } from "./pressed_nars.ts";
import { rangedResponse } from "./ranged_file.ts";

/** Layouts of NARs kept for the next request, in bytes of memory. */
const LAYOUTS_KEPT = 64 * 1024 * 1024;
const NAR_TYPE = "application/x-nix-nar";
/** Not what a proxy might take for a Content-Encoding: the file is compressed, and stays so. */
const PRESSED_TYPE = "application/zstd";
/** Not the bytes that were uploaded, so not for ever, and no promise of ranges. */
const RECOMPRESSED = { "content-type": NAR_TYPE, "cache-control": "no-cache" };

/** Answers requests for NARs. */
export class NarResponses {
  #context: ServerContext;
  #layouts = new Lru<string, Promise<NarLayout>>(LAYOUTS_KEPT);

  constructor(context: ServerContext) {
    this.#context = context;
  }

  /** A NAR by its root node. */
  async byNode(c: Context): Promise<Response> {
    const { era, node: encoded } = c.req.param();
    const { node, narSize, form } = parseNarUrl(`nar/${era}/${encoded}${new URL(c.req.url).search}`)!;
    if (form === "zstd") return await this.#pressedByNode(c, node, narSize);
    const layout = await this.#layout(node);
    if (!layout) return notFound();
    checkNarSize(narSize, layout.size);
    return await rangedResponse(c, this.#plain(node, layout));
  }

  async #pressedByNode(c: Context, node: Node, narSize: number | undefined): Promise<Response> {
    const { pressed } = this.#context;
    if (!pressed) {
      throw new HttpError(404, "Cannot serve the NAR in zstd: this server's store keeps no frames of it");
    }
    let nar: PressedNar | undefined;
    try {
      nar = await pressed.get(node);
    } catch (error) {
      if (!(error instanceof MissingError)) throw error;
    }
    if (!nar) return notFound();
    checkNarSize(narSize, nar.narSize);
    return await rangedResponse(c, {
      what: "the file",
      size: nar.fileSize,
      etag: `"${toHex(nar.sha256.subarray(0, 16))}"`,
      headers: { "content-type": PRESSED_TYPE },
      read: (range) => this.#renderPressed(node, nar, pressed, range),
    });
  }

  /** A file that was uploaded: the NAR itself where it was not compressed, else the NAR in the same compression again. */
  async byFile(c: Context, fileName: string): Promise<Response> {
    const name = parseNarFileName(fileName);
    const file = name && await receivedFile(this.#context.names, name.text);
    const nar = file && await receivedNar(this.#context.names, file.narSha256);
    if (!nar) return notFound();
    const compression = file!.compression as CompressionName;
    if (c.req.method === "HEAD" && compression !== "none") {
      return new Response(null, { headers: RECOMPRESSED });
    }
    const layout = await this.#layout(nar.root);
    if (!layout) return notFound();
    if (compression === "none") return await rangedResponse(c, this.#plain(nar.root, layout));
    const { pressed, codec } = this.#context;
    // What is compressed already is not compressed again.
    const ready = compression === "zstd" ? await pressed?.find(nar.root) : undefined;
    if (pressed && ready) {
      const bytes = this.#renderPressed(nar.root, ready, pressed);
      return new Response(toReadable(bytes), { headers: RECOMPRESSED });
    }
    if (!codec.compresses.has(compression)) {
      throw new HttpError(
        404,
        `The contents of ${fileName} are here, but not in ${compression}: ask for the narinfo again (--refresh)`,
      );
    }
    const bytes = codec.compress(compression, this.#render(nar.root, layout));
    return new Response(toReadable(bytes), { headers: RECOMPRESSED });
  }

  /** The listing of a path, worked out from what is stored: once for its length and what cannot be listed, once for the client. */
  async listing(info: PathInfo): Promise<Response> {
    const layout = await this.#layout(info.node);
    if (!layout) return notFound();
    let length = 0;
    for (const piece of layout.listing()) length += fromText(piece).length;
    const headers = { "content-type": "application/json", "content-length": String(length) };
    return new Response(toReadable(joined(layout.listing())), { headers });
  }

  #plain(node: Node, layout: NarLayout) {
    return {
      what: "the NAR",
      size: layout.size,
      etag: `"${toHex(blake3(encodeEntry(node)).subarray(0, 16))}"`,
      headers: { "content-type": NAR_TYPE },
      read: (range?: ByteRange) => this.#render(node, layout, range),
    };
  }

  /** A failure in the middle of a body breaks the connection, which is all that can be told the client then; the log gets the rest. */
  async *#render(node: Node, layout: NarLayout, range?: ByteRange): AsyncGenerator<Bytes, void, void> {
    try {
      yield* renderNar(layout, this.#context.blobs, range);
    } catch (error) {
      this.#context.logFailure(
        `failed in the middle of the NAR of ${this.#context.owners.nameOf(node)}: ${
          (error as Error).message
        }`,
      );
      throw error;
    }
  }

  /** The same of the pressed NAR, whose record is not used any more: what it speaks of is not there. */
  async *#renderPressed(
    node: Node,
    nar: PressedNar,
    pressed: PressedNars,
    range?: ByteRange,
  ): AsyncGenerator<Bytes, void, void> {
    try {
      yield* renderPressed(nar, pressed.blobs, range);
    } catch (error) {
      const owner = this.#context.owners.nameOf(node);
      this.#context.logFailure(
        `failed in the middle of the pressed NAR of ${owner}: ${(error as Error).message}`,
      );
      if (error instanceof DamageError || error instanceof MissingError) await pressed.drop(node);
      throw error;
    }
  }

  async #layout(node: Node): Promise<NarLayout | undefined> {
    const key = toHex(encodeEntry(node));
    let layout = this.#layouts.get(key);
    if (!layout) {
      layout = this.#open(node);
      this.#layouts.set(key, layout, 1000);
      layout.then((known) => this.#layouts.set(key, layout!, known.weight), () => this.#layouts.delete(key));
    }
    try {
      return await layout;
    } catch (error) {
      if (error instanceof MissingError) return undefined;
      throw error;
    }
  }

  async #open(node: Node): Promise<NarLayout> {
    const { blobs, directories } = this.#context;
    if (node.type === "file") await checkFileSize(node, blobs);
    return await narLayout(node, directories);
  }
}

function checkNarSize(claimed: number | undefined, actual: number): void {
  if (claimed === undefined || claimed === actual) return;
  throw new HttpError(400, `Cannot serve the NAR: narsize is ${claimed}, and it has ${actual} bytes`);
}

/** Texts as bytes, in pieces large enough for a socket. */
async function* joined(texts: Iterable<string>): AsyncGenerator<Bytes, void, void> {
  let piece = "";
  for (const text of texts) {
    piece += text;
    if (piece.length < 65_536) continue;
    yield fromText(piece);
    piece = "";
  }
  yield fromText(piece);
}
