/**
 * Both ends of the line between the page and the worker. The page:
 *
 * ```ts ignore
 * const engine = connectEngine(new Worker("./engine.js", { type: "module" }));
 * const { paths } = await engine.open(target, {}, "open 1", Comlink.proxy((progress) => show(progress)));
 * ```
 */
import * as Comlink from "comlink";
import type { Engine } from "./engine.ts";
import { EngineError, faultOf } from "./fault.ts";

/** The engine as the page sees it: every method returns a promise. */
export type RemoteEngine = Comlink.Remote<Engine>;

interface Thrown {
  value: unknown;
}

// Comlink passes name, message and stack of errors. Here they keep what is known of them, and lose the stack.
Comlink.transferHandlers.set("throw", {
  canHandle: Comlink.transferHandlers.get("throw")!.canHandle as (value: unknown) => value is Thrown,
  serialize: ({ value }: Thrown) => [faultOf(value), []],
  deserialize: (fault) => {
    throw new EngineError(fault as ReturnType<typeof faultOf>);
  },
});

/** The engine in a worker, or at another end of a port. */
export function connectEngine(end: Comlink.Endpoint): RemoteEngine {
  return Comlink.wrap<Engine>(end);
}

/** Lets the other end of a line call an engine. */
export function exposeEngine(engine: Engine, end: Comlink.Endpoint): void {
  Comlink.expose(engine, end);
}
