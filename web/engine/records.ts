/**
 * What the store in a tab keeps besides a store's own names: where paths came from, and settings. Keys in `names`:
 *
 *   tab/opened/<hash part>          JSON: an `OpenedRecord`
 *   tab/unfinished/<hash part>      JSON: an `UnfinishedRecord`
 *   tab/arriving/<hash part>/<n>    1 MiB each of a NAR's file that has not come whole; n has eight digits
 *   tab/part/<b3>                   chunks of a long file of which some are here and proven, see `lazy_files.ts`
 *   tab/settings                    JSON: `Settings`, but for tokens
 *   tab/tokens                      JSON: the token of each origin
 */
import { fromBase64Url, toBase64Url } from "../../src/bytes/base64.ts";
import { fromText, toText } from "../../src/bytes/bytes.ts";
import type { ByteStore } from "../../src/castore/byte_store.ts";
import { decodeAnonymousEntry, encodeEntry } from "../../src/castore/messages.ts";
import type { Node } from "../../src/castore/node.ts";
import { formatNarInfo, type NarInfo, parseNarInfo } from "../../src/nix/nar_info.ts";
import type { OpenOptions } from "./engine.ts";

/** A path that was opened. Of one that is whole, the store's own path info says what is claimed. */
export interface OpenedRecord {
  readonly narInfo: NarInfo;
  readonly node: Node;
  readonly whole: boolean;
  readonly cache?: string;
  readonly openedAt: number;
  readonly verifiedAt?: number;
}

/** An open that has not ended. */
export interface UnfinishedRecord {
  readonly path: string;
  readonly cache: string;
  readonly options: OpenOptions;
  readonly startedAt: number;
  /** Of which file the arriving pieces are. */
  readonly file?: string;
}

const OPENED = "tab/opened/";
const UNFINISHED = "tab/unfinished/";
const ARRIVING = "tab/arriving/";
const TOKENS = "tab/tokens";

/** Reads and writes the records. */
export class Records {
  readonly #names: ByteStore;

  constructor(names: ByteStore) {
    this.#names = names;
  }

  async opened(hashPart: string): Promise<OpenedRecord | undefined> {
    const kept = await this.#get<Record<string, unknown>>(OPENED + hashPart);
    if (!kept) return undefined;
    const { narInfo, node, ...rest } = kept as { narInfo: string; node: string };
    return {
      ...rest as unknown as OpenedRecord,
      narInfo: parseNarInfo(narInfo),
      node: decodeAnonymousEntry(fromBase64Url(node)),
    };
  }

  async putOpened(record: OpenedRecord): Promise<void> {
    const { narInfo, node } = record;
    await this.#put(OPENED + narInfo.storePath.hashPart, {
      ...record,
      narInfo: formatNarInfo(narInfo),
      node: toBase64Url(encodeEntry(node)),
    });
  }

  async deleteOpened(hashPart: string): Promise<void> {
    await this.#names.delete(OPENED + hashPart);
  }

  /** Hash parts of all that was opened. */
  async *openedHashParts(): AsyncGenerator<string, void, void> {
    for await (const key of this.#names.list(OPENED)) yield key.slice(OPENED.length);
  }

  async unfinished(hashPart: string): Promise<UnfinishedRecord | undefined> {
    return await this.#get(UNFINISHED + hashPart);
  }

  async putUnfinished(hashPart: string, record: UnfinishedRecord): Promise<void> {
    await this.#put(UNFINISHED + hashPart, record);
  }

  /** Forgets an open that has not ended, and what came of its file. */
  async deleteUnfinished(hashPart: string): Promise<void> {
    await this.#names.delete(UNFINISHED + hashPart);
    await this.deleteArriving(hashPart);
  }

  async *allUnfinished(): AsyncGenerator<UnfinishedRecord, void, void> {
    for await (const key of this.#names.list(UNFINISHED)) {
      const record = await this.#get<UnfinishedRecord>(key);
      if (record) yield record;
    }
  }

  /** Where pieces of a file that is arriving lie, in order. */
  async arriving(hashPart: string): Promise<string[]> {
    const keys: string[] = [];
    for await (const key of this.#names.list(`${ARRIVING}${hashPart}/`)) keys.push(key);
    // Pieces are written one after the other, so a gap is where a crash was, and nothing behind it counts.
    return keys.filter((key, i) => key === this.arrivingKey(hashPart, i));
  }

  arrivingKey(hashPart: string, i: number): string {
    return `${ARRIVING}${hashPart}/${String(i).padStart(8, "0")}`;
  }

  async deleteArriving(hashPart: string): Promise<void> {
    for await (const key of this.#names.list(`${ARRIVING}${hashPart}/`)) await this.#names.delete(key);
  }

  async settings<T>(): Promise<T | undefined> {
    return await this.#get("tab/settings");
  }

  async putSettings(settings: unknown): Promise<void> {
    await this.#put("tab/settings", settings);
  }

  /** Tokens by origin. */
  async tokens(): Promise<Readonly<Record<string, string>>> {
    return await this.#get<Record<string, string>>(TOKENS) ?? {};
  }

  /** Keeps a token for an origin, or none any more. */
  async putToken(origin: string, token: string | undefined): Promise<void> {
    await this.#names.update(TOKENS, (kept) => {
      const { [origin]: _, ...others } = kept ? JSON.parse(toText(kept)) as Record<string, string> : {};
      const all = token === undefined ? others : { ...others, [origin]: token };
      return Object.keys(all).length === 0 ? undefined : fromText(JSON.stringify(all));
    });
  }

  async #get<T>(key: string): Promise<T | undefined> {
    const value = await this.#names.get(key);
    return value && JSON.parse(toText(value)) as T;
  }

  async #put(key: string, value: unknown): Promise<void> {
    await this.#names.put(key, fromText(JSON.stringify(value)));
  }
}
