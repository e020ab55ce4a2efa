import assert from "node:assert/strict";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { toHex } from "../../../src/bytes/hex.ts";
import { fromText } from "../../../src/bytes/bytes.ts";
import { MissingError } from "../../../src/errors.ts";
import {
  all,
  type Clients,
  clientsOf,
  entryOf,
  everyWay,
  openContext,
  outcome,
  pathInfoOf,
  stream,
} from "./_calls.ts";
import * as given from "./_fixtures.ts";

const get = ({ pathInfos }: Clients, value = given.DUMMY_HASH) =>
  pathInfos.get({ byWhat: { case: "byOutputHash", value } });

/** NARs of roots: name in the fixtures, the node, and size and SHA-256 of its NAR. */
const NARS: readonly [string, unknown, bigint, string][] = [
  [
    "symlink",
    { case: "symlink", value: { target: fromText("/nix/store/somewhereelse") } },
    136n,
    "097d397e9b5826384eaa16c457715d1c1a51670313ead0f58566e0b232539cf1",
  ],
  [
    "helloworld",
    { case: "file", value: { digest: given.HELLO_DIGEST, size: 12n } },
    128n,
    "03e7f63be30b065d78bcf615f5473545fdb4eb69aa416f43495b4e05cdfb8040",
  ],
  [
    "complicated",
    { case: "directory", value: { digest: given.COMPLICATED_DIGEST, size: 4n } },
    840n,
    "ebd52279a8df024c9fd5718de4103bf5e760dc7f2cf49044ee7dea87ab16911a",
  ],
  [
    "empty directory",
    { case: "directory", value: { digest: given.EMPTY_DIGEST, size: 0n } },
    96n,
    "a50a5ab6d992f5598edd92105059fae9acfc192981e08bd88534c2167e92526a",
  ],
];

for (const { era, protocol, way } of everyWay()) {
  Deno.test(`grpc path infos: put, get and list give the same bytes, ${way}`, async () => {
    const clients = clientsOf(openContext(), era, protocol);
    const schema = era.pathInfoService.method.get.output;
    const sent = fromBinary(schema, given.DUMMY_ENCODED);
    const answers = [
      await clients.pathInfos.put(sent),
      await get(clients),
      ...await all(clients.pathInfos.list({})),
    ];
    assert.equal(answers.length, 3);
    for (const answer of answers) assert.deepEqual(toBinary(schema, answer), given.DUMMY_ENCODED);
  });

  Deno.test(`grpc path infos: Put answers with all signatures that are stored, ${way}`, async () => {
    const { pathInfos } = clientsOf(openContext(), era, protocol);
    const signed = (name: string) => ({
      ...given.DUMMY_REST,
      narinfo: { ...given.DUMMY_REST.narinfo, signatures: [{ name, data: new Uint8Array(64) }] },
    });
    await pathInfos.put(pathInfoOf(era, given.dummyRoot(), signed("first-1")));
    const stored = await pathInfos.put(pathInfoOf(era, given.dummyRoot(), signed("second-1")));
    assert.deepEqual(stored.narinfo?.signatures.map(({ name }) => name), ["first-1", "second-1"]);
  });

  Deno.test(`grpc path infos: what was put in one package is got in the other, ${way}`, async () => {
    const context = openContext();
    await clientsOf(context, era, protocol).pathInfos.put(
      pathInfoOf(era, given.dummyRoot(), given.DUMMY_REST),
    );
    for (const other of everyWay()) {
      const answer = await get(clientsOf(context, other.era, other.protocol));
      const schema = other.era.pathInfoService.method.get.output;
      assert.deepEqual(toBinary(schema, answer), given.DUMMY_ENCODED);
    }
  });

  Deno.test(`grpc path infos: a List that fails in the middle fails after what came before, ${way}`, async () => {
    const context = openContext();
    await clientsOf(context, era, protocol).pathInfos.put(
      pathInfoOf(era, given.dummyRoot(), given.DUMMY_REST),
    );
    const list = async function* () {
      yield* context.pathInfos.list();
      throw new MissingError("path", "gone");
    };
    const { pathInfos } = clientsOf(
      { ...context, pathInfos: { ...context.pathInfos, list } as never },
      era,
      protocol,
    );
    let messages = 0;
    const { code } = await outcome((async () => {
      for await (const _ of pathInfos.list({})) messages++;
    })());
    assert.deepEqual([messages, code], [1, "Internal"]);
  });

  Deno.test(`grpc path infos: CalculateNAR of the fixtures, named or not, ${way}`, async () => {
    const { blobs, directories, pathInfos } = clientsOf(openContext(), era, protocol);
    await blobs.put(stream({ data: given.HELLO }));
    await blobs.put(stream({}));
    await directories.put(stream<Record<string, unknown>>(given.WITH_KEEP, given.complicated(1n)));
    await directories.put(stream({}));
    for (const [what, node, size, sha256] of NARS) {
      for (const name of ["", "named"]) {
        const { case: kind, value } = node as { case: string; value: Record<string, unknown> };
        const entry = entryOf(era, { case: kind, value: { ...value, name: fromText(name) } });
        const { narSize, narSha256 } = await pathInfos.calculateNAR(entry);
        assert.deepEqual([what, narSize, toHex(narSha256)], [what, size, sha256]);
      }
    }
  });
}
