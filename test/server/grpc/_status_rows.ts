/** Situations and how calls end in them, and what the lists of them are made with. */
import type { Clients } from "./_calls.ts";
import { stream } from "./_calls.ts";
import * as given from "./_fixtures.ts";

/** One situation. */
export interface Row {
  readonly when: string;
  /** A call, of whichever package. */
  readonly call: (clients: Clients) => Promise<unknown> | AsyncIterable<unknown>;
  /** The status, in both packages or in each. */
  readonly want: string | { readonly snix: string; readonly tvix: string };
  /** What is in the store before. */
  readonly before?: (clients: Clients) => Promise<unknown>;
  /** A service that throws this whatever it is asked. */
  readonly broken?: { readonly service: "blobs" | "directories" | "pathInfos"; readonly error: Error };
  /** The class of the error, as told by the server. */
  readonly error?: string;
}

/** What goes wrong inside a store, and is not to be told. */
export const DISK = new Error("disk on fire at /secret/place");
/** No digest. */
export const SHORT = new Uint8Array(31);

/** INTERNAL in snix, and this in tvix. */
export const internalOr = (tvix: string) => ({ snix: "Internal", tvix });

export const putHello = ({ blobs }: Clients) => blobs.put(stream({ data: given.HELLO }));

/** A Put of these Directories. */
export const putDirectories = (...messages: Record<string, unknown>[]) => ({ directories }: Clients) =>
  directories.put(stream(...messages));
