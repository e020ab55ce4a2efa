/** Signing keys, made by nix. */
import { outcomeOf, type User } from "./nix.ts";

/** Make a key pair. @param file where its secret half is put, as firn and nix read it */
export async function makeKey(
  user: User,
  name: string,
  file: string,
): Promise<{ file: string; publicKey: string }> {
  const secret = await user.nixCommand("key", "generate-secret", "--key-name", name);
  await Deno.writeTextFile(file, secret);
  const convert = user.start("nix", ["key", "convert-secret-to-public"], "piped");
  const writer = convert.stdin.getWriter();
  await writer.write(new TextEncoder().encode(secret));
  await writer.close();
  return { file, publicKey: (await outcomeOf(convert)).stdout.trim() };
}
