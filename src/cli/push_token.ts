/** The token that `firn push` shows a server: from a file or the environment, and in no message. */
import { UsageError } from "./usage.ts";

/** The token, if there is one. Throws {@link UsageError}. */
export async function readToken(
  file: string | undefined,
  environment: (name: string) => string | undefined,
): Promise<string | undefined> {
  if (file === undefined) {
    const token = environment("FIRN_TOKEN")?.trim();
    return token ? checked(token, "FIRN_TOKEN") : undefined;
  }
  let text: string;
  try {
    text = await Deno.readTextFile(file);
  } catch (cause) {
    throw new UsageError(`Cannot read --token-file ${file}: ${(cause as Error).message}`);
  }
  return checked(text.trim(), `--token-file ${file}`);
}

function checked(token: string, where: string): string {
  // What RFC 6750 allows.
  if (/^[A-Za-z0-9._~+/-]+=*$/.test(token)) return token;
  throw new UsageError(`Cannot use ${where}: want a token in one line, and nothing else`);
}
