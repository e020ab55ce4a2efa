// Options for a server's operator, from the command line and from the environment; and which firn it says it is.
import assert from "node:assert/strict";
import { readOptions } from "../../src/cli/serve_options.ts";
import { UsageError } from "../../src/cli/usage.ts";
import { VERSION } from "../../src/cli/version.ts";
import config from "../../deno.json" with { type: "json" };

const none = () => undefined;
const watching = (args: string[], env: Record<string, string> = {}) => {
  return readOptions(args, (name) => env[name])!.watching;
};

Deno.test("options of an operator, as arguments and as variables", () => {
  const rows: [
    flag: string,
    text: string,
    variable: string,
    read: (of: ReturnType<typeof watching>) => unknown,
    value: unknown,
  ][] = [
    ["--log", "json", "FIRN_LOG", ({ log }) => log, "json"],
    ["--log", "off", "FIRN_LOG", ({ log }) => log, "off"],
    ["--metrics-listen", "[::1]:1", "FIRN_METRICS_LISTEN", ({ metricsListen }) => metricsListen, "[::1]:1"],
    ["--stall", "20", "FIRN_STALL", ({ stallMs }) => stallMs, 20_000],
    ["--limit-requests", "7", "FIRN_LIMIT_REQUESTS", ({ limits }) => limits.requests, 7],
    [
      "--limit-client-requests",
      "7",
      "FIRN_LIMIT_CLIENT_REQUESTS",
      ({ limits }) => limits.requestsPerClient,
      7,
    ],
    ["--limit-uploads", "3G", "FIRN_LIMIT_UPLOADS", ({ limits }) => limits.uploadBytes, 3 * 1024 ** 3],
    [
      "--limit-client-uploads",
      "100",
      "FIRN_LIMIT_CLIENT_UPLOADS",
      ({ limits }) => limits.uploadBytesPerClient,
      100,
    ],
    ["--limit-connections", "7", "FIRN_LIMIT_CONNECTIONS", ({ connections }) => connections.most, 7],
    [
      "--limit-client-connections",
      "7",
      "FIRN_LIMIT_CLIENT_CONNECTIONS",
      ({ connections }) => connections.mostPerClient,
      7,
    ],
  ];
  for (const [flag, text, variable, read, value] of rows) {
    assert.equal(read(watching([flag, text])), value, flag);
    assert.equal(read(watching([], { [variable]: text })), value, variable);
    assert.notEqual(read(watching([])), value, `${flag} is no default`);
  }
  assert.equal(watching(["--no-log-narinfos"]).logNarInfos, false);
  assert.equal(watching([], { FIRN_NO_LOG_NARINFOS: "1" }).logNarInfos, false);
});

Deno.test("options of an operator that cannot be used are said so", () => {
  for (
    const args of [
      ["--log", "xml"],
      ["--stall", "0"],
      ["--stall", "1.5"],
      ["--limit-requests", "-1"],
      ["--limit-requests", "many"],
      ["--limit-uploads", "1X"],
      ["--limit-uploads", "9999T9"],
      ["--limit-client-uploads", ""],
      ["--metrics-listen", "nowhere"],
    ]
  ) {
    const misused = () => readOptions([args.join("=")], none);
    assert.throws(
      misused,
      (error) => error instanceof UsageError && error.message.includes(args[0]),
      args.join(" "),
    );
  }
});

Deno.test("the version is that of the package", () => assert.equal(VERSION, config.version));
