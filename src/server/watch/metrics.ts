/**
 * Figures for Prometheus, in its text format 0.0.4: counters, gauges and histograms, each with few and known labels.
 *
 * An own writer, for what the usual library adds asks for Node (`process`, clusters, `perf_hooks`), and this is to run at
 * the edge, too: the format is a page long, and a scrape is all there is to it. Real parsers read what this writes in the tests.
 */

/** Series of one metric, at most: what comes after is counted under the label value `other`. */
const MOST_SERIES = 1000;

/** A figure that only grows. */
export class Counter {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

/** How values are spread over bounds, which are given in rising order. */
export class Histogram {
  /** How many fell into each bound, and after the last. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(readonly bounds: readonly number[]) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.bounds.length && value > this.bounds[at]) at++;
    this.counts[at]++;
    this.sum += value;
  }
}

/** One metric with labels: a series for each combination of their values. */
export class Series<T> {
  #series = new Map<string, { readonly values: readonly string[]; readonly one: T }>();

  constructor(readonly labels: readonly string[], readonly create: () => T) {}

  /** The series of these values, in the order of the labels. */
  of(...values: string[]): T {
    const known = this.#series.get(values.join("\0"));
    if (known) return known.one;
    const kept = this.#series.size < MOST_SERIES ? values : values.map(() => "other");
    const key = kept.join("\0");
    let entry = this.#series.get(key);
    if (!entry) this.#series.set(key, entry = { values: kept, one: this.create() });
    return entry.one;
  }

  *entries(): Generator<[text: string, one: T]> {
    for (const { values, one } of this.#series.values()) {
      yield [this.labels.map((label, i) => `${label}="${escapeValue(values[i])}"`).join(","), one];
    }
  }
}

type Write = (lines: string[], name: string) => void;

/** The metrics of a server. Names are given without their prefix `firn_`, which all have but those that every program has, `process_…`. */
export class Metrics {
  #metrics: { name: string; type: string; help: string; write: Write }[] = [];

  /** A counter without labels; its name ends in `_total`. */
  counter(name: string, help: string): Counter {
    const counter = new Counter();
    this.#add(name, "counter", help, (lines, name) => lines.push(`${name} ${counter.value}`));
    return counter;
  }

  counters(name: string, help: string, labels: readonly string[]): Series<Counter> {
    const series = new Series(labels, () => new Counter());
    this.#add(name, "counter", help, (lines, name) => {
      for (const [text, { value }] of series.entries()) lines.push(`${name}{${text}} ${value}`);
    });
    return series;
  }

  histograms(
    name: string,
    help: string,
    labels: readonly string[],
    bounds: readonly number[],
  ): Series<Histogram> {
    const series = new Series(labels, () => new Histogram(bounds));
    this.#add(name, "histogram", help, (lines, name) => {
      for (const [text, histogram] of series.entries()) writeHistogram(lines, name, text, histogram);
    });
    return series;
  }

  /** A figure that is asked for when it is told; `undefined` leaves it out. */
  read(type: "counter" | "gauge", name: string, help: string, read: () => number | undefined): void {
    this.#add(name, type, help, (lines, name) => {
      const value = read();
      if (value !== undefined) lines.push(`${name} ${formatNumber(value)}`);
    });
  }

  /** A figure that is always 1, for what its labels say. */
  info(name: string, help: string, labels: Readonly<Record<string, string>>): void {
    const text = Object.entries(labels).map(([label, value]) => `${label}="${escapeValue(value)}"`).join(",");
    this.#add(name, "gauge", help, (lines, name) => lines.push(`${name}{${text}} 1`));
  }

  /** All there is, as a scrape is answered. */
  text(): string {
    const lines: string[] = [];
    for (const { name, type, help, write } of this.#metrics) {
      lines.push(`# HELP ${name} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}`);
      lines.push(`# TYPE ${name} ${type}`);
      write(lines, name);
    }
    return lines.join("\n") + "\n";
  }

  #add(name: string, type: string, help: string, write: Write): void {
    const full = name.startsWith("process_") ? name : `firn_${name}`;
    this.#metrics.push({ name: full, type, help, write });
  }
}

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

function writeHistogram(
  lines: string[],
  name: string,
  text: string,
  { bounds, counts, sum }: Histogram,
): void {
  let count = 0;
  for (let i = 0; i < counts.length; i++) {
    count += counts[i];
    lines.push(`${name}_bucket{${text},le="${i < bounds.length ? bounds[i] : "+Inf"}"} ${count}`);
  }
  lines.push(`${name}_sum{${text}} ${formatNumber(sum)}`, `${name}_count{${text}} ${count}`);
}

function formatNumber(value: number): string {
  return value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value);
}

function escapeValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
