/**
 * Directories of a remote. A closure is checked while it is gathered, so that what is wrong with it is known here before
 * the remote says so. Most closures are gathered whole before they are sent: then the call is short and can be tried
 * again. Only those of more than 4 MiB are sent while they come.
 */
import { EMPTY, equals } from "../../bytes/bytes.ts";
import { toHex } from "../../bytes/hex.ts";
import { LeavesFirstCheck } from "../../castore/closure.ts";
import { type Digest, formatDigest } from "../../castore/digest.ts";
import { type Directory, encodeDirectory } from "../../castore/directory.ts";
import type { DirectoryService, NamedDirectory } from "../../castore/directory_service.ts";
import { directoryFromMessage, directoryToMessage } from "../../castore/messages.ts";
import { decodeDirectory } from "../../castore/read_directory.ts";
import { DamageError, FormatError, MissingError } from "../../errors.ts";
import { blake3 } from "../../hash/blake3.ts";
import type { Remote } from "./remote.ts";
import { orAbsent, type Subject } from "./remote_errors.ts";

/** Bytes of encoded Directories that are gathered before they are sent. */
const GATHERED = 4 * 1024 * 1024;

/** The messages of either era. */
type DirectoryMessage = Parameters<typeof directoryFromMessage>[0];

/** A Directory to be sent. */
interface Outgoing {
  readonly directory: Directory;
  /** Bytes of its encoding. */
  readonly length: number;
}

export class RemoteDirectories implements DirectoryService {
  #remote: Remote;

  constructor(remote: Remote) {
    this.#remote = remote;
  }

  async get(digest: Digest): Promise<Directory | undefined> {
    const asking = this.#remote.call(about(digest), async ({ directories }, call) => {
      const request = { byWhat: { case: "digest", value: digest } } as const;
      for await (const message of directories.get(request, call)) return named(message, digest);
    });
    const found = await orAbsent(asking);
    if (found && !equals(found.digest, digest)) throw damaged(digest, "the remote gave another one");
    return found?.directory;
  }

  async *getClosure(root: Digest): AsyncGenerator<NamedDirectory, void, void> {
    const messages = this.#remote.receive(about(root), ({ directories }, call) => {
      return directories.get({ byWhat: { case: "digest", value: root }, recursive: true }, call);
    });
    const given = new Set<string>();
    const expected = new Map([[toHex(root), root]]);
    try {
      for await (const message of messages) {
        const next = named(message, root);
        const key = toHex(next.digest);
        if (given.has(key)) continue; // older servers send what has two parents twice
        if (!expected.delete(key)) throw damaged(root, "the remote gave a Directory that is not below it");
        given.add(key);
        for (const { node } of next.directory.items) {
          if (node.type !== "directory") continue;
          const child = toHex(node.digest);
          if (!given.has(child)) expected.set(child, node.digest);
        }
        yield next;
      }
    } catch (error) {
      if (error instanceof MissingError && given.size === 0) return;
      throw error;
    }
    if (given.size === 0) return;
    for (const missing of expected.values()) throw new MissingError("directory", formatDigest(missing));
  }

  async putClosure(leavesFirst: Iterable<Directory> | AsyncIterable<Directory>): Promise<Digest> {
    const closure = checked(leavesFirst);
    const gathered: Outgoing[] = [];
    let length = 0;
    while (length <= GATHERED) {
      const next = await closure.next();
      if (next.done) return await this.#putGathered(gathered, length, next.value);
      gathered.push(next.value);
      length += next.value.length;
    }
    return await this.#putStream(gathered, closure);
  }

  async #putGathered(closure: readonly Outgoing[], length: number, root: Digest): Promise<Digest> {
    await this.#remote.bytes.take(length);
    try {
      const answer = await this.#remote.call(about(root), async ({ directories }, call) => {
        const messages = async function* () {
          for (const { directory } of closure) {
            yield await directoryToMessage(directory);
            call.progress();
          }
        };
        return await directories.put(messages(), call);
      });
      this.#checkAnswer(root, answer.rootDigest);
    } finally {
      this.#remote.bytes.give(length);
    }
    return root;
  }

  async #putStream(first: Outgoing[], rest: AsyncGenerator<Outgoing, Digest, void>): Promise<Digest> {
    let failure: { error: unknown } | undefined;
    let root: Digest | undefined;
    const remote = this.#remote;
    const all = async function* () {
      try {
        yield* first.splice(0);
        root = yield* rest;
      } catch (error) {
        failure = { error };
        throw error;
      }
    };
    try {
      const subject = { kind: "directory", key: "of a stream" };
      await remote.settleEra(subject, async ({ directories }, call) => {
        const request = { byWhat: { case: "digest", value: blake3(EMPTY) } } as const;
        for await (const _ of directories.get(request, call));
      });
      const answer = await remote.send(subject, async ({ directories }, call) => {
        const sending = remote.paced(call, all(), ({ length }) => length);
        const messages = async function* () {
          for await (const { directory } of sending) yield directoryToMessage(directory);
        };
        return await directories.put(messages(), call);
      });
      if (!root) throw damaged(answer.rootDigest as Digest, "the remote took a part for the whole");
      this.#checkAnswer(root, answer.rootDigest);
      return root;
    } catch (error) {
      throw failure ? failure.error : error;
    } finally {
      rest.return(root!).catch(() => {}); // closes the source if the remote ended the call; it may be waiting for its next one
    }
  }

  #checkAnswer(root: Digest, answered: Uint8Array): void {
    if (equals(answered, root)) return;
    const name = formatDigest(root);
    const message = `Cannot store the Directories below ${name}: ${this.#remote.address} took them for ` +
      formatDigest(answered);
    throw new DamageError("directory", name, message);
  }
}

/** The distinct Directories of a closure as they come, and its root in the end. Throws `FormatError` if it is none. */
async function* checked(
  leavesFirst: Iterable<Directory> | AsyncIterable<Directory>,
): AsyncGenerator<Outgoing, Digest, void> {
  const check = new LeavesFirstCheck();
  const sent = new Set<string>();
  for await (const directory of leavesFirst) {
    const encoded = encodeDirectory(directory);
    const digest = blake3(encoded);
    check.add(directory, digest);
    const key = toHex(digest);
    if (sent.has(key)) continue;
    sent.add(key);
    yield { directory, length: encoded.length };
  }
  return check.root();
}

/** A Directory of a message, with the digest that its canonical encoding has; it came for the one that was asked for. */
function named(message: DirectoryMessage, asked: Digest): NamedDirectory {
  const encoded = encodeDirectory(lawful(message, asked));
  return {
    digest: blake3(encoded),
    encoded,
    get directory() {
      return decodeDirectory(encoded);
    },
  };
}

function lawful(message: DirectoryMessage, asked: Digest): Directory {
  try {
    return directoryFromMessage(message);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw damaged(asked, `the remote gave what is none: ${cause.message}`, { cause });
  }
}

function about(digest: Digest): Subject {
  return { kind: "directory", key: formatDigest(digest) };
}

function damaged(digest: Digest, why: string, options?: ErrorOptions): DamageError {
  const name = formatDigest(digest);
  return new DamageError("directory", name, `Cannot read directory ${name}: ${why}`, options);
}
