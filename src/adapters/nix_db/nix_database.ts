/**
 * Nix's own database, read and never written: `<state>/db/db.sqlite`, tables ValidPaths and Refs, as they have been since schema 10
 * (Nix 2.0). What is read in one statement is of one moment, whatever Nix writes meanwhile.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { FormatError, UnreadableError } from "../../errors.ts";
import { parseContentAddress } from "../../nix/content_address.ts";
import { parseHash } from "../../nix/hash_text.ts";
import { parseSignature } from "../../nix/signature.ts";
import { formatStorePath, parseStorePath, type StorePath } from "../../nix/store_path.ts";
import type { NixRecords, RecordedPath } from "./recorded_path.ts";

const PATH = "SELECT id, hash, deriver, narSize, sigs, ca FROM ValidPaths WHERE path = ?";
const REFERENCES = `SELECT path FROM Refs JOIN ValidPaths ON Refs.reference = ValidPaths.id
  WHERE Refs.referrer = ? ORDER BY path`;

/** Opens the database in a file. Throws {@link UnreadableError} if it cannot be read here, or is none. */
export function openNixDatabase(file: string): NixRecords {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true });
    return new NixDatabase(database);
  } catch (cause) {
    database?.close();
    throw new UnreadableError(`Cannot read Nix's database ${file}: ${(cause as Error).message}`, { cause });
  }
}

class NixDatabase implements NixRecords {
  readonly #database: DatabaseSync;
  readonly #path: StatementSync;
  readonly #references: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#path = database.prepare(PATH);
    this.#references = database.prepare(REFERENCES);
  }

  find(storePath: StorePath): RecordedPath | undefined {
    const row = this.#path.get(formatStorePath(storePath));
    if (!row) return undefined;
    const references = this.#references.all(row.id).map(({ path }) => parseStorePath(String(path)));
    return recordedPath(storePath, {
      narHash: row.hash,
      narSize: row.narSize,
      deriver: row.deriver,
      signatures: typeof row.sigs === "string" ? row.sigs.split(" ").filter((text) => text !== "") : [],
      ca: row.ca,
    }, references);
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }
}

/** The fields of a record as texts and numbers, from wherever they come. */
export interface RecordedFields {
  readonly narHash: unknown;
  readonly narSize: unknown;
  readonly deriver: unknown;
  readonly signatures: readonly unknown[];
  readonly ca: unknown;
}

/** Reads a record. Throws {@link FormatError} for what is not as Nix writes it. */
export function recordedPath(
  storePath: StorePath,
  { narHash, narSize, deriver, signatures, ca }: RecordedFields,
  references: readonly StorePath[],
): RecordedPath {
  try {
    if (typeof narHash !== "string") throw new TypeError("it has no NAR hash");
    if (typeof narSize !== "number" || !Number.isSafeInteger(narSize) || narSize <= 0) {
      throw new TypeError("it has no NAR size");
    }
    return {
      storePath,
      references,
      narSha256: parseHash(narHash, "sha256").digest,
      narSize,
      ...(typeof deriver === "string" && deriver.endsWith(".drv") && { deriver: parseStorePath(deriver) }),
      signatures: signatures.map((text) => parseSignature(String(text))),
      ...(typeof ca === "string" && ca !== "" && { ca: parseContentAddress(ca) }),
    };
  } catch (cause) {
    const why = (cause as Error).message;
    throw new FormatError(
      "Nix's record",
      `Cannot use what Nix has recorded of ${formatStorePath(storePath)}: ${why}`,
      { cause },
    );
  }
}
