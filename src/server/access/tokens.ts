/**
 * Tokens: JSON Web Tokens, signed by a key of the server (`token_keys.ts`).
 *
 *   header  alg: EdDSA, kid: the key's id
 *   claims  iss, aud: "firn"     jti: the token's id      name: whom it was made for
 *           rights: some of read, write, admin            paths: a pattern (`name_pattern.ts`); all names without it
 *           iat, nbf, exp: seconds since 1970; no exp: it does not expire
 *
 * Clocks may differ by a minute.
 */
import { decodeJwt, errors, jwtVerify, SignJWT } from "jose";
import { toNixBase32 } from "../../bytes/nixbase32.ts";
import { FormatError } from "../../errors.ts";
import { isTokenId } from "../../store/revocations.ts";
import type { Right } from "../door.ts";
import { namePattern } from "./name_pattern.ts";
import { ALGORITHM, type TokenKey } from "./token_keys.ts";

export const ISSUER = "firn";
/** By how much clocks may differ, in seconds. */
export const CLOCK_TOLERANCE = 60;
export const RIGHTS: readonly Right[] = ["read", "write", "admin"];
const ID_BYTES = 10;
const MAX_NAME = 100;

/** What a token says. Times in milliseconds since 1970. */
export interface Grant {
  readonly id: string;
  readonly name: string;
  readonly rights: readonly Right[];
  /** Names of paths it is for; `undefined`: all. */
  readonly paths?: string;
  /** `undefined`: never. */
  readonly expiresAt?: number;
}

/** Makes a token. Throws {@link FormatError} for a grant that cannot be one, or where no key is here that signs. */
export async function newToken(
  keys: readonly TokenKey[],
  { name, rights, paths, expiresAt }: Omit<Grant, "id">,
  now: number = Date.now(),
): Promise<{ token: string; grant: Grant }> {
  const key = keys.find(({ signing }) => signing);
  if (!key) throw new FormatError("token key", "Cannot sign a token: want a key with its private half");
  const id = toNixBase32(crypto.getRandomValues(new Uint8Array(ID_BYTES)));
  const grant = grantOf({ jti: id, name, rights, paths, exp: secondsOf(expiresAt) });
  const claims = { name, rights: grant.rights, ...(paths !== undefined && { paths }) };
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: ALGORITHM, kid: key.id })
    .setIssuer(ISSUER).setAudience(ISSUER).setJti(id).setIssuedAt(secondsOf(now)).setNotBefore(
      secondsOf(now)!,
    );
  if (expiresAt !== undefined) jwt.setExpirationTime(secondsOf(expiresAt)!);
  return { token: await jwt.sign(key.signing!), grant };
}

/** What a token grants. Throws an error of `jose`, or {@link FormatError}, for one that must not be taken. */
export async function verifyToken(token: string, keys: readonly TokenKey[]): Promise<Grant> {
  const keyOf = ({ kid }: { kid?: string }) => {
    const key = keys.find(({ id }) => id === kid);
    if (!key) throw new FormatError("token", "it was made with a key that is not one of this server");
    return key.verifying;
  };
  const { payload } = await jwtVerify(token, keyOf, {
    algorithms: [ALGORITHM],
    issuer: ISSUER,
    audience: ISSUER,
    clockTolerance: CLOCK_TOLERANCE,
    requiredClaims: ["jti", "iat"],
  });
  return grantOf(payload);
}

/** What a token says, whoever wrote it: only to be shown. Throws {@link FormatError} for what is none of firn. */
export function describeToken(token: string): Grant & { readonly issuer: string } {
  let payload: Record<string, unknown>;
  try {
    payload = decodeJwt(token);
  } catch {
    throw new FormatError("token", "Cannot read the token: it is no JSON Web Token");
  }
  if (payload.iss !== ISSUER) {
    throw new FormatError("token", "Cannot read the token: it was not made by firn token new");
  }
  return { ...grantOf(payload), issuer: ISSUER };
}

/** What is wrong with a token; `undefined` for an error that is not about it. */
export function faultOf(error: unknown): string | undefined {
  if (error instanceof FormatError) return error.message;
  if (error instanceof errors.JWTExpired) {
    return `it expired on ${new Date(Number(error.payload.exp) * 1000).toISOString()}`;
  }
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === "nbf") return "it is not valid yet";
    if (error.claim === "aud") return "it is for another audience";
    return `its claim ${error.claim} is missing or wrong`;
  }
  if (error instanceof errors.JWSSignatureVerificationFailed) return "its signature is not right";
  if (error instanceof errors.JOSEAlgNotAllowed) return "it is signed by an algorithm that is not taken here";
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys) {
    return "its issuer publishes no such key";
  }
  return error instanceof errors.JOSEError || error instanceof TypeError
    ? "it is no sound JSON Web Token"
    : undefined;
}

function grantOf({ jti, name, rights, paths, exp }: Record<string, unknown>): Grant {
  if (typeof jti !== "string" || !isTokenId(jti)) throw new FormatError("token", "its id is none");
  if (typeof name !== "string" || !/^[^\p{Cc}]{1,100}$/u.test(name)) {
    throw new FormatError("token", `its name is none: want 1 to ${MAX_NAME} characters`);
  }
  if (!Array.isArray(rights) || rights.length === 0 || !rights.every((right) => RIGHTS.includes(right))) {
    throw new FormatError("token", `its rights are none: want some of ${RIGHTS.join(", ")}`);
  }
  if (paths !== undefined) {
    if (typeof paths !== "string") throw new FormatError("token", "its paths are no pattern");
    namePattern(paths);
  }
  return {
    id: jti,
    name,
    rights: RIGHTS.filter((right) => rights.includes(right)),
    ...(paths !== undefined && { paths: paths as string }),
    ...(typeof exp === "number" && { expiresAt: exp * 1000 }),
  };
}

function secondsOf(milliseconds: number): number;
function secondsOf(milliseconds: number | undefined): number | undefined;
function secondsOf(milliseconds: number | undefined): number | undefined {
  return milliseconds === undefined ? undefined : Math.floor(milliseconds / 1000);
}
