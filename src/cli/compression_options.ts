/** The options about compression. */
import { isLoopbackHost } from "../server/peer.ts";
import type { NarForm } from "../store/nar_url.ts";
import { UsageError } from "./usage.ts";

/** How chunks are compressed when they are stored. */
export interface CompressOptions {
  /** Level of zstd, 1 to 19. */
  readonly level: number;
}

const LEVELS = [1, 19] as const;

export const COMPRESS_HELP = `  --compress zstd[:LEVEL]|none
                            how chunks are stored: as zstd frames of level
                            1 to 19 where that saves something, or plain;
                            what is stored stays as it is         [zstd:1]  FIRN_COMPRESS
`;

/** `undefined`: chunks are stored plain. Throws {@link UsageError}. */
export function parseCompress(text: string): CompressOptions | undefined {
  if (text === "none") return undefined;
  const level = /^zstd(?::(\d{1,2}))?$/.exec(text);
  const [least, most] = LEVELS;
  const number = Number(level?.[1] ?? least);
  if (!level || number < least || number > most) {
    throw new UsageError(`Cannot use --compress ${text}: want zstd, zstd:${least} to zstd:${most}, or none`);
  }
  return { level: number };
}

export const NAR_COMPRESSION_HELP = `  --nar-compression zstd|none
                            what narinfos offer NARs as: put together
                            from the zstd frames that are stored, or
                            plain; both can be fetched whatever this is
                            [none where it listens on this machine only,
                            or chunks are stored plain; else zstd]                          FIRN_NAR_COMPRESSION
`;

/**
 * What narinfos offer. When nothing is said, that depends on where HTTP is listened for, and on how chunks are stored. Throws
 * {@link UsageError}.
 */
export function parseNarCompression(
  text: string | undefined,
  host: string,
  compress: CompressOptions | undefined,
): NarForm {
  if (text === undefined) return compress === undefined || isLoopbackHost(host) ? "none" : "zstd";
  if (text === "zstd" || text === "none") return text;
  throw new UsageError(`Cannot use --nar-compression ${text}: want zstd or none`);
}
