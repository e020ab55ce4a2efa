// The options of `serve`, from the command line and from the environment.
import assert from "node:assert/strict";
import { readOptions } from "../../src/cli/serve_options.ts";
import { UsageError } from "../../src/cli/usage.ts";

const none = () => undefined;
const environment = (values: Record<string, string>) => (name: string) => values[name];

Deno.test("without options, the defaults", () => {
  assert.deepEqual(readOptions([], none), {
    listen: { hostname: "127.0.0.1", port: 8080 },
    contentListen: undefined,
    contentOrigin: undefined,
    grpcListen: { hostname: "127.0.0.1", port: 8000 },
    grpcTls: undefined,
    maxMessageBytes: 4 * 1024 * 1024,
    store: "./firn-store",
    packs: undefined,
    kvTimeoutMs: 30_000,
    near: undefined,
    storeTokenFile: undefined,
    secretKeys: [],
    signingKeys: [],
    priority: 40,
    wantMassQuery: true,
    strictReferences: false,
    writingOrigins: [],
    access: { private: false, trustedProxies: [] },
    watching: {
      log: "text",
      logNarInfos: true,
      metricsListen: undefined,
      stallMs: 300_000,
      limits: {
        requests: 8192,
        requestsPerClient: 1024,
        uploadBytes: 1024 ** 4,
        uploadBytesPerClient: 256 * 1024 ** 3,
      },
      connections: { most: 10_000, mostPerClient: 1000 },
    },
    sizes: "documented",
    hashWorkers: Math.min(navigator.hardwareConcurrency - 1, 4),
    compress: { level: 1 },
    narCompression: "none",
  });
});

/** An option, as arguments and as a variable, and what it sets. */
const OPTIONS: [args: string[], env: Record<string, string>, set: Record<string, unknown>][] = [
  [["--listen", "0.0.0.0:0"], { FIRN_LISTEN: "0.0.0.0:0" }, {
    listen: { hostname: "0.0.0.0", port: 0 },
    narCompression: "zstd",
  }],
  [["--listen=[::1]:65535"], { FIRN_LISTEN: "[::1]:65535" }, {
    listen: { hostname: "::1", port: 65535 },
  }],
  [["--listen", "cache.example:1"], { FIRN_LISTEN: "cache.example:1" }, {
    listen: { hostname: "cache.example", port: 1 },
    narCompression: "zstd",
  }],
  [["--hash-workers", "0"], { FIRN_HASH_WORKERS: "0" }, { hashWorkers: 0 }],
  [["--hash-workers=64"], { FIRN_HASH_WORKERS: "64" }, { hashWorkers: 64 }],
  [["--compress", "none"], { FIRN_COMPRESS: "none" }, { compress: undefined }],
  [["--compress", "zstd"], { FIRN_COMPRESS: "zstd" }, {}],
  [["--nar-compression", "zstd"], { FIRN_NAR_COMPRESSION: "zstd" }, { narCompression: "zstd" }],
  [["--nar-compression=none"], { FIRN_NAR_COMPRESSION: "none" }, {}],
  [["--compress=zstd:19"], { FIRN_COMPRESS: "zstd:19" }, { compress: { level: 19 } }],
  [["--content-listen", "127.0.0.1:8081"], { FIRN_CONTENT_LISTEN: "127.0.0.1:8081" }, {
    contentListen: { hostname: "127.0.0.1", port: 8081 },
  }],
  [
    ["--content-listen", "0.0.0.0:1", "--content-origin", "https://contents.example"],
    { FIRN_CONTENT_LISTEN: "0.0.0.0:1", FIRN_CONTENT_ORIGIN: "https://contents.example" },
    { contentListen: { hostname: "0.0.0.0", port: 1 }, contentOrigin: "https://contents.example" },
  ],
  [["--grpc-listen", "off"], { FIRN_GRPC_LISTEN: "off" }, { grpcListen: undefined }],
  [["--grpc-listen", "[::]:1"], { FIRN_GRPC_LISTEN: "[::]:1" }, { grpcListen: { hostname: "::", port: 1 } }],
  [["--grpc-listen=unix:/a b"], { FIRN_GRPC_LISTEN: "unix:///a b" }, { grpcListen: { path: "/a b" } }],
  [["--grpc-listen=unix:a"], { FIRN_GRPC_LISTEN: "unix:a" }, { grpcListen: { path: "a" } }],
  [
    ["--grpc-tls-cert=c", "--grpc-tls-key=k"],
    { FIRN_GRPC_TLS_CERT: "c", FIRN_GRPC_TLS_KEY: "k" },
    { grpcTls: { cert: "c", key: "k" } },
  ],
  [["--max-message", "1024"], { FIRN_MAX_MESSAGE: "1024" }, { maxMessageBytes: 1024 }],
  [["--store=grpc+http://a:1"], { FIRN_STORE: "grpc+http://a:1" }, {
    store: "grpc+http://a:1",
    near: "./firn-near",
  }],
  [["--store=grpc+unix:/a", "--near=memory:"], { FIRN_STORE: "grpc+unix:/a", FIRN_NEAR: "memory:" }, {
    store: "grpc+unix:/a",
    near: "memory:",
  }],
  [["--allow-origin=http://a", "--allow-origin", "*"], { FIRN_ALLOW_ORIGIN: "http://a *" }, {
    writingOrigins: ["http://a", "*"],
  }],
  [["--store", "memory:"], { FIRN_STORE: "memory:" }, { store: "memory:" }],
  [["--secret-key", "a"], { FIRN_SECRET_KEY: "a" }, { secretKeys: ["a"] }],
  [["--secret-key", "a", "--secret-key", "/b/c"], { FIRN_SECRET_KEY: "a:/b/c" }, {
    secretKeys: ["a", "/b/c"],
  }],
  [["--priority", "0"], { FIRN_PRIORITY: "0" }, { priority: 0 }],
  [["--priority=-5"], { FIRN_PRIORITY: "-5" }, { priority: -5 }],
  [["--no-mass-query"], { FIRN_NO_MASS_QUERY: "1" }, { wantMassQuery: false }],
  [["--references", "strict"], { FIRN_REFERENCES: "strict" }, { strictReferences: true }],
  [["--references", "warn"], { FIRN_REFERENCES: "warn" }, { strictReferences: false }],
  [["--directory-sizes", "snix"], { FIRN_DIRECTORY_SIZES: "snix" }, { sizes: "snix" }],
  [["--token-key", "k"], { FIRN_TOKEN_KEY_FILE: "k" }, {
    access: { tokenKeyFile: "k", private: false, trustedProxies: [] },
  }],
  [["--private", "--token-key=k"], { FIRN_PRIVATE: "1", FIRN_TOKEN_KEY_FILE: "k" }, {
    access: { tokenKeyFile: "k", private: true, trustedProxies: [] },
  }],
  [["--trust-proxy", "10.0.0.0/8", "--trust-proxy", "::1"], { FIRN_TRUST_PROXY: "10.0.0.0/8 ::1" }, {
    access: { private: false, trustedProxies: ["10.0.0.0/8", "::1"] },
  }],
];

Deno.test("each option does the same as its variable, and changes nothing else", () => {
  const defaults = readOptions([], none);
  for (const [args, env, set] of OPTIONS) {
    const expected = { ...defaults, ...set };
    assert.deepEqual(readOptions(args, none), expected, args.join(" "));
    assert.deepEqual(readOptions([], environment(env)), expected, JSON.stringify(env));
  }
});

Deno.test("an option outweighs its variable", () => {
  const env = environment({
    FIRN_LISTEN: "10.0.0.1:1",
    FIRN_GRPC_LISTEN: "off",
    FIRN_STORE: "elsewhere",
    FIRN_SECRET_KEY: "c",
    FIRN_PRIORITY: "1",
    FIRN_REFERENCES: "strict",
    FIRN_DIRECTORY_SIZES: "snix",
  });
  const args = [
    "--grpc-listen=127.0.0.1:9",
    "--listen=127.0.0.1:2",
    "--store=here",
    "--secret-key=a",
    "--priority=3",
    "--references=warn",
  ];
  const options = readOptions([...args, "--directory-sizes=documented"], env)!;
  assert.deepEqual(options, {
    listen: { hostname: "127.0.0.1", port: 2 },
    contentListen: undefined,
    contentOrigin: undefined,
    grpcListen: { hostname: "127.0.0.1", port: 9 },
    grpcTls: undefined,
    maxMessageBytes: 4 * 1024 * 1024,
    store: "here",
    near: undefined,
    storeTokenFile: undefined,
    packs: undefined,
    kvTimeoutMs: 30_000,
    secretKeys: ["a"],
    signingKeys: [],
    priority: 3,
    wantMassQuery: true,
    strictReferences: false,
    watching: readOptions([], none)!.watching,
    writingOrigins: [],
    access: { private: false, trustedProxies: [] },
    sizes: "documented",
    hashWorkers: Math.min(navigator.hardwareConcurrency - 1, 4),
    compress: { level: 1 },
    narCompression: "none",
  });
});

Deno.test("no is also an answer in FIRN_NO_MASS_QUERY", () => {
  for (const no of ["", "0", "false"]) {
    assert.equal(readOptions([], environment({ FIRN_NO_MASS_QUERY: no }))!.wantMassQuery, true);
  }
});

Deno.test("help is help, whatever else is asked for", () => {
  for (const args of [["--help"], ["-h"], ["--help", "--priority", "x"], ["--listen=nowhere", "-h"]]) {
    assert.equal(readOptions(args, none), undefined);
  }
});

Deno.test("values that cannot be are refused, and named, from both", () => {
  const cases: [args: string[], env: Record<string, string>, why: RegExp][] = [
    [["--listen", "8080"], { FIRN_LISTEN: "8080" }, /^Cannot listen on 8080: want HOST:PORT/],
    [
      ["--listen", "127.0.0.1:65536"],
      { FIRN_LISTEN: "127.0.0.1:65536" },
      /^Cannot listen on 127\.0\.0\.1:65536/,
    ],
    [["--listen", "127.0.0.1:-1"], { FIRN_LISTEN: "127.0.0.1:-1" }, /^Cannot listen on/],
    [["--listen", ":80"], { FIRN_LISTEN: ":80" }, /^Cannot listen on :80/],
    [["--listen", "::1:80"], { FIRN_LISTEN: "::1:80" }, /^Cannot listen on ::1:80/],
    [["--listen", ""], { FIRN_LISTEN: "" }, /^Cannot listen on/],
    [["--grpc-listen", "on"], { FIRN_GRPC_LISTEN: "on" }, /^Cannot listen on on: want .*unix:PATH or off/],
    [["--grpc-listen", "unix:"], { FIRN_GRPC_LISTEN: "unix:" }, /^Cannot listen on unix:: want unix:PATH/],
    [["--grpc-tls-cert=c"], { FIRN_GRPC_TLS_CERT: "c" }, /want both --grpc-tls-cert and --grpc-tls-key/],
    [["--grpc-tls-key=k"], { FIRN_GRPC_TLS_KEY: "k" }, /want both --grpc-tls-cert and --grpc-tls-key/],
    [["--max-message", "4M"], { FIRN_MAX_MESSAGE: "4M" }, /^Cannot use --max-message 4M: want a number/],
    [["--max-message", "1023"], { FIRN_MAX_MESSAGE: "1023" }, /^Cannot use --max-message 1023/],
    [["--max-message", "4294967296"], { FIRN_MAX_MESSAGE: "4294967296" }, /^Cannot use --max-message/],
    [["--near", "memory:"], { FIRN_NEAR: "memory:" }, /^Cannot use --near with the store \.\/firn-store/],
    [
      ["--allow-origin", "example.org"],
      { FIRN_ALLOW_ORIGIN: "example.org" },
      /^Cannot use --allow-origin example\.org: want \*, or an origin/,
    ],
    [["--allow-origin", "http://a/"], { FIRN_ALLOW_ORIGIN: "http://a/" }, /^Cannot use --allow-origin/],
    [
      ["--hash-workers", "65"],
      { FIRN_HASH_WORKERS: "65" },
      /^Cannot use --hash-workers 65: want a number, 0 to 64/,
    ],
    [
      ["--compress", "xz"],
      { FIRN_COMPRESS: "xz" },
      /^Cannot use --compress xz: want zstd, zstd:1 to zstd:19, or none/,
    ],
    [["--compress=zstd:0"], { FIRN_COMPRESS: "zstd:0" }, /^Cannot use --compress zstd:0/],
    [["--compress=zstd:20"], { FIRN_COMPRESS: "zstd:20" }, /^Cannot use --compress zstd:20/],
    [["--compress="], { FIRN_COMPRESS: "" }, /^Cannot use --compress /],
    [
      ["--nar-compression", "xz"],
      { FIRN_NAR_COMPRESSION: "xz" },
      /^Cannot use --nar-compression xz: want zstd or none/,
    ],
    [["--hash-workers=-1"], { FIRN_HASH_WORKERS: "-1" }, /^Cannot use --hash-workers -1/],
    [["--hash-workers", ""], { FIRN_HASH_WORKERS: "" }, /^Cannot use --hash-workers/],
    [["--priority", "high"], { FIRN_PRIORITY: "high" }, /^Cannot use --priority high: want a whole number/],
    [["--priority", "1.5"], { FIRN_PRIORITY: "1.5" }, /^Cannot use --priority 1\.5/],
    [["--priority", ""], { FIRN_PRIORITY: "" }, /^Cannot use --priority/],
    [["--references", "no"], { FIRN_REFERENCES: "no" }, /^Cannot use --references no: want warn or strict/],
    [
      ["--directory-sizes", "x"],
      { FIRN_DIRECTORY_SIZES: "x" },
      /^Cannot use --directory-sizes x: want documented/,
    ],
    [
      ["--unknown"],
      { FIRN_NO_MASS_QUERY: "perhaps" },
      /--unknown|^Cannot use FIRN_NO_MASS_QUERY=perhaps: want 1 or 0/,
    ],
    [["--store"], { FIRN_PRIORITY: "x" }, /--store|--priority/],
    [["word"], { FIRN_PRIORITY: "x" }, /word|--priority/],
  ];
  for (const [args, env, why] of cases) {
    for (const [given, variables] of [[args, {}], [[], env]] as [string[], Record<string, string>][]) {
      assert.throws(() => readOptions(given, environment(variables)), (error) => {
        assert.ok(error instanceof UsageError, `${error}`);
        assert.match(error.message, why);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      }, `${given.join(" ")} ${JSON.stringify(variables)}`);
    }
  }
});

Deno.test("keys and rules may stand in variables themselves, and one flag weighs more", () => {
  const access = (args: string[], env: Record<string, string>) => readOptions(args, environment(env))!.access;
  const none = { private: false, trustedProxies: [] };
  assert.deepEqual(access([], { FIRN_TOKEN_KEY: "{}", FIRN_OIDC: "[]" }), {
    ...none,
    tokenKey: "{}",
    oidc: "[]",
  });
  assert.deepEqual(access(["--token-key=k", "--oidc=o"], { FIRN_TOKEN_KEY: "{}", FIRN_OIDC: "[]" }), {
    ...none,
    tokenKeyFile: "k",
    oidcFile: "o",
  });
  assert.deepEqual(
    access([], { FIRN_TOKEN_KEY: "", FIRN_OIDC: "", FIRN_PRIVATE: "0", FIRN_TRUST_PROXY: " " }),
    none,
  );
  assert.throws(() => access([], { FIRN_PRIVATE: "yes" }), /Cannot use FIRN_PRIVATE=yes: want 1 or 0/);
  assert.throws(() => access([], { FIRN_PRIVATE: "1" }), /nobody could read/);
});

Deno.test("narinfos offer NARs in zstd where others may ask, and frames are stored", () => {
  const of = (...args: string[]) => readOptions(args, environment({}))!.narCompression;
  for (const host of ["0.0.0.0", "[::]", "192.0.2.7", "store.example"]) {
    assert.equal(of("--listen", `${host}:80`), "zstd", host);
    assert.equal(of("--listen", `${host}:80`, "--nar-compression", "none"), "none", host);
    assert.equal(of("--listen", `${host}:80`, "--compress", "none"), "none", host);
  }
  for (const host of ["127.0.0.1", "[::1]", "localhost"]) {
    assert.equal(of("--listen", `${host}:80`), "none", host);
    assert.equal(of("--listen", `${host}:80`, "--nar-compression", "zstd"), "zstd", host);
  }
});
