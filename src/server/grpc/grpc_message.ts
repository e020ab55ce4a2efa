/**
 * `grpc-message` as the protocol of gRPC wants it ("Percent-Encoded"): only `%` and what is no printable ASCII is encoded.
 * Connect encodes punctuation, too, and some clients show that as it is: `Cannot get%3A`.
 */

const HEADER = "grpc-message";

/** A message, encoded. */
export function encodeMessage(message: string): string {
  return message.toWellFormed().replace(/[^ -$&-~]+/g, encodeURIComponent);
}

/** Trailers of Connect, with the message encoded so. May be done again. */
export function plainMessage(trailer: Headers): Headers {
  const message = trailer.get(HEADER);
  if (message !== null) trailer.set(HEADER, encodeMessage(decodeURIComponent(message)));
  return trailer;
}
