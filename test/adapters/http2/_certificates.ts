/** A self-signed certificate for localhost and 127.0.0.1, made by openssl once for each file of tests. */
import { tool } from "../../needs.ts";

export const openssl = tool("openssl", "openssl");

/** PEM. The certificate is its own root. */
export async function makeCertificate(): Promise<{ key: string; cert: string }> {
  const folder = await Deno.makeTempDir();
  try {
    const { success, stderr } = await new Deno.Command("openssl", {
      args:
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key -out cert -days 2 -subj /CN=localhost"
          .split(" ").concat("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
      cwd: folder,
    }).output();
    if (!success) throw new Error(`Cannot make a certificate: ${new TextDecoder().decode(stderr)}`);
    return {
      key: await Deno.readTextFile(`${folder}/key`),
      cert: await Deno.readTextFile(`${folder}/cert`),
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
