/**
 * Which tokens of other issuers are taken, as CI systems make them (OpenID Connect), and what they may do. As JSON:
 *
 *   config := issuer | [ issuer, … ]
 *   issuer := { "issuer": URL, "audience": TEXT, "rules": [ rule, … ],
 *               "jwks": URL              where its keys are; else asked of URL/.well-known/openid-configuration
 *               "algorithms": [ … ] }    default RS256 and ES256
 *   rule   := { "claims": { NAME: TEXT | [ TEXT, … ], … }, "rights": [ … ], "paths": PATTERN }
 *
 * The first rule counts whose claims are all in the token: each with one of the texts, in which `*` stands for anything. A rule
 * without claims is refused: everybody can have a token of a public CI system, for any audience.
 */
import { FormatError } from "../../errors.ts";
import type { Right } from "../door.ts";
import { isLoopbackHost } from "../peer.ts";
import { glob, namePattern } from "./name_pattern.ts";
import { RIGHTS } from "./tokens.ts";

/** What tokens with these claims may do. */
export interface OidcRule {
  readonly matches: (claims: Readonly<Record<string, unknown>>) => boolean;
  readonly rights: readonly Right[];
  readonly paths?: string;
}

export interface OidcConfig {
  readonly issuer: string;
  readonly audience: string;
  readonly jwks?: string;
  readonly algorithms: readonly string[];
  readonly rules: readonly OidcRule[];
}

const ALGORITHMS = [
  ...["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
  ...["ES256", "ES384", "ES512", "EdDSA", "Ed25519"],
];
const MOST = 100;

/** Reads a configuration. Throws {@link FormatError} that says where it is wrong. */
export function readOidcConfig(text: string): OidcConfig[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw fault("", `it is no JSON (${(cause as Error).message})`);
  }
  const issuers = listOf(Array.isArray(value) ? value : [value], "").map(readIssuer);
  if (new Set(issuers.map(({ issuer }) => issuer)).size < issuers.length) {
    throw fault("", "an issuer is there twice");
  }
  return issuers;
}

function readIssuer(value: unknown, i: number): OidcConfig {
  const at = `issuer ${i + 1}`;
  const { issuer, audience, jwks, algorithms, rules } = objectOf(value, at, [
    ...["issuer", "audience", "jwks", "algorithms", "rules"],
  ]);
  const names = algorithms === undefined ? ["RS256", "ES256"] : listOf(algorithms, `${at}, algorithms`);
  const strange = names.find((name) => !ALGORITHMS.includes(name as string));
  if (strange !== undefined) throw fault(at, `algorithms may be ${ALGORITHMS.join(", ")}`);
  return {
    issuer: urlOf(issuer, `${at}, issuer`),
    audience: textOf(audience, `${at}, audience`),
    ...(jwks !== undefined && { jwks: urlOf(jwks, `${at}, jwks`) }),
    algorithms: names as string[],
    rules: listOf(rules, `${at}, rules`).map((rule, n) => readRule(rule, `${at}, rule ${n + 1}`)),
  };
}

function readRule(value: unknown, at: string): OidcRule {
  const { claims, rights, paths } = objectOf(value, at, ["claims", "rights", "paths"]);
  const wanted = Object.entries(objectOf(claims, `${at}, claims`)).map(([name, texts]) => {
    const any = listOf(Array.isArray(texts) ? texts : [texts], `${at}, claim ${name}`)
      .map((text) => glob(textOf(text, `${at}, claim ${name}`)));
    return [name, any] as const;
  });
  if (wanted.length === 0) {
    throw fault(at, "it has no claims, and everybody can get a token of a public issuer");
  }
  const list = listOf(rights, `${at}, rights`);
  if (!list.every((right) => RIGHTS.includes(right as Right))) {
    throw fault(at, `rights may be ${RIGHTS.join(", ")}`);
  }
  if (paths !== undefined) namePattern(textOf(paths, `${at}, paths`));
  return {
    matches: (claims) => wanted.every(([name, any]) => any.some((test) => holds(claims, name, test))),
    rights: list as Right[],
    ...(paths !== undefined && { paths: paths as string }),
  };
}

function holds(
  claims: Readonly<Record<string, unknown>>,
  name: string,
  test: (text: string) => boolean,
): boolean {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined;
  const values = Array.isArray(value) ? value : [value];
  return values.some((one) => ["string", "number", "boolean"].includes(typeof one) && test(String(one)));
}

function objectOf(value: unknown, at: string, known?: readonly string[]): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw fault(at, "want an object");
  const strange = known && Object.keys(value).find((key) => !known.includes(key));
  if (strange !== undefined) throw fault(at, `${JSON.stringify(strange)} is not known here`);
  return value as Record<string, unknown>;
}

function listOf(value: unknown, at: string): unknown[] {
  if (Array.isArray(value) && value.length > 0 && value.length <= MOST) return value;
  throw fault(at, `want a list of 1 to ${MOST}`);
}

function textOf(value: unknown, at: string): string {
  if (typeof value === "string" && value.length > 0 && value.length <= 1000) return value;
  throw fault(at, "want a text");
}

function urlOf(value: unknown, at: string): string {
  const text = textOf(value, at);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "https:" || (url?.protocol === "http:" && isLoopbackHost(url.hostname))) return text;
  throw fault(at, "want a URL with https");
}

function fault(at: string, why: string): FormatError {
  return new FormatError("oidc", `Cannot use the OIDC configuration: ${at && at + ": "}${why}`);
}
