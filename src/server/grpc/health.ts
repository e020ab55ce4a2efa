/** grpc.health.v1: whether the server serves. It does, until it begins to stop. */
import type { ServiceImpl } from "@connectrpc/connect";
import type { Readiness } from "../readiness.ts";
import { MissingError } from "../../errors.ts";
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../gen/grpc/health/v1/health_pb.ts";

export interface HealthOptions {
  /** Aborted when the server begins to stop. */
  readonly stopping?: AbortSignal;
  readonly readiness?: Pick<Readiness, "why">;
}

/**
 * The health of these services, and under the empty name of the server: whether it is ready, as `/readyz` says. A Watch
 * tells only of its stop. It ends after NOT_SERVING, for nothing can
 * follow and the server waits for its calls to end.
 */
export function healthService(
  services: readonly string[],
  { stopping, readiness }: HealthOptions,
): ServiceImpl<typeof Health> {
  const names = new Set(["", ...services]);
  const looked = async () => await readiness?.why() === undefined ? status() : Status.NOT_SERVING;
  const status = () => stopping?.aborted ? Status.NOT_SERVING : Status.SERVING;
  return {
    async check({ service }) {
      if (!names.has(service)) throw new MissingError("service", JSON.stringify(service));
      return { status: await looked() };
    },

    async list() {
      const status = await looked();
      return { statuses: Object.fromEntries([...names].map((name) => [name, { status }])) };
    },

    async *watch({ service }, { signal }) {
      const known = names.has(service);
      const before = status();
      yield { status: known ? before : Status.SERVICE_UNKNOWN };
      await oneAborted(signal, stopping);
      if (known && status() !== before) yield { status: status() };
    },
  };
}

async function oneAborted(...signals: (AbortSignal | undefined)[]): Promise<void> {
  const given = signals.filter((signal) => signal !== undefined);
  const done = new AbortController(); // removes the listener of the signal that lives longer
  await new Promise<void>((resolve) => {
    for (const signal of given) {
      if (signal.aborted) resolve();
      signal.addEventListener("abort", () => resolve(), { signal: done.signal });
    }
  });
  done.abort();
}
