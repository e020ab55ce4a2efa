/** The token that this program shows another server: from a file or the environment, and in no message. */
import { UsageError } from "./usage.ts";

/** Where a token may be given. */
export interface TokenPlaces {
  /** The option that names a file, and the variable that holds the token itself. */
  readonly option: string;
  readonly variable: string;
}

/** The token, if there is one. Throws {@link UsageError}. */
export async function readToken(
  file: string | undefined,
  environment: (name: string) => string | undefined,
  { option, variable }: TokenPlaces = { option: "--token-file", variable: "FIRN_TOKEN" },
): Promise<string | undefined> {
  if (file === undefined) {
    const token = environment(variable)?.trim();
    return token ? checked(token, variable) : undefined;
  }
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (cause) {
    throw new UsageError(`Cannot read ${option} ${file}: ${(cause as Error).message}`);
  }
  return checked(text.trim(), `${option} ${file}`);
}

function checked(token: string, where: string): string {
  // What RFC 6750 allows.
  if (/^[A-Za-z0-9._~+/-]+=*$/.test(token)) return token;
  throw new UsageError(`Cannot use ${where}: want a token in one line, and nothing else`);
}
