/**
 * Rows of a benchmark: one line of JSON each on stdout as soon as it is known, and all of them as a table at the end.
 *
 *   {"name":"upload/small/default","value":103,"unit":"MB/s","peer":"nix copy --to file:// 46.1","ratio":2.2}
 *
 * `ratio` is ours over the peer's as a speed: more than 1 is faster; of sizes, in MB, it is ours over the peer's: less than 1 is
 * smaller. Both took turns, and it is the median of the
 * rounds' ratios, so it need not be the quotient of the two medians shown. A row without a peer has `null` for both.
 */
import { median } from "./measure.ts";

/** A peer's figures: one for each of ours, of the same round. */
export interface Peer {
  readonly name: string;
  readonly values: readonly number[];
}

interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly peer: string | null;
  readonly ratio: number | null;
}

export class Report {
  #rows: Row[] = [];
  #only: string | undefined;

  /** @param only when given, rows without it in their names are left out */
  constructor(only?: string) {
    this.#only = only;
  }

  /** Whether one of these rows is asked for. */
  wants(...names: string[]): boolean {
    return this.#only === undefined || names.some((name) => name.includes(this.#only!));
  }

  /** Add a row, if it is asked for. @param values one for each round, at least one; in `s`, `requests`, `MiB` and `MB`, less is better */
  add(
    name: string,
    unit: "MB/s" | "s" | "requests/s" | "requests" | "MiB" | "MB",
    values: readonly number[],
    peer?: Peer,
  ): void {
    if (!this.wants(name)) return;
    const ratios = peer?.values.map((other, round) =>
      unit === "s" ? other / values[round] : values[round] / other
    );
    const row = {
      name,
      value: short(median(values)),
      unit,
      peer: peer ? `${peer.name} ${short(median(peer.values))}` : null,
      ratio: ratios ? Number(median(ratios).toFixed(2)) : null,
    };
    this.#rows.push(row);
    console.log(JSON.stringify(row));
  }

  /** All rows, for a person. */
  table(): string {
    const cells = this.#rows.map(({ name, value, unit, peer, ratio }) => [
      name,
      `${value} ${unit}`,
      peer ?? "",
      ratio === null ? "" : `${ratio.toFixed(2)}×`,
    ]);
    const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...cells.map((row) => row[column].length)));
    return cells.map(([name, value, peer, ratio]) =>
      [name.padEnd(widths[0]), value.padStart(widths[1]), ratio.padStart(widths[3]), peer].join("  ")
        .trimEnd()
    ).join("\n");
  }
}

/** Three digits, or all before the point. */
function short(value: number): number {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}
