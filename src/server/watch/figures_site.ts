/** An address that has the figures and the health of a server, and nothing else: for a network of its operator's. */
import { notFound } from "../not_found.ts";
import type { Readiness } from "../readiness.ts";
import { type Metrics, METRICS_TYPE } from "./metrics.ts";

export function figuresSite(
  readiness: Readiness,
  metrics: Metrics,
): (request: Request) => Response | Promise<Response> {
  return (request) => {
    const health = readiness.answer(request);
    if (health) return health;
    if (request.method !== "GET" || new URL(request.url).pathname !== "/metrics") return notFound();
    return new Response(metrics.text(), { headers: { "content-type": METRICS_TYPE } });
  };
}
