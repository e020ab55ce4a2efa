/** How calls of BlobService and DirectoryService end. */
import { fromText } from "../../../src/bytes/bytes.ts";
import {
  DamageError,
  LimitError,
  MissingError,
  RemoteError,
  StoreBusyError,
  StoreFullError,
} from "../../../src/errors.ts";
import { type Clients, stream } from "./_calls.ts";
import * as given from "./_fixtures.ts";
import { DISK, internalOr, putDirectories, putHello, type Row, SHORT } from "./_status_rows.ts";

const putKeep = putDirectories(given.WITH_KEEP);
const getDirectory = (digest: Uint8Array, recursive = false) => ({ directories }: Clients) =>
  directories.get({ byWhat: { case: "digest", value: digest }, recursive });
const link = (name: string, target = "t") => ({ name: fromText(name), target: fromText(target) });

export const BLOB_ROWS: readonly Row[] = [
  {
    when: "Stat: short digest",
    call: (c) => c.blobs.stat({ digest: SHORT }),
    want: "InvalidArgument",
    error: "FormatError",
  },
  { when: "Stat: no digest", call: (c) => c.blobs.stat({}), want: "InvalidArgument" },
  {
    when: "Stat: absent",
    call: (c) => c.blobs.stat({ digest: given.ABSENT }),
    want: "NotFound",
    error: "MissingError",
  },
  {
    when: "Stat: the empty blob, never put",
    call: (c) => c.blobs.stat({ digest: given.EMPTY_DIGEST }),
    want: "NotFound",
  },
  {
    when: "Stat: there",
    before: putHello,
    call: (c) => c.blobs.stat({ digest: given.HELLO_DIGEST }),
    want: "OK",
  },
  {
    when: "Stat: there, with its outboard",
    before: putHello,
    call: (c) => c.blobs.stat({ digest: given.HELLO_DIGEST, sendBao: true }),
    want: "OK",
  },
  {
    when: "Stat: absent, with its outboard",
    call: (c) => c.blobs.stat({ digest: given.ABSENT, sendBao: true }),
    want: "NotFound",
    error: "MissingError",
  },
  { when: "Read: short digest", call: (c) => c.blobs.read({ digest: SHORT }), want: "InvalidArgument" },
  {
    when: "Read: absent",
    call: (c) => c.blobs.read({ digest: given.ABSENT }),
    want: "NotFound",
    error: "MissingError",
  },
  {
    when: "Read: damaged",
    broken: { service: "blobs", error: new DamageError("blob", "x") },
    call: (c) => c.blobs.read({ digest: given.ABSENT }),
    want: "DataLoss",
    error: "DamageError",
  },
  {
    when: "Read: the store fails",
    broken: { service: "blobs", error: DISK },
    call: (c) => c.blobs.read({ digest: given.ABSENT }),
    want: "Internal",
  },
  {
    when: "Stat: the store fails",
    broken: { service: "blobs", error: DISK },
    call: (c) => c.blobs.stat({ digest: given.ABSENT }),
    want: "Internal",
  },
  { when: "Put: writing fails", broken: { service: "blobs", error: DISK }, call: putHello, want: "Internal" },
  {
    when: "Put: no room",
    broken: { service: "blobs", error: new StoreFullError("full") },
    call: putHello,
    want: "ResourceExhausted",
    error: "StoreFullError",
  },
  {
    when: "Put: over a limit",
    broken: { service: "blobs", error: new LimitError(1, "long") },
    call: putHello,
    want: "ResourceExhausted",
    error: "LimitError",
  },
  {
    when: "Put: the store is held",
    broken: { service: "blobs", error: new StoreBusyError("busy") },
    call: putHello,
    want: "Unavailable",
    error: "StoreBusyError",
  },
  { when: "Put: no message", call: (c) => c.blobs.put(stream()), want: "OK" },
];

/** Calls to a store that asks another, which does not answer. */
export const REMOTE_ROWS: readonly Row[] = (["blobs", "directories", "pathInfos"] as const).map((
  service,
) => ({
  when: `a remote store of ${service} does not answer`,
  broken: { service, error: new RemoteError("https://secret.test", "Cannot reach https://secret.test") },
  call: (c) => {
    if (service === "blobs") return c.blobs.stat({ digest: given.ABSENT });
    if (service === "directories") return getDirectory(given.ABSENT)(c);
    return c.pathInfos.get({ byWhat: { case: "byOutputHash", value: given.DUMMY_HASH } });
  },
  want: "Unavailable",
}));

export const DIRECTORY_ROWS: readonly Row[] = [
  {
    when: "Directory Get: by_what unset",
    call: (c) => c.directories.get({}),
    want: "InvalidArgument",
  },
  { when: "Directory Get: short digest", call: getDirectory(SHORT), want: "InvalidArgument" },
  {
    when: "Directory Get: short digest, recursive",
    call: getDirectory(SHORT, true),
    want: "InvalidArgument",
  },
  {
    when: "Directory Get: absent",
    call: getDirectory(given.ABSENT),
    want: "NotFound",
    error: "MissingError",
  },
  { when: "Directory Get: absent root, recursive", call: getDirectory(given.ABSENT, true), want: "OK" },
  {
    when: "Directory Get: the store fails",
    broken: { service: "directories", error: DISK },
    call: getDirectory(given.ABSENT),
    want: internalOr("DataLoss"),
  },
  {
    when: "Directory Get: the store fails, recursive",
    broken: { service: "directories", error: DISK },
    call: getDirectory(given.ABSENT, true),
    want: internalOr("DataLoss"),
  },
  {
    when: "Directory Get: damaged",
    broken: { service: "directories", error: new DamageError("directory", "x") },
    call: getDirectory(given.ABSENT),
    want: internalOr("DataLoss"),
    error: "DamageError",
  },
  {
    when: "Directory Get: a descendant is gone",
    broken: { service: "directories", error: new MissingError("directory", "x") },
    call: getDirectory(given.ABSENT, true),
    want: internalOr("DataLoss"),
    error: "MissingError",
  },
  {
    when: "Directory Put: nothing",
    call: putDirectories(),
    want: internalOr("InvalidArgument"),
    error: "FormatError",
  },
  {
    when: "Directory Put: unlawful name",
    call: putDirectories({ symlinks: [link("a/b")] }),
    want: internalOr("InvalidArgument"),
  },
  {
    when: "Directory Put: unlawful target",
    call: putDirectories({ symlinks: [link("a", "")] }),
    want: internalOr("InvalidArgument"),
  },
  {
    when: "Directory Put: short digest",
    call: putDirectories({ files: [{ name: fromText("a"), digest: SHORT }] }),
    want: internalOr("InvalidArgument"),
  },
  {
    when: "Directory Put: not sorted",
    call: putDirectories({
      symlinks: [link("b"), link("a")],
    }),
    want: internalOr("InvalidArgument"),
  },
  {
    when: "Directory Put: one name twice",
    call: putDirectories({
      symlinks: [link("a"), link("a")],
    }),
    want: internalOr("InvalidArgument"),
  },
  {
    when: "Directory Put: parent first",
    call: putDirectories(given.complicated(1n), given.WITH_KEEP),
    want: internalOr("InvalidArgument"),
  },
  {
    when: "Directory Put: child stored, but not sent",
    before: putKeep,
    call: putDirectories(given.complicated(1n)),
    want: internalOr("InvalidArgument"),
  },
  {
    when: "Directory Put: wrong size",
    call: putDirectories(given.WITH_KEEP, given.complicated(3n)),
    want: internalOr("InvalidArgument"),
    error: "FormatError",
  },
  {
    when: "Directory Put: unconnected",
    call: putDirectories(given.WITH_KEEP, {}),
    want: internalOr("InvalidArgument"),
  },
  {
    when: "Directory Put: the store fails",
    broken: { service: "directories", error: DISK },
    call: putKeep,
    want: internalOr("DataLoss"),
  },
  {
    when: "Directory Put: a child is in no store",
    broken: { service: "directories", error: new MissingError("directory", "x") },
    call: putKeep,
    want: "FailedPrecondition",
    error: "MissingError",
  },
  {
    when: "Directory Put: no room",
    broken: { service: "directories", error: new StoreFullError("full") },
    call: putKeep,
    want: "ResourceExhausted",
    error: "StoreFullError",
  },
  {
    when: "Directory Put: documented sizes",
    call: putDirectories(given.WITH_KEEP, given.complicated(1n)),
    want: "OK",
  },
  {
    when: "Directory Put: doubled sizes",
    call: putDirectories(given.WITH_KEEP, given.complicated(2n)),
    want: "OK",
  },
];
