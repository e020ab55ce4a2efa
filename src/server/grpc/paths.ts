/**
 * Paths of remote calls: `/<package>.<Service>/<Method>`. No path of a binary cache looks like that.
 */
const SERVICE = "(?:[a-z][a-z0-9_]*\\.)+[A-Z][A-Za-z0-9]*";
const METHOD = "[A-Z][A-Za-z0-9]*";
const CALL = new RegExp(`^/${SERVICE}/${METHOD}$`);
const NATIVE = /^application\/grpc(?:$|[+;])/i;

/** Paths of calls, as a route. */
export const CALL_ROUTE = `/:service{${SERVICE}}/:method{${METHOD}}`;

/** Whether a path is one of a call, of a method that exists or not. */
export function isCallPath(path: string): boolean {
  return CALL.test(path);
}

/** Whether a content type is that of native gRPC. */
export function isNativeCall(contentType: string): boolean {
  return NATIVE.test(contentType);
}
