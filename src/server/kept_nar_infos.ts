/**
 * Narinfos as they are served, rendered and signed, kept for whoever asks next: making one costs a look-up and as many
 * signatures as there are keys.
 *
 * One that is kept is right as long as its path info stays as it was. So this is for a server that is alone with its
 * store: every change then passes through the service given here, and is heard of. Absence is not kept, and neither is a narinfo
 * whose NAR may soon be served in another form.
 */
import type { Bytes } from "../bytes/bytes.ts";
import { Lru } from "../bytes/lru.ts";
import { HASH_PART_LENGTH } from "../nix/store_path.ts";
import type { PathInfoService } from "../store/path_info_service.ts";
import { OPEN } from "./cors.ts";

/** Memory for narinfos, in bytes. */
const KEPT = 32 * 1024 * 1024;
/** Memory of one besides its text, about. */
const WEIGHT = 600;
export const NAR_INFO_TYPE = "text/x-nix-narinfo";
const SUFFIX = ".narinfo";
/** Characters in `/<hash part>.narinfo`. */
const PATH_LENGTH = 1 + HASH_PART_LENGTH + SUFFIX.length;
/** Where in a URL no slash is any more but those of its path: `https://` has so many characters, and a host at least one. */
const SCHEME_LENGTH = 8;

/** A narinfo and the headers it is served with: made once, as putting them together costs more than looking one up. */
export interface KeptNarInfo {
  readonly text: Bytes;
  readonly headers: Record<string, string>;
}

/** A narinfo that was rendered. */
export interface RenderedNarInfo {
  readonly text: Bytes;
  /** Whether it stays as it is while the path info does. */
  readonly isFinal: boolean;
}

export class KeptNarInfos {
  #kept = new Lru<string, KeptNarInfo>(KEPT);
  /** Those being rendered, each by its own token: a change makes what is rendered from before it worthless. */
  #rendering = new Map<string, symbol>();

  /** The narinfo of a hash part, if it is kept. Only to be read. */
  get(hashPart: string): Bytes | undefined {
    return this.#kept.get(hashPart)?.text;
  }

  /** The narinfo that a GET with this URL asks for, if it is kept. */
  find(url: string): KeptNarInfo | undefined {
    const slash = url.length - PATH_LENGTH;
    if (!url.endsWith(SUFFIX) || url.indexOf("/", SCHEME_LENGTH) !== slash) return undefined;
    return this.#kept.get(url.slice(slash + 1, -SUFFIX.length));
  }

  /** Renders a narinfo and keeps it if it is final, unless the path info changes meanwhile. */
  async render(
    hashPart: string,
    render: () => Promise<RenderedNarInfo | undefined>,
  ): Promise<Bytes | undefined> {
    const token = Symbol();
    this.#rendering.set(hashPart, token);
    try {
      const rendered = await render();
      if (rendered?.isFinal && this.#rendering.get(hashPart) === token) {
        const { text } = rendered;
        this.#kept.set(hashPart, { text, headers: headersOf(text) }, text.length + WEIGHT);
      }
      return rendered?.text;
    } finally {
      if (this.#rendering.get(hashPart) === token) this.#rendering.delete(hashPart);
    }
  }

  /** Keeps none of those that are kept or being rendered. */
  clear(): void {
    this.#kept = new Lru(KEPT);
    this.#rendering.clear();
  }

  /** The same path infos; what changes through them is heard of here. */
  watch(pathInfos: PathInfoService): PathInfoService {
    return {
      get: (hashPart) => pathInfos.get(hashPart),
      list: () => pathInfos.list(),
      put: (info) => pathInfos.put(info).finally(() => this.#forget(info.storePath.hashPart)),
      delete: (hashPart) => pathInfos.delete(hashPart).finally(() => this.#forget(hashPart)),
    };
  }

  #forget(hashPart: string): void {
    this.#kept.delete(hashPart);
    this.#rendering.delete(hashPart);
  }
}

function headersOf(text: Bytes): Record<string, string> {
  return {
    "content-type": NAR_INFO_TYPE,
    "content-length": String(text.length),
    "access-control-allow-origin": OPEN.origin,
    "access-control-expose-headers": OPEN.exposed,
  };
}
