/**
 * The page without its server: keeps the page's own files, and serves `nix/store/…` below its scope from the store in the tab, so
 * that documentation in a package opens as web pages. Scripts are off there: see `store_pages.ts`.
 *
 * What is not kept here is asked of the network, where a firn server answers the same paths in the same way.
 */

/** The page's files, relative to it; "./" for the page itself. Given by the build, as is a hash of them all. */
declare const __FILES__: readonly string[];
declare const __VERSION__: string;
/**
 * Loads the module that answers from the store. The build puts it in here as a function: its modules wait for WebAssembly, which a
 * service worker may not do as it loads, and it may not import later either.
 */
declare const __STORE__: () => Promise<typeof import("./store_answers.ts")>;

/** What is used of a service worker's global scope, whose types clash with those of a page. */
interface Scope {
  readonly registration: { readonly scope: string };
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(
    type: "install" | "activate",
    listener: (event: { waitUntil(work: Promise<unknown>): void }) => void,
  ): void;
  addEventListener(type: "fetch", listener: (event: FetchEvent) => void): void;
}

interface FetchEvent {
  readonly request: Request;
  respondWith(response: Promise<Response>): void;
}

const scope = globalThis as unknown as Scope;
const CACHE = `firn-page-${__VERSION__}`;
/** How long a new page is waited for before the one that is kept is shown, in milliseconds. */
const PATIENCE = 2000;

scope.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await cache.addAll(__FILES__.map((path) => new Request(path, { cache: "no-cache" })));
    await scope.skipWaiting();
  })());
});

scope.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith("firn-page-") && name !== CACHE) await caches.delete(name);
    }
    await scope.clients.claim();
  })());
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  const root = new URL(scope.registration.scope);
  if (url.origin !== root.origin || !["GET", "HEAD"].includes(request.method)) return;
  if (url.pathname.startsWith(`${root.pathname}nix/store/`)) {
    return event.respondWith(fromStore(request, root.pathname));
  }
  if (!url.pathname.startsWith(root.pathname)) return;
  const path = url.pathname.slice(root.pathname.length);
  if (path === "" || path === "index.html") event.respondWith(thePage(request));
  else if (__FILES__.includes(path)) event.respondWith(fileOfPage(path, request));
});

/** The page as the server gives it, so that a new version is seen; the one that is kept when that takes too long. */
async function thePage(request: Request): Promise<Response> {
  const kept = await (await caches.open(CACHE)).match("./");
  const fresh = fetch(request);
  fresh.catch(() => {}); // then it is what is kept
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE));
  const first = await Promise.race([fresh, late]).catch(() => undefined);
  if (first?.ok) return first;
  return kept ?? first ?? await fresh;
}

async function fileOfPage(path: string, request: Request): Promise<Response> {
  return await (await caches.open(CACHE)).match(path) ?? await fetch(request);
}

let store: ReturnType<typeof __STORE__> | undefined;

async function fromStore(request: Request, prefix: string): Promise<Response> {
  let failure: unknown;
  try {
    store ??= __STORE__();
    const { answer } = await store;
    const found = await answer(request, prefix);
    if (found) return found;
  } catch (error) {
    failure = error;
  }
  try {
    return await fetch(request);
  } catch {
    const why = failure instanceof Error
      ? failure.message
      : "it is not kept here, and the network is not to be reached";
    return new Response(`Cannot show this: ${why}\n`, {
      status: failure ? 500 : 404,
      headers: { "content-type": "text/plain; charset=utf-8", "content-security-policy": "sandbox" },
    });
  }
}
