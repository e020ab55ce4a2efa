// Figures as Prometheus' own Python client reads them: what it cannot parse fails.
import { type Need, permissions } from "../../needs.ts";

const PYTHON = "/usr/bin/python3";
const SCRIPT = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
samples = []
for family in parse(sys.stdin.read()):
    assert family.documentation, family.name
    for sample in family.samples:
        samples.append([family.type, sample.name, sample.labels, repr(sample.value)])
json.dump(samples, sys.stdout)
`;

export interface Sample {
  readonly type: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export const prometheus: Need = () => {
  const missing = permissions();
  if (missing) return missing;
  try {
    const { success } = new Deno.Command(PYTHON, { args: ["-c", "import prometheus_client.parser"] })
      .outputSync();
    if (success) return undefined;
  } catch { /* said below */ }
  return "needs the Debian package python3-prometheus-client";
};

/** The samples of a text. */
export async function parseMetrics(text: string): Promise<Sample[]> {
  const child = new Deno.Command(PYTHON, { args: ["-c", SCRIPT], stdin: "piped", stdout: "piped" }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error(`Cannot parse these figures:\n${text}`);
  const samples = JSON.parse(new TextDecoder().decode(stdout)) as [
    string,
    string,
    Record<string, string>,
    string,
  ][];
  return samples.map(([type, name, labels, value]) => ({
    type,
    name,
    labels,
    value: value === "inf" ? Infinity : Number(value),
  }));
}

/** The sum of the samples of this name that have these labels; `undefined` when there are none. */
export function sumOf(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = samples.filter((sample) =>
    sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value)
  );
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
}
