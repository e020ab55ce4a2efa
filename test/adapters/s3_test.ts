/** S3 without a service: names of objects, XML, and answers that a sound service does not give. On a real one: test/e2e/s3_test.ts. */
import assert from "node:assert/strict";
import { bucketUrl } from "../../src/adapters/s3/bucket_url.ts";
import { openS3, type S3Options, type S3RequestReport } from "../../src/adapters/s3/open_s3.ts";
import { checkPrefix, keyOfObject, objectOfKey } from "../../src/adapters/s3/s3_key.ts";
import { parseXml, textOf } from "../../src/adapters/s3/xml.ts";
import { FormatError, LimitError, RemoteError, StoreFullError } from "../../src/errors.ts";
import { ODD_KEYS, read, text } from "../contract/_byte_store_samples.ts";
import { permissions, testNeeding } from "../needs.ts";
import { type Answer, answer, type Asked, startAnswering } from "./_answering.ts";

const test = testNeeding(permissions);

Deno.test("s3: objects have these names", () => {
  const names: Record<string, string> = {
    "pack/3fab": "p/pack/3fab",
    "a.b": "p/a.b",
    ".": "p/.!",
    "..": "p/.!.",
    "../x": "p/.!./x",
    "a/./b": "p/a/.!/b",
    ".!x": "p/.!!x",
    "//": "p///",
  };
  for (const [key, name] of Object.entries(names)) assert.equal(objectOfKey("p", key), name);
  assert.equal(objectOfKey("", "a/b"), "a/b");
});

Deno.test("s3: names give back their keys, keep their order, and are no URL's dot segments", () => {
  for (const prefix of ["", "p", "a/b"]) {
    const names = ODD_KEYS.map((key) => objectOfKey(prefix, key));
    names.forEach((name, i) => {
      assert.equal(keyOfObject(prefix, name), ODD_KEYS[i]);
      assert.ok(name.length <= 1024);
      assert.ok(!name.split("/").some((segment) => segment === "." || segment === ".."), name);
    });
    assert.deepEqual([...ODD_KEYS].sort().map((key) => objectOfKey(prefix, key)), [...names].sort());
  }
  for (const name of ["q/a", "p", "p/.", "p/.a", "p/a/.b"]) {
    assert.equal(keyOfObject("p", name), undefined, name);
  }
  for (const prefix of ["/a", "a/", "a//b", "a/../b", ".", "a b", "é", "p".repeat(256)]) {
    assert.throws(() => checkPrefix(prefix), TypeError, prefix);
  }
});

Deno.test("s3: a bucket is a part of the host, or of the path", () => {
  const urls: [Parameters<typeof bucketUrl>[0], string][] = [
    [{ bucket: "packs", region: "eu-central-1" }, "https://packs.s3.eu-central-1.amazonaws.com"],
    [{ bucket: "packs", region: "cn-north-1" }, "https://packs.s3.cn-north-1.amazonaws.com.cn"],
    [{ bucket: "my.packs", region: "eu-west-1" }, "https://s3.eu-west-1.amazonaws.com/my.packs"],
    [{ bucket: "packs", region: "x", endpoint: "http://127.0.0.1:7480/" }, "http://127.0.0.1:7480/packs"],
    [{ bucket: "packs", region: "x", endpoint: "https://h/s3/" }, "https://h/s3/packs"],
    [{ bucket: "packs", region: "x", endpoint: "https://h", pathStyle: false }, "https://packs.h"],
  ];
  for (const [place, url] of urls) assert.equal(bucketUrl(place), url);
  for (const bucket of ["", "a", "a/b", "../b", "a..b", "ä"]) {
    assert.throws(() => bucketUrl({ bucket, region: "x" }), TypeError, bucket);
  }
  for (const endpoint of ["x", "ftp://h", "http://h?a", "http://id:hush@h"]) {
    assert.throws(() => bucketUrl({ bucket: "packs", region: "x", endpoint }), (error) => {
      return error instanceof TypeError && !error.message.includes("hush");
    });
  }
});

Deno.test("s3: XML is read strictly", () => {
  const root = parseXml(
    '<?xml version="1.0" encoding="UTF-8"?>\n<a xmlns="http://x/" b=\'1\'>\n <k>&lt;&#65;&#x42;&amp;</k><e/><n:f>g</n:f></a>\n',
  );
  assert.equal(root.name, "a");
  assert.deepEqual(root.children.map(({ name, text }) => [name, text]), [["k", "<AB&"], ["e", ""], [
    "f",
    "g",
  ]]);
  assert.equal(textOf(root, "f"), "g");
  const broken = [
    ...[
      "",
      "a",
      "<a>",
      "<a></b>",
      "</a>",
      "<a/><b/>",
      "<a/>x",
      "<a><b></a></b>",
      "<a",
      "<a b></a>",
      "<a>&x;</a>",
    ],
    ...["<a>&amp</a>", "<a>&#1114112;</a>", "<!DOCTYPE a><a/>", "<a><!-- x --></a>", "<a><![CDATA[x]]></a>"],
    "<a>".repeat(20) + "</a>".repeat(20),
  ];
  for (const document of broken) assert.throws(() => parseXml(document), FormatError, document);
});

/** A store on a server that answers as is said, and what was asked and reported. */
async function withAnswers(
  answers: (number: number, asked: Asked) => Answer,
  use: (
    store: ReturnType<typeof openS3>,
    asked: readonly Asked[],
    reports: S3RequestReport[],
  ) => Promise<void>,
  options: Partial<S3Options> = {},
): Promise<void> {
  await using server = startAnswering(answers);
  const reports: S3RequestReport[] = [];
  const credentials = { accessKeyId: "id", secretAccessKey: "hush" };
  const place = { endpoint: server.url, bucket: "packs", region: "x", prefix: "p" };
  const onRequest = (report: S3RequestReport) => void reports.push(report);
  await using store = openS3({ fetch, credentials, ...place, onRequest, attempts: 3, ...options });
  await use(store, server.asked, reports);
}

const error = (code: string, more = "") =>
  `<Error><Code>${code}</Code><Message>said</Message>${more}</Error>`;

test("s3: requests are signed, and say what they are", async () => {
  await withAnswers(() => answer(200), async (store, asked) => {
    await store.put("a/+ ~".replace(" ", ""), text("value"));
    const [{ method, target, headers, body }] = asked;
    assert.deepEqual([method, target, read(body as never)], ["PUT", "/packs/p/a/%2B~", "value"]);
    assert.match(
      headers.get("authorization")!,
      /^AWS4-HMAC-SHA256 Credential=id\/\d{8}\/x\/s3\/aws4_request, /,
    );
    const digest = await crypto.subtle.digest("SHA-256", text("value"));
    assert.equal(headers.get("x-amz-content-sha256"), new Uint8Array(digest).toHex());
    assert.equal(headers.get("accept-encoding"), "identity");
  });
});

test("s3: an answer that is cut is asked for again, and one that never comes is given up", async () => {
  const cut = answer(200, "valu", { "Content-Length": "5" });
  await withAnswers((n) => n < 2 ? cut : answer(200, "value"), async (store, _, reports) => {
    assert.equal(read(await store.get("k")), "value");
    assert.deepEqual(reports.map(({ status, attempt }) => [status, attempt]), [
      [undefined, 1],
      [undefined, 2],
      [200, 3],
    ]);
  });
  await withAnswers(() => cut, async (store, asked) => {
    await assert.rejects(store.get("k"), RemoteError);
    assert.equal(asked.length, 3);
  });
  await withAnswers((n) => n === 0 ? "nothing" : answer(200, "late"), async (store) => {
    assert.equal(read(await store.get("k")), "late");
  }, { timeout: 100 });
  await withAnswers(() => "nothing", async (store) => {
    await assert.rejects(store.put("k", text("x")), /Cannot store k of s3:\/\/packs\/p: nothing came for/);
  }, { timeout: 50 });
});

test("s3: nobody there is told as such", async () => {
  const endpoint = await (async () => {
    await using server = startAnswering(() => answer(200));
    return server.url;
  })();
  await withAnswers(() => answer(200), async (store) => {
    await assert.rejects(store.get("k"), (error) => {
      return error instanceof RemoteError && /cannot be reached.*is the endpoint right/.test(error.message);
    });
  }, { endpoint, attempts: 2 });
});

test("s3: what is busy is asked again, also when it says so in a code; what is refused is not", async () => {
  const busy = [answer(503), answer(429), answer(400, error("RequestTimeout"))];
  await withAnswers((n) => busy[n] ?? answer(200), async (store, asked) => {
    await store.put("k", text("x"));
    assert.equal(asked.length, 4);
  }, { attempts: 4 });
  const refusals: [Answer, new (...args: never[]) => Error, RegExp][] = [
    [
      answer(403, error("AccessDenied")),
      RemoteError,
      /these credentials may not do that in the bucket packs/,
    ],
    [answer(403, error("QuotaExceeded")), StoreFullError, /no room or the quota/],
    [answer(507, error("XMinioStorageFull")), StoreFullError, /no room or the quota/],
    [
      answer(301, error("PermanentRedirect"), { "x-amz-bucket-region": "eu-west-3" }),
      RemoteError,
      /region eu-west-3/,
    ],
    [
      answer(400, error("AuthorizationHeaderMalformed", "<Region>eu-x</Region>")),
      RemoteError,
      /region eu-x; say so/,
    ],
    [answer(501, error("NotImplemented")), RemoteError, /no such operation/],
    [answer(404, "<html>not found</html>"), RemoteError, /speaks no S3; see the endpoint/],
  ];
  for (const [said, kind, why] of refusals) {
    await withAnswers(() => said, async (store, asked) => {
      await assert.rejects(
        store.put("k", text("x")),
        (error) => error instanceof kind && why.test(error.message),
      );
      assert.equal(asked.length, 1);
    });
  }
});

test("s3: a 404 that is not S3's is no absence", async () => {
  await withAnswers(
    (_, { method }) => answer(404, method === "HEAD" ? "" : "<html></html>"),
    async (store) => {
      await assert.rejects(store.get("k"), RemoteError);
      await assert.rejects(store.get("k", { start: 0, end: 1 }), RemoteError);
      await assert.rejects(store.has("k"), RemoteError);
    },
  );
});

test("s3: expired credentials are asked for again, once", async () => {
  let given = 0;
  const credentials = () => Promise.resolve({ accessKeyId: `id${++given}`, secretAccessKey: "hush" });
  const said = (_: number, { headers }: Asked) =>
    headers.get("authorization")!.includes("=id1/")
      ? answer(400, error("ExpiredToken"))
      : answer(200, "value");
  await withAnswers(said, async (store) => {
    assert.equal(read(await store.get("k")), "value");
    assert.equal(given, 2);
  }, { credentials });
  await withAnswers(() => answer(400, error("ExpiredToken")), async (store) => {
    await assert.rejects(store.get("k"), /has expired or is wrong; get new credentials/);
  }, { credentials });
});

test("s3: more than a value may have, and bytes that were not asked for, are refused", async () => {
  await withAnswers(() => answer(200, "x".repeat((4 << 20) + 1)), async (store, asked) => {
    await assert.rejects(store.get("k"), LimitError);
    assert.equal(asked.length, 1);
  });
  await withAnswers(() => answer(206, "abc", { "Content-Range": "bytes 1-3/9" }), async (store) => {
    await assert.rejects(store.get("k", { start: 0, end: 3 }), /bytes that were not asked for/);
  });
  await withAnswers(() => answer(200, "abcdefghi"), async (store) => {
    assert.equal(read(await store.get("k", { start: 2, end: 20 })), "cdefghi");
  });
});

test("s3: lists that make no sense are refused, whole or in part", async () => {
  const page = (keys: string[], more = "") =>
    answer(
      200,
      `<ListBucketResult>${keys.map((key) => `<Contents><Key>${key}</Key></Contents>`).join("")}${more}` +
        "</ListBucketResult>",
    );
  const lists: [Answer, RegExp][] = [
    [page(["p/b", "p/a"]), /it lists a after b; a bucket that does not list in byte order/],
    [page(["p/a"], "<IsTruncated>true</IsTruncated>"), /it says there is more, and not where/],
    [answer(200, "<html></html>"), /its list makes no sense/],
    [answer(200, "<ListBucketResult><Contents>"), /its list makes no sense/],
  ];
  for (const [said, why] of lists) {
    await withAnswers(() => said, async (store) => {
      await assert.rejects(
        Array.fromAsync(store.list("")),
        (error) => error instanceof RemoteError && why.test(error.message),
      );
    });
  }
  const next = "<IsTruncated>true</IsTruncated><NextContinuationToken>t+&amp;</NextContinuationToken>";
  await withAnswers(
    (n) => n === 0 ? page(["p/a%2Bb"], next) : page(["p/c", "other"]),
    async (store, asked) => {
      assert.deepEqual(await Array.fromAsync(store.list("")), ["a+b", "c"]);
      assert.match(asked[1].target, /continuation-token=t%2B%26/);
    },
  );
});
