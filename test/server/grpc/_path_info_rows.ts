/** How calls of PathInfoService end. */
import { fromText } from "../../../src/bytes/bytes.ts";
import {
  ClaimError,
  ConflictError,
  DamageError,
  FormatError,
  MissingError,
  StoreBusyError,
} from "../../../src/errors.ts";
import { type Clients, entryOf, pathInfoOf } from "./_calls.ts";
import * as given from "./_fixtures.ts";
import { DISK, putDirectories, putHello, type Row, SHORT } from "./_status_rows.ts";

const pathInfo = ({ era }: Clients, root: unknown, rest: Record<string, unknown>) =>
  pathInfoOf(era, root, rest);
const getPath = ({ pathInfos }: Clients) =>
  pathInfos.get({ byWhat: { case: "byOutputHash", value: given.DUMMY_HASH } });
const putDummy = (clients: Clients) =>
  clients.pathInfos.put(pathInfo(clients, given.dummyRoot(), given.DUMMY_REST));
const putChanged = (change: Record<string, unknown>) => (clients: Clients) =>
  clients.pathInfos.put(
    pathInfo(clients, given.dummyRoot(), {
      ...given.DUMMY_REST,
      narinfo: { ...given.DUMMY_REST.narinfo, ...change },
    }),
  );
const narOf = (value: unknown) => (clients: Clients) =>
  clients.pathInfos.calculateNAR(entryOf(clients.era, value));
const helloFile = (name = "", size = 12n) => ({
  case: "file",
  value: { name: fromText(name), digest: given.HELLO_DIGEST, size },
});
const folder = (digest: Uint8Array, size = 0n) => ({ case: "directory", value: { digest, size } });
/** The NAR of a folder with a file of which the blob was not put. */
const narOfFolder = async (clients: Clients) => {
  const files = [{ name: fromText("hello"), digest: given.HELLO_DIGEST, size: 12n }];
  const { rootDigest } = await putDirectories({ files })(clients);
  return await narOf(folder(rootDigest, 1n))(clients);
};

export const PATH_INFO_ROWS: readonly Row[] = [
  {
    when: "PathInfo Get: by_what unset",
    call: (c) => c.pathInfos.get({}),
    want: "Unimplemented",
  },
  {
    when: "PathInfo Get: hash of 19 bytes",
    call: (c) => c.pathInfos.get({ byWhat: { case: "byOutputHash", value: new Uint8Array(19) } }),
    want: "InvalidArgument",
  },
  { when: "PathInfo Get: absent", call: getPath, want: "NotFound", error: "MissingError" },
  { when: "PathInfo Get: there", before: putDummy, call: getPath, want: "OK" },
  {
    when: "PathInfo Get: the store fails",
    broken: { service: "pathInfos", error: DISK },
    call: getPath,
    want: "DataLoss",
  },
  {
    when: "PathInfo Get: a record that cannot be read",
    broken: { service: "pathInfos", error: new FormatError("stored path", "x") },
    call: getPath,
    want: "DataLoss",
  },
  {
    when: "PathInfo Get: the store is held",
    broken: { service: "pathInfos", error: new StoreBusyError("busy") },
    call: getPath,
    want: "Unavailable",
  },
  { when: "PathInfo Put: lawful", call: putDummy, want: "OK" },
  { when: "PathInfo Put: again", before: putDummy, call: putDummy, want: "OK" },
  {
    when: "PathInfo Put: another for the same path",
    before: putDummy,
    call: putChanged({ narSize: 1n }),
    want: "AlreadyExists",
    error: "ConflictError",
  },
  {
    when: "PathInfo Put: nothing in it",
    call: (c) => c.pathInfos.put({}),
    want: "InvalidArgument",
    error: "FormatError",
  },
  {
    when: "PathInfo Put: no narinfo",
    call: (c) => c.pathInfos.put(pathInfo(c, given.dummyRoot(), { references: [] })),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: no entry",
    call: (c) => c.pathInfos.put(pathInfo(c, undefined, given.DUMMY_REST)),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: entry of no kind",
    call: (c) => c.pathInfos.put(pathInfo(c, { case: undefined }, given.DUMMY_REST)),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: name is no store path",
    call: (c) => c.pathInfos.put(pathInfo(c, given.dummyRoot("dummy"), given.DUMMY_REST)),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: NAR hash of 31 bytes",
    call: putChanged({ narSha256: SHORT }),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: references without names",
    call: putChanged({ referenceNames: [] }),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: reference named otherwise",
    call: putChanged({ referenceNames: ["1".repeat(32) + "-a"] }),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: short signature",
    call: putChanged({ signatures: [{ name: "k", data: SHORT }] }),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: unknown kind of content address",
    call: putChanged({ ca: { type: 9, digest: new Uint8Array(32) } }),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: unlawful deriver",
    call: putChanged({ deriver: { name: "x", digest: SHORT } }),
    want: "InvalidArgument",
  },
  {
    when: "PathInfo Put: an untrue claim",
    broken: { service: "pathInfos", error: new ClaimError("NarHash", "a", "b") },
    call: putDummy,
    want: "InvalidArgument",
    error: "ClaimError",
  },
  {
    when: "PathInfo Put: contents not stored",
    broken: { service: "pathInfos", error: new MissingError("blob", "b") },
    call: putDummy,
    want: "FailedPrecondition",
    error: "MissingError",
  },
  {
    when: "PathInfo Put: conflict",
    broken: { service: "pathInfos", error: new ConflictError("other") },
    call: putDummy,
    want: "AlreadyExists",
  },
  {
    when: "PathInfo Put: damaged",
    broken: { service: "pathInfos", error: new DamageError("path", "x") },
    call: putDummy,
    want: "DataLoss",
    error: "DamageError",
  },
  {
    when: "PathInfo Put: the store fails",
    broken: { service: "pathInfos", error: DISK },
    call: putDummy,
    want: "DataLoss",
  },
  { when: "CalculateNAR: no entry", call: (c) => c.pathInfos.calculateNAR({}), want: "InvalidArgument" },
  { when: "CalculateNAR: short digest", call: narOf(folder(SHORT)), want: "InvalidArgument" },
  {
    when: "CalculateNAR: unlawful name",
    before: putHello,
    call: narOf(helloFile("a/b")),
    want: "InvalidArgument",
    error: "FormatError",
  },
  { when: "CalculateNAR: unnamed", before: putHello, call: narOf(helloFile()), want: "OK" },
  { when: "CalculateNAR: named", before: putHello, call: narOf(helloFile("hello")), want: "OK" },
  {
    when: "CalculateNAR: Directory absent",
    call: narOf(folder(given.ABSENT)),
    want: "NotFound",
    error: "MissingError",
  },
  { when: "CalculateNAR: blob absent", call: narOf(helloFile()), want: "NotFound", error: "MissingError" },
  {
    when: "CalculateNAR: blob in a folder absent",
    call: narOfFolder,
    want: "NotFound",
  },
  {
    when: "CalculateNAR: blob of another size",
    before: putHello,
    call: narOf(helloFile("", 13n)),
    want: "Internal",
    error: "DamageError",
  },
  {
    when: "CalculateNAR: the store fails",
    broken: { service: "directories", error: DISK },
    call: narOf(folder(given.ABSENT)),
    want: "Internal",
  },
  { when: "List: nothing there", call: (c) => c.pathInfos.list({}), want: "OK" },
  {
    when: "List: the store fails",
    broken: { service: "pathInfos", error: DISK },
    call: (c) => c.pathInfos.list({}),
    want: "Internal",
  },
  {
    when: "List: damaged",
    broken: { service: "pathInfos", error: new DamageError("path", "x") },
    call: (c) => c.pathInfos.list({}),
    want: "Internal",
    error: "DamageError",
  },
];
