/**
 * The text form of gRPC-Web, for clients that can only read text as it comes (gRPC-Web protocol, "Text-encoded streams"):
 *
 *   body := { run }
 *   run  := standard, padded base64 of any bytes: a frame, several, or a part of one
 *
 * Runs follow each other without a separator, and the network may cut anywhere. Read strictly: no white space, no missing
 * padding. Frames are not looked into.
 */
import { fromBase64, toBase64 } from "../../bytes/base64.ts";
import { type Bytes, fromText } from "../../bytes/bytes.ts";
import { FormatError } from "../../errors.ts";

const TEXT_TYPE = /^application\/grpc-web-text(?=$|[+;])/i;

/** The content type of the binary form that a text form stands for; `undefined` for what is no text form. */
export function binaryTypeOf(contentType: string): string | undefined {
  return TEXT_TYPE.test(contentType) ? contentType.replace(TEXT_TYPE, "application/grpc-web") : undefined;
}

/** The content type of the text form of a binary form. */
export function textTypeOf(contentType: string): string {
  return contentType.replace("application/grpc-web", "application/grpc-web-text");
}

/** The bytes of a body in text form. Throws {@link FormatError} for what is no base64, or ends within four characters. */
export async function* decodeText(body: AsyncIterable<Uint8Array>): AsyncGenerator<Bytes, void, void> {
  const decoder = new TextDecoder("latin1");
  let waiting = "";
  for await (const piece of body) {
    const text = waiting + decoder.decode(piece);
    const whole = text.length - text.length % 4;
    waiting = text.slice(whole);
    yield* decodeRuns(text.slice(0, whole));
  }
  if (waiting !== "") {
    throw new FormatError("base64", `Cannot read the body: its base64 ends in ${JSON.stringify(waiting)}`);
  }
}

/** Padding ends a run, and what follows is another. */
function* decodeRuns(text: string): Generator<Bytes, void, void> {
  for (const [run] of text.matchAll(/[^=]+=*|=+/g)) yield fromBase64(run);
}

/** A body in text form: one run for each piece, so that a client can read every piece as soon as it is there. */
export async function* encodeText(body: AsyncIterable<Uint8Array>): AsyncGenerator<Bytes, void, void> {
  for await (const piece of body) yield fromText(toBase64(piece));
}
