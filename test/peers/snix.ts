/**
 * Beside a running snix: each as the remote of the other, with real nix at the ends. Run where its binaries are:
 *
 *   SNIX_BIN=<folder with snix-store and nar-bridge> deno task peers
 */
import assert from "node:assert/strict";
import { sampler } from "../e2e/closures.ts";
import { nixTest, User } from "../e2e/nix.ts";
import { pull } from "../e2e/pull.ts";
import { FirnServer, pause } from "../e2e/server.ts";

const BIN = Deno.env.get("SNIX_BIN");
if (!BIN) throw new Error("Cannot run beside snix: SNIX_BIN names the folder of snix-store and nar-bridge");

/** The three addresses of a store that is one server. */
const storeAt = (address: string) => ({
  BLOB_SERVICE_ADDR: address,
  DIRECTORY_SERVICE_ADDR: address,
  PATH_INFO_SERVICE_ADDR: address,
});

function freeAddress(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
}

/** A server of snix. Leaving its scope ends it. */
class Peer implements AsyncDisposable {
  private constructor(readonly address: string, readonly child: Deno.ChildProcess) {}

  static async start(command: string, args: string[], env: Record<string, string>): Promise<Peer> {
    const address = freeAddress();
    const child = new Deno.Command(`${BIN}/${command}`, {
      args: ["--otlp=false", ...args, "--listen-address", address],
      env,
      stdin: "null",
      stdout: "null",
      stderr: "inherit",
    }).spawn();
    const [hostname, port] = address.split(":");
    for (let i = 0;; i++) {
      try {
        (await Deno.connect({ hostname, port: Number(port) })).close();
        return new Peer(address, child);
      } catch (error) {
        if (i === 200) throw error;
        await pause(50);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.status;
  }
}

/** A tree with folders in folders, whose Directories have different sizes by the two rules. */
async function makeTree(folder: string): Promise<void> {
  await Deno.mkdir(`${folder}/a/b/c`, { recursive: true });
  await Deno.mkdir(`${folder}/empty`);
  await Deno.writeTextFile(`${folder}/a/b/c/deep`, "deep");
  await Deno.writeTextFile(`${folder}/a/run`, "#!/bin/sh\n", { mode: 0o755 });
  await Deno.writeTextFile(`${folder}/nothing`, "");
  await Deno.symlink("a/run", `${folder}/link`);
  const large = new Uint8Array(5_000_001);
  for (let i = 0, state = 1; i < large.length; i++) {
    state = Math.imul(state, 1664525) + 1013904223;
    large[i] = state >>> 24;
  }
  await Deno.writeFile(`${folder}/large`, large);
}

for (const sizes of ["documented", "snix"]) {
  nixTest(
    `snix-store imports into firn with ${sizes} sizes, and nix copies it out of firn`,
    "old",
    async (nix, folder) => {
      await makeTree(`${folder}/tree`);
      await using firn = await FirnServer.start(`${folder}/store`, "--directory-sizes", sizes);
      const { code, stdout, stderr } = await new Deno.Command(`${BIN}/snix-store`, {
        args: ["--otlp=false", "import", `${folder}/tree`],
        env: storeAt(`grpc+http://${firn.grpc}`),
      }).output();
      assert.equal(code, 0, new TextDecoder().decode(stderr));
      const path = new TextDecoder().decode(stdout).trim();
      const user = new User(nix, `${folder}/user`);
      const added = (await user.nixStore("--add", `${folder}/tree`)).trim();
      assert.equal(path, added, "both name the tree by its contents alike");
      await user.nixCommand("copy", "--from", firn.url, "--to", `${folder}/pulled`, "--no-check-sigs", path);
      const check = await user.attempt(
        "nix-store",
        "--store",
        `${folder}/pulled`,
        "--verify",
        "--check-contents",
      );
      assert.equal(check.code, 0, check.stderr);
    },
  );

  nixTest(
    `nar-bridge on firn with ${sizes} sizes: what went into either comes out of both`,
    "old",
    async (nix, folder) => {
      const closure = await sampler(`${folder}/builder`);
      await using firn = await FirnServer.start(`${folder}/store`, "--directory-sizes", sizes);
      await using bridge = await Peer.start("nar-bridge", [], storeAt(`grpc+http://${firn.grpc}`));
      const user = new User(nix, `${folder}/user`);

      await user.push(`${firn.url}?compression=none`, closure.root);
      await pull(new User(nix, `${folder}/a`), `http://${bridge.address}`, closure, `${folder}/by bridge`);

      await using other = await FirnServer.start(`${folder}/other`, "--directory-sizes", sizes);
      await using through = await Peer.start("nar-bridge", [], storeAt(`grpc+http://${other.grpc}`));
      await new User(nix, `${folder}/b`).push(`http://${through.address}?compression=none`, closure.root);
      await pull(new User(nix, `${folder}/c`), other.url, closure, `${folder}/by firn`);
      await pull(new User(nix, `${folder}/d`), `http://${through.address}`, closure, `${folder}/back`);
    },
  );
}

nixTest("firn in front of a snix daemon: what goes in comes out of both", "old", async (nix, folder) => {
  const closure = await sampler(`${folder}/builder`);
  await using daemon = await Peer.start("snix-store", ["daemon"], {
    BLOB_SERVICE_ADDR: `objectstore+file://${folder}/blobs`,
    DIRECTORY_SERVICE_ADDR: `redb://${folder}/directories.redb`,
    PATH_INFO_SERVICE_ADDR: `redb://${folder}/pathinfo.redb`,
  });
  const remote = `grpc+http://${daemon.address}`;
  await using bridge = await Peer.start("nar-bridge", [], storeAt(remote));
  {
    await using firn = await FirnServer.start(
      remote,
      "--near",
      `${folder}/near`,
      "--directory-sizes",
      "snix",
    );
    await new User(nix, `${folder}/a`).push(`${firn.url}?compression=none`, closure.root);
    await pull(new User(nix, `${folder}/b`), firn.url, closure, `${folder}/by firn`);
    await pull(new User(nix, `${folder}/c`), `http://${bridge.address}`, closure, `${folder}/by bridge`);
  }
  // One that has kept nothing reads all of it from there.
  await using fresh = await FirnServer.start(remote, "--near", `${folder}/fresh`);
  await pull(new User(nix, `${folder}/d`), fresh.url, closure, `${folder}/fresh out`);
});
