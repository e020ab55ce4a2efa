/**
 * firn push through real nginx, which refuses bodies over 1 MiB: what does not fit is told, and what is sent in pieces arrives.
 */
import assert from "node:assert/strict";
import { tool } from "../needs.ts";
import { debianClosure } from "./closures.ts";
import { Nginx } from "./nginx.ts";
import { nixTest, User } from "./nix.ts";
import { pull } from "./pull.ts";
import { attemptPush, push } from "./push.ts";
import { FirnServer } from "./server.ts";

const MIB = 2 ** 20;

nixTest(
  "through nginx that refuses long bodies: told, and then in pieces",
  "new",
  async (nix, folder) => {
    const closure = await debianClosure(`${folder}/builder`, "xz-utils");
    await using server = await FirnServer.start(`${folder}/store`);
    await using nginx = await Nginx.start(server.url, `${folder}/nginx`);
    const copy = await new User(nix, `${folder}/copier`).attempt(
      ...["nix", "copy", "--to", `${nginx.url}?compression=none`, closure.root] as const,
    );
    assert.notEqual(copy.code, 0, "nix copy cannot");
    const { code, stderr } = await attemptPush([closure.root, "--no-compress", "--to", nginx.url]);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /^firn: Cannot push to http:\/\/\S+: something is too long for it, or for what stands before it; try a --max-body under 4.00 MiB \(413 [A-Za-z ]+\)\n$/m,
    );
    for (const more of [["--no-compress"], []]) {
      const before = (await nginx.requests()).length;
      const pushed = await push([closure.root, "--max-body", "1M", ...more, "--to", nginx.url]);
      const requests = (await nginx.requests()).slice(before);
      assert.ok(
        requests.every(({ status, length }) => status === 200 && length <= MIB),
        "nothing was refused",
      );
      assert.equal(pushed.sent.length + pushed.there.length, closure.paths.length);
      if (more.length > 0) {
        assert.ok(requests.filter(({ length }) => length > 0.7 * MIB).length >= 5, "bodies are filled");
      } else assert.equal(pushed.sent.length, 0);
    }
    await pull(new User(nix, `${folder}/puller`), server.url, closure, `${folder}/pulled`);
  },
  tool("nginx", "nginx-light"),
  tool("xz", "xz-utils"),
  tool("dpkg-query", "dpkg"),
);

nixTest(
  "through nginx: one folder of so many names that their list is longer than a body",
  "old",
  async (nix, folder) => {
    await using server = await FirnServer.start(`${folder}/store`);
    await using nginx = await Nginx.start(server.url, `${folder}/nginx`);
    await Deno.mkdir(`${folder}/tree`);
    for (let i = 0; i < 4500; i++) {
      Deno.writeTextFileSync(
        `${folder}/tree/${"a name that is quite long, as names go, ".repeat(5)}${i}`,
        `file ${i}`,
      );
    }
    const pushed = await push([`${folder}/tree`, "--max-body", "1M", "--no-compress", "--to", nginx.url]);
    const requests = await nginx.requests();
    assert.ok(requests.every(({ status, length }) => status === 200 && length <= MIB));
    assert.ok(requests.some(({ path }) => path === "/directory?joined"));
    const user = new User(nix, `${folder}/user`);
    await user.nixCommand("copy", "--from", server.url, "--to", `${folder}/pulled`, pushed.roots[0]);
    const names = [...Deno.readDirSync(`${folder}/pulled${pushed.roots[0]}`)];
    assert.equal(names.length, 4500);
  },
  tool("nginx", "nginx-light"),
);
