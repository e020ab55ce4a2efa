/**
 * The error tree: every error firn throws on purpose. Each is the nearest built-in class with data to act on, and
 * each message says first what could not be done. `server/` maps them to HTTP and gRPC status in one place.
 *
 * | class | meaning | whose fault |
 * |---|---|---|
 * | {@link FormatError} | bytes or text do not follow their format | the sender's |
 * | {@link ClaimError} | a claim differs from what was recomputed from the bytes | the sender's |
 * | {@link MissingError} | something referred to is not in the store | the sender's, or damage |
 * | {@link LimitError} | an input is over a stated bound | the sender's |
 * | {@link ConflictError} | what is stored already says otherwise | the sender's |
 * | {@link DamageError} | stored bytes are no longer what their name says | the store's |
 * | {@link StoreFullError} | no room to write (disk, quota) | the store's |
 * | {@link StoreBusyError} | another process holds the store | the operator's |
 * | {@link StoreGoneError} | the platform took the store away while it was open | the platform's, or its user's |
 * | {@link StoreVersionError} | the store has a form that this version does not know | the operator's |
 * | {@link RemoteError} | a store that is asked over a network cannot be reached, or fails | the remote's |
 * | {@link UnreadableError} | a file or folder of this machine cannot be read | the operator's |
 * | {@link UnsupportedError} | this kind of store has no such operation | the caller's |
 */

/** Bytes or text that do not follow their format. */
export class FormatError extends SyntaxError {
  override readonly name = "FormatError";
  /** @param format which format: `nar`, `narinfo`, `nixbase32`, … */
  constructor(readonly format: string, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** A claim about bytes that is not true of them. */
export class ClaimError extends Error {
  override readonly name = "ClaimError";
  /** @param claim the field or name the claim was made in, e.g. `NarHash` */
  constructor(readonly claim: string, readonly claimed: string, readonly actual: string, message?: string) {
    super(message ?? `Cannot accept ${claim} ${claimed}: the bytes give ${actual}`);
  }
}

/** Something that was referred to is not in the store. */
export class MissingError extends Error {
  override readonly name = "MissingError";
  /** @param kind what kind of thing: `blob`, `directory`, `path`, `nar` */
  constructor(readonly kind: string, readonly key: string, message?: string) {
    super(message ?? `Cannot find ${kind} ${key} in this store`);
  }
}

/** An input over a stated bound. */
export class LimitError extends RangeError {
  override readonly name = "LimitError";
  /** @param limit the bound that was passed, in the unit the message names */
  constructor(readonly limit: number, message: string) {
    super(message);
  }
}

/** The store already holds something else under this name. */
export class ConflictError extends Error {
  override readonly name = "ConflictError";
}

/** Stored bytes that are not what their name says: the disk, or somebody, changed them. */
export class DamageError extends Error {
  override readonly name = "DamageError";
  constructor(readonly kind: string, readonly key: string, message?: string, options?: ErrorOptions) {
    super(message ?? `Cannot read ${kind} ${key}: its stored bytes are damaged`, options);
  }
}

/** The platform has no room for the bytes. Nothing of the failed write is visible. */
export class StoreFullError extends Error {
  override readonly name = "StoreFullError";
}

/** Another process has this store open. */
export class StoreBusyError extends Error {
  override readonly name = "StoreBusyError";
}

/** The platform took the store away while it was open. What it held may be gone; opening it again shows. */
export class StoreGoneError extends Error {
  override readonly name = "StoreGoneError";
}

/** A store in a form that this version of firn does not know. Nothing in it was touched. */
export class StoreVersionError extends Error {
  override readonly name = "StoreVersionError";
}

/** A store that is asked over a network cannot be reached, does not answer, or fails. Asking again later may help. */
export class RemoteError extends Error {
  override readonly name = "RemoteError";
  /** The HTTP status of its refusal, where it answered with one. */
  readonly status?: number;

  /** @param address the remote, as its user names it */
  constructor(
    readonly address: string,
    message: string,
    { status, ...options }: ErrorOptions & { readonly status?: number } = {},
  ) {
    super(message, options);
    if (status !== undefined) this.status = status;
  }
}

/** A file or folder that the system does not let be read. */
export class UnreadableError extends Error {
  override readonly name = "UnreadableError";
}

/** An operation that this kind of store does not have. */
export class UnsupportedError extends Error {
  override readonly name = "UnsupportedError";
}
