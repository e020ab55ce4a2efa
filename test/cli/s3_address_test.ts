/** Addresses of buckets, and where credentials are found. */
import assert from "node:assert/strict";
import { isS3Address, openS3At, parseS3Address } from "../../src/cli/s3_address.ts";
import { credentialsFor, parseSections, type S3Settings, settingsFor } from "../../src/cli/s3_credentials.ts";
import { UsageError } from "../../src/cli/usage.ts";

/** An environment and files of the test's own; what is not among them is not there. */
function settings(env: Record<string, string>, files: Record<string, string> = {}): S3Settings {
  return { env: (name) => env[name], read: (path) => Promise.resolve(files[path]) };
}

Deno.test("s3 address: a bucket, a prefix and where they are", () => {
  const none = { endpoint: undefined, region: undefined, profile: undefined, pathStyle: undefined };
  assert.deepEqual(parseS3Address("s3://packs"), { bucket: "packs", prefix: "", ...none });
  assert.deepEqual(parseS3Address("s3://packs/"), { bucket: "packs", prefix: "", ...none });
  assert.deepEqual(parseS3Address("s3://packs/a/b%2Bc/"), { bucket: "packs", prefix: "a/b+c", ...none });
  const full = "s3://packs/a?endpoint=http://127.0.0.1:7480&region=default&profile=me&path-style=false";
  assert.deepEqual(parseS3Address(full), {
    ...{ bucket: "packs", prefix: "a", endpoint: "http://127.0.0.1:7480" },
    ...{ region: "default", profile: "me", pathStyle: false },
  });
  assert.ok(isS3Address("s3://x") && !isS3Address("./s3") && !isS3Address("kv:s3"));
});

Deno.test("s3 address: what is none is refused, and a secret in it is not repeated", () => {
  const refused: Record<string, RegExp> = {
    "s3:": /want s3:\/\/BUCKET/,
    "s3:///prefix": /want s3:\/\/BUCKET/,
    "s3://b#c": /want s3:\/\/BUCKET/,
    "s3://b?regoin=x": /regoin is none of endpoint, region/,
    "s3://b?region=": /one value for region/,
    "s3://b?region=a&region=b": /one value for region/,
    "s3://b?path-style=yes": /path-style is true or false/,
    "s3://b/%zz": /a % that is no %XX/,
  };
  for (const [address, why] of Object.entries(refused)) {
    assert.throws(
      () => parseS3Address(address),
      (error) => error instanceof UsageError && why.test(error.message),
    );
  }
  assert.throws(
    () => parseS3Address("s3://AKIA:hush@b"),
    (error) => error instanceof UsageError && !error.message.includes("hush"),
  );
});

Deno.test("s3 settings: the address goes before the environment, and that before the files", async () => {
  const config = { "/h/.aws/config": "[default]\nregion = file\nendpoint_url = http://file\n" };
  const env = { HOME: "/h", AWS_REGION: "one", AWS_DEFAULT_REGION: "two", AWS_ENDPOINT_URL: "http://all" };
  assert.deepEqual(await settingsFor(settings({ HOME: "/h" }, config), {}), {
    endpoint: "http://file",
    region: "file",
  });
  assert.deepEqual(await settingsFor(settings(env, config), {}), { endpoint: "http://all", region: "one" });
  const special = { ...env, AWS_REGION: "", AWS_ENDPOINT_URL_S3: "http://s3" };
  assert.deepEqual(await settingsFor(settings(special, config), {}), {
    endpoint: "http://s3",
    region: "two",
  });
  const given = { endpoint: "http://given", region: "given" };
  assert.deepEqual(await settingsFor(settings(env, config), given), given);
});

Deno.test("s3 settings: credentials of the environment", async () => {
  const env = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "hush" };
  const found = { accessKeyId: "id", secretAccessKey: "hush", sessionToken: undefined };
  assert.deepEqual(await credentialsFor(settings(env), undefined), found);
  const lent = await credentialsFor(settings({ ...env, AWS_SESSION_TOKEN: "t" }), undefined);
  assert.deepEqual(lent, { ...found, sessionToken: "t" });
});

Deno.test("s3 settings: credentials of a file are read again each time", async () => {
  const files: Record<string, string> = {
    "/h/.aws/credentials": "[default]\naws_access_key_id=a\naws_secret_access_key = b # of mine\n\n" +
      "[ci]\nAWS_ACCESS_KEY_ID = c\naws_secret_access_key = d=\naws_session_token = e\n",
    "/h/.aws/config": "[profile deploy]\ns3 =\n  endpoint_url = http://nested\naws_access_key_id = f\n" +
      "aws_secret_access_key = g\nregion = eu\n",
    "/elsewhere": "[default]\naws_access_key_id = h\naws_secret_access_key = i\n",
  };
  const read = async (env: Record<string, string>, profile?: string) => {
    const found = await credentialsFor(settings({ HOME: "/h", ...env }, files), profile);
    assert.ok(typeof found === "function");
    const { accessKeyId, secretAccessKey, sessionToken } = await found();
    return [accessKeyId, secretAccessKey, sessionToken];
  };
  assert.deepEqual(await read({}), ["a", "b", undefined]);
  assert.deepEqual(await read({ AWS_PROFILE: "ci" }), ["c", "d=", "e"]);
  assert.deepEqual(await read({ AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "y" }, "deploy"), [
    "f",
    "g",
    undefined,
  ]);
  assert.deepEqual(await read({ AWS_SHARED_CREDENTIALS_FILE: "/elsewhere" }), ["h", "i", undefined]);
  const again = await credentialsFor(settings({ HOME: "/h" }, files), undefined);
  files["/h/.aws/credentials"] = "[default]\naws_access_key_id=new\naws_secret_access_key=b\n";
  assert.equal((await (again as () => Promise<{ accessKeyId: string }>)()).accessKeyId, "new");
  assert.equal(parseSections("[ profile  a ]\nx=1\n").get("profile a")?.get("x"), "1");
});

Deno.test("s3 settings: what is missing is named", async () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{}, /AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set/],
    [{ HOME: "/h", AWS_PROFILE: "ci" }, /\/h\/.aws\/credentials has no profile ci/],
    [{ AWS_ACCESS_KEY_ID: "a" }, /AWS_SECRET_ACCESS_KEY is not/],
    [{ AWS_SECRET_ACCESS_KEY: "hush" }, /AWS_ACCESS_KEY_ID is not/],
    [{ AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "hush" }, /region of the bucket is not known/],
  ];
  for (const [env, why] of cases) {
    await assert.rejects(openS3At("s3://packs/p", settings(env)), (error) => {
      return error instanceof UsageError && why.test(error.message) && !error.message.includes("hush");
    });
  }
  const half = settings({ HOME: "/h" }, { "/h/.aws/credentials": "[default]\naws_access_key_id=a\n" });
  await assert.rejects(openS3At("s3://packs/p", half), /credentials has no aws_secret_access_key/);
  const env = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b", AWS_REGION: "eu-central-1" };
  await assert.rejects(openS3At("s3://packs/a/../c", settings(env)), UsageError);
  await assert.rejects(openS3At("s3://packs?endpoint=ftp://x", settings(env)), UsageError);
  await (await openS3At("s3://packs/p", settings(env)))[Symbol.asyncDispose]();
});
