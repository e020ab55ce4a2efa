/** Figures, one JSON line each, and which of them are over their bound. */

/** What a figure must stay under, in its own unit. */
export interface Bound {
  readonly below: number;
}

const over: string[] = [];

/** Prints a figure. One that is not below its bound makes {@link verdict} fail. */
export function row(name: string, value: number, unit: string, bound?: Bound): void {
  const rounded = Math.round(value * 1000) / 1000;
  const kept = bound === undefined || value < bound.below;
  console.log(JSON.stringify({ name, value: rounded, unit, ...bound, ...(bound && { ok: kept }) }));
  if (!kept) over.push(`${name} is ${rounded} ${unit}, and must be below ${bound!.below}`);
}

/** What is over its bound. */
export function verdict(): readonly string[] {
  return over;
}
