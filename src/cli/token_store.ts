/** Revocations where they are kept: in a store that no server has open, or through the server that has. */
import type { Revocation, Revocations } from "../store/revocations.ts";
import { revocationsOver } from "../store/revocations.ts";
import { openHome, openStopped } from "./home.ts";
import { UsageError } from "./usage.ts";

/** Longest wait for a server, in milliseconds. */
const PATIENCE_MS = 30_000;

export type OpenRevocations = Pick<Revocations, "add" | "list"> & AsyncDisposable;

/** Opens them. Throws {@link UsageError} for an address that cannot be one. */
export async function openRevocations(
  place: { readonly store: string } | { readonly server: string },
): Promise<OpenRevocations> {
  if ("server" in place) return new ServerRevocations(place.server);
  const { store } = place;
  if (store.startsWith("memory:") || store.startsWith("grpc+")) {
    throw new UsageError(`Cannot revoke in the store ${store}: use --server with the address of its server`);
  }
  const isFolder = !/^[a-z0-9+]{2,}:/i.test(store) || store.startsWith("file:");
  const log = (line: string) => console.error(line);
  const home = isFolder ? await openStopped(store, log) : await openHome(store, log);
  const { add, list, sweep } = revocationsOver(home.names);
  return {
    add: async (id, expiresAt) => {
      await add(id, expiresAt);
      await sweep();
    },
    list,
    [Symbol.asyncDispose]: () => home[Symbol.asyncDispose](),
  };
}

class ServerRevocations implements OpenRevocations {
  #base: string;
  #token: string;

  constructor(server: string) {
    const url = URL.canParse(server) ? new URL(server) : undefined;
    if (!url || !/^https?:$/.test(url.protocol) || url.username !== "" || url.search !== "") {
      throw new UsageError(`Cannot ask the server ${server}: want a URL such as https://cache.example`);
    }
    this.#base = url.href.replace(/\/$/, "");
    this.#token = Deno.env.get("FIRN_TOKEN") ?? "";
  }

  async add(id: string, expiresAt?: number): Promise<void> {
    const until = expiresAt === undefined ? "" : `?until=${Math.ceil(expiresAt / 1000)}`;
    await this.#ask("PUT", `/token/revoked/${encodeURIComponent(id)}${until}`);
  }

  async *list(): AsyncGenerator<Revocation, void, void> {
    yield* JSON.parse(await this.#ask("GET", "/token/revoked")) as Revocation[];
  }

  async #ask(method: string, path: string): Promise<string> {
    const headers = new Headers();
    if (this.#token !== "") headers.set("authorization", `Bearer ${this.#token}`);
    let answer: Response;
    try {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      answer = await fetch(this.#base + path, { method, headers, signal, redirect: "error" });
    } catch (cause) {
      throw new UsageError(`Cannot reach ${this.#base}: ${(cause as Error).message}`);
    }
    const text = await answer.text();
    if (answer.ok) return text;
    const hint = answer.status === 401 && this.#token === "" ? " (in FIRN_TOKEN)" : "";
    throw new UsageError(
      `${this.#base} refuses with status ${answer.status}${hint}: ${text.trim().slice(0, 500)}`,
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
