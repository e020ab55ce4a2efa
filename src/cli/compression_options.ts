/** The options about compression. */
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
