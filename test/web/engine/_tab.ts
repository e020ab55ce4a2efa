/**
 * What the tests of the engine share: a tab over a home in memory, and a firn server beside it that counts what is asked.
 */
import { openCodecs } from "../../../src/adapters/codecs/codecs.ts";
import { openMemory } from "../../../src/adapters/memory/memory_store.ts";
import { nativeHashes } from "../../../src/adapters/native/hashes.ts";
import type { Bytes } from "../../../src/bytes/bytes.ts";
import type { ServerOptions } from "../../../src/server/app.ts";
import type { Home } from "../../../src/store/services.ts";
import type { PathSummary, Progress } from "../../../web/engine/engine.ts";
import { openKeeping } from "../../../web/engine/keeping_over.ts";
import { type EngineParts, TabEngine } from "../../../web/engine/tab_engine.ts";
import { narFile, type NarInfoChanges, pathOf, Site, type Tree, treeNar } from "../../server/_site.ts";

/** A tab, and what it asked for over the network. */
export class Tab {
  readonly home: Home;
  readonly engine: TabEngine;
  /** `GET /path`, in order. */
  readonly asked: string[] = [];
  /** Bytes of answers, as they were read. */
  received = 0;
  /** Bytes of requests. */
  sent = 0;

  /** @param answer what stands for the network */
  constructor(
    answer: (request: Request) => Response | Promise<Response>,
    home?: Home,
    parts: Partial<EngineParts> = {},
  ) {
    this.home = home ?? { names: openMemory(), bytes: openMemory() };
    this.engine = new TabEngine({
      home: this.home,
      fetch: async (input, init) => {
        const request = new Request(input as string, init);
        this.asked.push(`${request.method} ${new URL(request.url).pathname}`);
        if (init?.body instanceof Uint8Array) this.sent += init.body.length;
        const response = await answer(request);
        const counting = new TransformStream<Uint8Array, Uint8Array>({
          transform: (piece, controller) => {
            this.received += piece.length;
            controller.enqueue(piece);
          },
        });
        const { status, headers, body } = response;
        return new Response(body?.pipeThrough(counting) ?? null, { status, headers });
      },
      codec: openCodecs(),
      hashes: nativeHashes,
      keeping: openKeeping(this.home),
      ...parts,
    });
  }

  /** How often something was asked for. */
  count(pattern: RegExp): number {
    return this.asked.filter((line) => pattern.test(line)).length;
  }
}

/** A firn server at an address that only its tabs know. */
export class World implements AsyncDisposable {
  readonly address = "http://firn.test";

  constructor(readonly site: Site) {}

  static async open(options: Partial<ServerOptions> = {}): Promise<World> {
    return new World(await Site.open("memory:", options));
  }

  /** Publishes a tree as a path of this name on the server; returns the path. */
  async publish(
    name: string,
    tree: Tree,
    changes: NarInfoChanges = {},
    compression = "none",
  ): Promise<string> {
    const base = pathOf(name);
    await this.site.publish(base, await narFile(await treeNar(tree), compression), changes);
    return `/nix/store/${base}`;
  }

  /** A tab of this server's page. */
  tab(home?: Home, parts: Partial<EngineParts> = {}): Tab {
    return new Tab((request) => this.site.app.fetch(request), home, { origin: this.address, ...parts });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.site[Symbol.asyncDispose]();
  }
}

/** Opens a path of the world's server in a tab. */
export async function open(
  tab: Tab,
  world: World,
  path: string,
  options: { everything?: boolean; closure?: boolean } = {},
  report?: (progress: Progress) => void,
): Promise<PathSummary> {
  const target = { type: "path", path, cache: world.address } as const;
  const { paths } = await tab.engine.open(target, options, undefined, report);
  return paths[0];
}

export async function bytesOf(blob: Blob | undefined): Promise<Bytes> {
  return new Uint8Array(await blob!.arrayBuffer());
}
