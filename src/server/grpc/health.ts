/** grpc.health.v1: whether the server serves. It does, until it begins to stop. */
import type { ServiceImpl } from "@connectrpc/connect";
import { MissingError } from "../../errors.ts";
import {
  type Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../gen/grpc/health/v1/health_pb.ts";

/**
 * The health of these services, and under the empty name of the server. A Watch ends after NOT_SERVING, for nothing can
 * follow and the server waits for its calls to end.
 */
export function healthService(
  services: readonly string[],
  stopping: AbortSignal | undefined,
): ServiceImpl<typeof Health> {
  const names = new Set(["", ...services]);
  const status = () => stopping?.aborted ? Status.NOT_SERVING : Status.SERVING;
  return {
    check({ service }) {
      if (!names.has(service)) throw new MissingError("service", JSON.stringify(service));
      return { status: status() };
    },

    list() {
      return { statuses: Object.fromEntries([...names].map((name) => [name, { status: status() }])) };
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
