/** Parts of the page that are loaded when they are first shown. */
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Fault } from "../engine/engine.ts";
import { faultOf } from "../engine/fault.ts";
import { FaultNote, Waiting } from "./part/basics.tsx";

/** A component whose code comes later. */
// deno-lint-ignore no-explicit-any -- props of all kinds
export function lazily<P extends Record<string, any>>(
  load: () => Promise<ComponentType<P>>,
): ComponentType<P> {
  let loading: Promise<ComponentType<P>> | undefined;
  return function Lazy(props: P) {
    const [Loaded, setLoaded] = useState<{ component: ComponentType<P> } | undefined>(undefined);
    const [fault, setFault] = useState<Fault | undefined>(undefined);
    useEffect(() => {
      if (fault) return;
      loading ??= load();
      loading.then((component) => setLoaded({ component }), (error) => {
        loading = undefined;
        setFault(faultOf(error));
      });
    }, [fault]);
    if (fault) return <FaultNote fault={fault} again={() => setFault(undefined)} />;
    return Loaded ? <Loaded.component {...props} /> : <Waiting />;
  };
}
