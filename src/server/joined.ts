/**
 * What is put together from blobs that came before (`?joined`, see `bulk.ts`): so a blob or a closure of any length comes in bodies
 * that are as short as whoever stands in between allows.
 */
import type { Context } from "hono";
import { ahead } from "../bytes/ahead.ts";
import { type Bytes, equals } from "../bytes/bytes.ts";
import { readDelimited } from "../bytes/delimited.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { ClaimError, MissingError } from "../errors.ts";
import { createBlake3 } from "../hash/blake3.ts";
import { digestsOf, MANY } from "./bulk.ts";
import type { ServerContext } from "./context.ts";
import { noted } from "./visitors.ts";

/** The longest Directory of a closure that is joined: a folder of some 900,000 files. An archive may have longer ones. */
const MAX_DIRECTORY = 64 * 1024 * 1024;

/** Stores the blob that is made of others, and answers like a PUT of it. */
export async function putJoined(
  c: Context,
  claimed: Digest | undefined,
  context: ServerContext,
): Promise<Response> {
  const bytes = joined(await digestsOf(c, MANY, context), "blob", context);
  const { digest, size } = await context.blobs.put(claimed ? proving(bytes, claimed) : bytes);
  context.watch?.stored?.("blob", size);
  noted(c.req.raw, context, `received blob ${formatDigest(digest)} (${size} bytes) by its chunks`);
  return c.json({ digest: formatDigest(digest), size });
}

/** The Directories of the sequence that blobs make. */
export async function joinedDirectories(c: Context, context: ServerContext): Promise<AsyncIterable<Bytes>> {
  const bytes = joined(await digestsOf(c, MANY, context), "closure", context);
  return readDelimited(bytes, Math.max(MAX_DIRECTORY, context.maxMessageBytes), "Directory");
}

async function* joined(
  parts: readonly Digest[],
  what: string,
  { blobs }: ServerContext,
): AsyncGenerator<Bytes, void, void> {
  const opened = ahead(parts, 4, async (digest) => [await blobs.open(digest), digest] as const);
  for await (const [part, digest] of opened) {
    if (!part) {
      const name = formatDigest(digest);
      throw new MissingError(
        "blob",
        name,
        `Cannot join the ${what}: its chunk ${name} is not here; send it first`,
      );
    }
    yield* part;
  }
}

/** The bytes, ending in an error if they are not what they were said to be: so none of them become a blob. */
export async function* proving(
  bytes: AsyncIterable<Bytes>,
  claimed: Digest,
): AsyncGenerator<Bytes, void, void> {
  const hasher = createBlake3();
  for await (const piece of bytes) {
    hasher.update(piece);
    yield piece;
  }
  const actual = hasher.digest();
  if (!equals(actual, claimed)) {
    throw new ClaimError("blob digest", formatDigest(claimed), formatDigest(actual));
  }
}
