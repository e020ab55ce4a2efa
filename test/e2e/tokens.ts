/** A token key for servers under test, and users of nix who have a token of it, as stock nix keeps one: in a netrc file. */
import { KEY_TEXT, tokenFor } from "../server/access/_tokens.ts";
import { type Nix, User } from "./nix.ts";

/** What a server or an endpoint is told, to take tokens. */
export const TOKEN_ENV = { FIRN_TOKEN_KEY: KEY_TEXT };

/** A token that may write. */
export const WRITER = await tokenFor({ name: "test", rights: ["read", "write"] });

/** A user who may write on servers of this machine. */
export async function writer(nix: Nix, home: string, ...settings: string[]): Promise<User> {
  const netrc = `${home}.netrc`;
  await Deno.writeTextFile(netrc, `machine 127.0.0.1\nlogin firn\npassword ${WRITER}\n`, { mode: 0o600 });
  return new User(nix, home, [`netrc-file = ${netrc}`, ...settings]);
}
