/**
 * Who asks S3, and where: from the environment variables and the files that the AWS tools read, in their order.
 *
 *   AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN    credentials
 *   AWS_REGION, AWS_DEFAULT_REGION                                 the region
 *   AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL                          a service that is not Amazon's
 *   AWS_PROFILE                                                    the section of the files; default `default`
 *   AWS_SHARED_CREDENTIALS_FILE, AWS_CONFIG_FILE                   the files; default ~/.aws/credentials, ~/.aws/config
 */
import type { S3Credentials } from "../adapters/s3/open_s3.ts";
import { UsageError } from "./usage.ts";

/** Where settings are found. */
export interface S3Settings {
  /** An environment variable. */
  env(name: string): string | undefined;
  /** The text of a file; `undefined` if it is not there, or may not be read. */
  read(path: string): Promise<string | undefined>;
}

/** This process's environment, and the files it may read. Nobody is asked for permission. */
export const processSettings: S3Settings = {
  env: (name) => Deno.env.get(name),
  async read(path) {
    if ((await Deno.permissions.query({ name: "read", path })).state !== "granted") return undefined;
    try {
      return await Deno.readTextFile(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
        return undefined;
      }
      throw new UsageError(`Cannot read ${path}: ${(error as Error).message}`);
    }
  },
};

/** What an address may say itself. */
export interface S3Given {
  readonly endpoint?: string;
  readonly region?: string;
  readonly profile?: string;
}

/** The endpoint and the region, as far as they are known. */
export async function settingsFor(
  settings: S3Settings,
  given: S3Given,
): Promise<Pick<S3Given, "endpoint" | "region">> {
  const env = (name: string) => settings.env(name) || undefined;
  const config = await profileOf(settings, "config", given.profile);
  return {
    endpoint: given.endpoint ?? env("AWS_ENDPOINT_URL_S3") ?? env("AWS_ENDPOINT_URL") ??
      config?.get("endpoint_url"),
    region: given.region ?? env("AWS_REGION") ?? env("AWS_DEFAULT_REGION") ?? config?.get("region"),
  };
}

/**
 * The credentials; those of a file as a function that reads it again, since who lends them puts new ones there. Throws
 * {@link UsageError}, which names what is missing.
 */
export async function credentialsFor(
  settings: S3Settings,
  profile: string | undefined,
): Promise<S3Credentials | (() => Promise<S3Credentials>)> {
  const accessKeyId = settings.env("AWS_ACCESS_KEY_ID");
  const secretAccessKey = settings.env("AWS_SECRET_ACCESS_KEY");
  if (profile === undefined && (accessKeyId || secretAccessKey)) {
    if (!accessKeyId) throw missing("AWS_SECRET_ACCESS_KEY is set and AWS_ACCESS_KEY_ID is not");
    if (!secretAccessKey) throw missing("AWS_ACCESS_KEY_ID is set and AWS_SECRET_ACCESS_KEY is not");
    return { accessKeyId, secretAccessKey, sessionToken: settings.env("AWS_SESSION_TOKEN") || undefined };
  }
  const read = () => credentialsInFiles(settings, profile);
  await read();
  return read;
}

async function credentialsInFiles(settings: S3Settings, profile: string | undefined): Promise<S3Credentials> {
  for (const file of ["credentials", "config"] as const) {
    const section = await profileOf(settings, file, profile);
    const accessKeyId = section?.get("aws_access_key_id");
    const secretAccessKey = section?.get("aws_secret_access_key");
    if (!accessKeyId && !secretAccessKey) continue;
    if (!accessKeyId || !secretAccessKey) {
      const which = accessKeyId ? "aws_secret_access_key" : "aws_access_key_id";
      throw missing(`the profile ${nameOf(settings, profile)} in ${pathOf(settings, file)} has no ${which}`);
    }
    return { accessKeyId, secretAccessKey, sessionToken: section!.get("aws_session_token") };
  }
  const where = pathOf(settings, "credentials") ?? "no file, for HOME is not set,";
  throw missing(
    `AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and ${where} has no profile ${
      nameOf(settings, profile)
    }` +
      " that may be read",
  );
}

function missing(what: string): UsageError {
  return new UsageError(`Cannot use S3 without credentials: ${what}`);
}

function nameOf(settings: S3Settings, profile: string | undefined): string {
  return profile ?? (settings.env("AWS_PROFILE") || "default");
}

function pathOf(settings: S3Settings, file: "credentials" | "config"): string | undefined {
  const named = settings.env(file === "config" ? "AWS_CONFIG_FILE" : "AWS_SHARED_CREDENTIALS_FILE");
  if (named) return named;
  const home = settings.env("HOME") || settings.env("USERPROFILE");
  return home && `${home}/.aws/${file}`;
}

/** What a file says of a profile. */
async function profileOf(
  settings: S3Settings,
  file: "credentials" | "config",
  profile: string | undefined,
): Promise<Map<string, string> | undefined> {
  const path = pathOf(settings, file);
  const text = path && await settings.read(path);
  if (!text) return undefined;
  const name = nameOf(settings, profile);
  const sections = parseSections(text);
  return file === "config" && name !== "default" ? sections.get(`profile ${name}`) : sections.get(name);
}

/** The sections of a file of `[name]`, `key = value` and comments. What is indented belongs to a key that is not ours. */
export function parseSections(text: string): Map<string, Map<string, string>> {
  const sections = new Map<string, Map<string, string>>();
  let section = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const head = /^\[\s*(.*?)\s*\]/.exec(line);
    if (head) {
      const name = head[1].replace(/\s+/g, " ");
      section = sections.get(name) ?? new Map();
      sections.set(name, section);
      continue;
    }
    const pair = /^([^\s#;=][^=]*?)\s*=\s*(.*?)\s*$/.exec(line);
    if (pair) section.set(pair[1].toLowerCase(), pair[2].replace(/\s+[#;].*$/, ""));
  }
  return sections;
}
