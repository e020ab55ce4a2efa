// Figures, as a real parser reads them.
import assert from "node:assert/strict";
import type { Asking } from "../../../src/server/door.ts";
import { Metrics } from "../../../src/server/watch/metrics.ts";
import { RequestFigures } from "../../../src/server/watch/request_figures.ts";
import { routeKind } from "../../../src/server/watch/route_kinds.ts";
import { testNeeding } from "../../needs.ts";
import { parseMetrics, prometheus, sumOf } from "./_prometheus.ts";

const test = testNeeding(prometheus);

test("metrics: what was counted is what a parser reads, whatever stands in labels", async () => {
  const metrics = new Metrics();
  const odd = 'a "b" \\ c\nd\\n {}=, é \u{1f9ca}';
  metrics.counter("plain_total", "A line\nand \\ another.").add(2.5);
  const labelled = metrics.counters("labelled_total", "Labels.", ["one", "two"]);
  labelled.of(odd, "x").add();
  labelled.of(odd, "x").add(3);
  labelled.of("x", odd).add(7);
  metrics.read("gauge", "big", "A gauge.", () => 2 ** 53);
  metrics.read("gauge", "small", "A gauge.", () => 1e-9);
  metrics.read("gauge", "absent", "Not there.", () => undefined);
  metrics.read("gauge", "endless", "A gauge.", () => Infinity);
  metrics.info("info", "Facts.", { version: odd });
  const samples = await parseMetrics(metrics.text());
  assert.equal(sumOf(samples, "firn_plain_total"), 2.5);
  assert.equal(sumOf(samples, "firn_labelled_total", { one: odd, two: "x" }), 4);
  assert.equal(sumOf(samples, "firn_labelled_total", { one: "x", two: odd }), 7);
  assert.equal(sumOf(samples, "firn_big"), 2 ** 53);
  assert.equal(sumOf(samples, "firn_small"), 1e-9);
  assert.equal(sumOf(samples, "firn_absent"), undefined);
  assert.equal(sumOf(samples, "firn_endless"), Infinity);
  assert.equal(sumOf(samples, "firn_info", { version: odd }), 1);
});

test("metrics: a histogram is cumulative, with a sum and a count", async () => {
  const metrics = new Metrics();
  const histogram = metrics.histograms("seconds", "Times.", ["of"], [0.1, 1]).of("it");
  for (const value of [0.05, 0.1, 0.2, 1, 1.5, 30]) histogram.observe(value);
  const samples = await parseMetrics(metrics.text());
  const bucket = (le: string) => sumOf(samples, "firn_seconds_bucket", { of: "it", le });
  assert.deepEqual([bucket("0.1"), bucket("1"), bucket("+Inf")], [2, 4, 6]);
  assert.equal(sumOf(samples, "firn_seconds_count"), 6);
  assert.ok(Math.abs(sumOf(samples, "firn_seconds_sum")! - 32.85) < 1e-9);
  assert.ok(samples.every(({ type }) => type === "histogram"));
});

test("metrics: there are so many series and no more, whatever clients say", async () => {
  const metrics = new Metrics();
  const series = metrics.counters("many_total", "Many.", ["name"]);
  for (let i = 0; i < 5000; i++) series.of(`name ${i}`).add();
  const samples = await parseMetrics(metrics.text());
  assert.ok(samples.length <= 1001, `${samples.length} series`);
  assert.equal(sumOf(samples, "firn_many_total"), 5000);
  assert.equal(sumOf(samples, "firn_many_total", { name: "other" }), 4000);
});

Deno.test("metrics: requests of endless methods, statuses and paths make few series", () => {
  const metrics = new Metrics();
  const figures = new RequestFigures(metrics);
  const ending = { ms: 1, received: 0, sent: 0, left: false };
  for (let i = 0; i < 3000; i++) {
    const asking = { protocol: "http", method: `M${i}`, path: `/p${i}` } as Asking;
    figures.ended(routeKind(`/x.y.Z${i}/M${i}`), asking, { ...ending, status: 405 });
    figures.ended(routeKind(`/tvix.store.v1.Made/Up${i}`), asking, { ...ending, status: 404 });
    figures.ended(routeKind(`/${i}/made/up`), asking, { ...ending, status: 404 });
    figures.failed(Object.assign(new Error(), { name: `Error${i}` }));
  }
  const series = metrics.text().split("\n").filter((line) => /^firn_(requests|errors)_total/.test(line));
  assert.deepEqual(series.sort(), [
    'firn_errors_total{kind="other"} 3000',
    'firn_requests_total{route="other",protocol="http",method="other",status="404"} 3000',
    'firn_requests_total{route="unknown-call",protocol="http",method="other",status="404"} 3000',
    'firn_requests_total{route="unknown-call",protocol="http",method="other",status="405"} 3000',
  ]);
});

const KINDS: [path: string, kind: string][] = [
  ["/kj6p4lc0wfay23imjkdi5jbhak0jsf15.narinfo", "narinfo"],
  ["/nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz", "nar"],
  ["/nar/snix-castore/CgA?narsize=1", "nar"],
  ["/kj6p4lc0wfay23imjkdi5jbhak0jsf15.ls", "listing"],
  ["/nix-cache-info", "cache-info"],
  ["/blob/missing", "blob"],
  ["/directory/read", "directory"],
  ["/path-info/kj6p4lc0wfay23imjkdi5jbhak0jsf15", "path-info"],
  ["/nix/store/x/y", "site"],
  ["/log/x.drv", "log"],
  ["/realisations/x.doi", "realisations"],
  ["/metrics", "metrics"],
  ["/", "other"],
  ["/snix.castore.v1.BlobService/Put", "BlobService.Put"],
  ["/tvix.store.v1.PathInfoService/CalculateNAR", "PathInfoService.CalculateNAR"],
  ["/grpc.health.v1.Health/Check", "Health.Check"],
  ["/tvix.store.v1.PathInfoService/constructor", "other"],
  ["/tvix.store.v1.PathInfoService/Steal", "unknown-call"],
];

Deno.test("metrics: a path is of one of few kinds", () => {
  assert.deepEqual(KINDS.map(([path]) => [path, routeKind(path)]), KINDS);
});
