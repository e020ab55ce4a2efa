/** Servers that want a token: for reading, in the place of the failure and in the settings; for pushing, in the form. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { narFile, narInfo, narInfoName, pathOf, treeNar } from "../server/_site.ts";
import { Between } from "./_between.ts";
import { assertAccessible, pageTest, PageWorld, PATIENCE, program, publish } from "./_world.ts";

const TOKEN = "eyJhbGciOiJFZERTQSJ9.e30.c2VjcmV0";
const OPEN = { "access-control-allow-origin": "*" };

/** Lets in who has the token. */
function wantsToken(request: Request): Response | undefined {
  if (request.headers.get("authorization") === `Bearer ${TOKEN}`) return undefined;
  return new Response("Cannot read this without a token\n", { status: 401, headers: OPEN });
}

pageTest(
  "a private cache says that it wants a token, takes it in the page, and alone gets it",
  async (folder, t) => {
    await using world = await PageWorld.open(folder);
    const { page, server } = world;
    const told: string[] = [];
    page.on("console", (message) => told.push(message.text()));
    page.on("framenavigated", (frame) => told.push(frame.url()));
    const base = await publish(server.url, "hello-1.0", program("1.0"));
    await using cache = new Between(server.url);
    cache.guard = wantsToken;
    const field = page.getByLabel(`Token for ${cache.url}`);
    const give = async (token: string) => {
      await field.fill(token);
      await page.getByRole("button", { name: "Use it, and try again" }).click();
    };
    const open = async (base: string, address = cache.url) => {
      await world.go("#/");
      await page.getByLabel("Store path or hash").fill(base);
      await page.getByLabel("Cache", { exact: true }).fill(address);
      await page.getByRole("button", { name: "Open", exact: true }).click();
    };

    await t.step("what is needed is said where it failed", async () => {
      await open(base);
      await page.getByRole("alert").getByText("without a token: 401 Cannot read this without a token")
        .waitFor();
      await field.waitFor();
      await page.getByText("Nothing yet").waitFor();
      await assertAccessible(page, "a token is wanted");
    });

    await t.step("another token is told as not accepted, and none as none", async () => {
      await give("no token at all");
      await page.getByRole("alert").getByText("Cannot use this as a token").waitFor();
      await give("another");
      await page.getByRole("alert").getByText("it does not accept the token").waitFor();
    });

    await t.step("with the token the path opens, and its files as they are looked at", async () => {
      await give(` Bearer ${TOKEN}\n`);
      await page.getByRole("heading", { level: 1, name: "hello-1.0" }).waitFor();
      await world.go(`#/path/${base}/files/share/default.nix`);
      await page.getByText("# A comment").waitFor();
      await page.getByRole("button", { name: "Fetch all" }).click();
      await page.getByText("hash verified").waitFor();
    });

    await t.step("it is kept, also for pages that the service worker gives", async () => {
      const next = await publish(server.url, "hello-2.0", program("2.0"));
      await page.reload();
      await open(next);
      await page.getByRole("heading", { level: 1, name: "hello-2.0" }).waitFor();
      await page.evaluate("navigator.serviceWorker.ready");
      cache.asked.length = 0;
      const text = await page.evaluate(
        `fetch("nix/store/${next}/share/default.nix").then((answer) => answer.text())`,
      );
      assert.match(text as string, /version = "2\.0"/);
      const asked = cache.of(/^(GET|POST) \/blob/);
      assert.ok(asked.length > 0, "the service worker fetches what is not here");
      assert.ok(asked.every(({ authorization }) => authorization === `Bearer ${TOKEN}`));
    });

    await t.step("it goes to no other origin: not to the page's server, not where it leads to", async () => {
      await using elsewhere = new Between(server.url);
      const [led, named] = ["led-1.0", "named-1.0"].map(pathOf);
      const files = await Promise.all(
        [led, named].map(async (base) => await narFile(await treeNar({ base }))),
      );
      const infos = [
        [led, narInfo(led, files[0])],
        [named, narInfo(named, files[1], { URL: `${elsewhere.url}/${files[1].url}` })],
      ];
      elsewhere.guard = (_, path) => {
        const file = files.find(({ url }) => path === `/${url}`);
        return file && new Response(file.bytes, { headers: OPEN });
      };
      cache.guard = (request, path) => {
        const refused = wantsToken(request);
        if (refused) return refused;
        if (path === "/firn.json") return new Response(null, { status: 404, headers: OPEN });
        const info = infos.find(([base]) => path === `/${narInfoName(base)}`);
        if (info) return new Response(info[1], { headers: OPEN });
        if (path === `/${files[0].url}`) {
          return new Response(null, {
            status: 302,
            headers: { ...OPEN, location: `${elsewhere.url}${path}` },
          });
        }
      };
      await page.reload(); // what was found of the cache before is forgotten
      for (const [base, name] of [[led, "led-1.0"], [named, "named-1.0"]]) {
        await open(base);
        await page.getByRole("heading", { level: 1, name }).waitFor();
      }
      assert.equal(elsewhere.of(/^GET \/nar\//).length, 2);
      assert.deepEqual(elsewhere.asked.filter(({ authorization }) => authorization !== null), []);
      assert.ok(cache.of(/^GET/).every(({ authorization }) => authorization === `Bearer ${TOKEN}`));
      cache.guard = wantsToken;
    });

    await t.step("it stands nowhere: not in an address, a log, the page, nor in the settings", async () => {
      await world.go("#/settings");
      await page.getByText(cache.url, { exact: true }).waitFor();
      await assertAccessible(page, "settings with a token");
      const seen = await page.evaluate("document.body.innerHTML + JSON.stringify({ ...localStorage })");
      for (const text of [...told, seen as string, server.log, ...cache.asked.map(({ path }) => path)]) {
        assert.ok(!text.includes(TOKEN), text);
      }
    });

    await t.step("the settings forget it, and take another", async () => {
      const third = await publish(server.url, "hello-3.0", program("3.0"));
      await page.getByRole("button", { name: `Forget the token for ${cache.url}` }).click();
      await page.getByText(cache.url, { exact: true }).waitFor({ state: "detached" });
      await open(third);
      await field.waitFor();
      await world.go("#/settings");
      await page.getByLabel("Server of the new token").fill(`${cache.url}/some/folder`);
      await page.getByLabel("New token", { exact: true }).fill(TOKEN);
      await page.getByRole("button", { name: "Add" }).last().click();
      await page.getByText(cache.url, { exact: true }).waitFor();
      await page.getByRole("button", { name: "Try again", exact: true }).click();
      await page.getByRole("heading", { level: 1, name: "hello-3.0" }).waitFor();
    });

    await t.step("the page's own server may be private", async () => {
      const own = await publish(server.url, "own-1.0", program("1.0"));
      await using home = new Between(server.url);
      home.guard = (request, path) =>
        /^\/(firn\.json|blob|directory|path-info|nar|.*\.narinfo)/.test(path)
          ? wantsToken(request)
          : undefined;
      await page.goto(`${home.url}/#/settings`);
      await page.getByRole("button", { name: "Remove the cache https://cache.nixos.org" }).click();
      await page.getByRole("button", { name: `Remove the cache ${home.url}` }).waitFor();
      await world.go("#/");
      await page.getByLabel("Store path or hash").fill(own);
      await page.getByRole("button", { name: "Open", exact: true }).click();
      await page.getByLabel(`Token for ${home.url}`).fill(TOKEN);
      await page.getByRole("button", { name: "Use it, and try again" }).click();
      await page.getByRole("heading", { level: 1, name: "own-1.0" }).waitFor();
    });
    world.assertSound();
  },
);

pageTest("a path is pushed with a token, and what is not allowed is said", async (folder, t) => {
  await using world = await PageWorld.open(folder, {}, "--allow-origin", "*");
  const { page, server } = world;
  await using target = new Between(server.url);
  target.guard = (request, path) => {
    const { method, headers } = request;
    if (path === "/firn.json") return undefined;
    const authorization = headers.get("authorization");
    const writes = method === "PUT" || path === "/blob/write";
    if (authorization === "Bearer reader" && writes) {
      return new Response("Cannot write: the token is for reading\n", { status: 403, headers: OPEN });
    }
    return authorization === "Bearer reader" ? undefined : wantsToken(request);
  };
  await Deno.writeFile(`${folder}/pushed-1.0.nar`, await treeNar(program("1.0")));
  await page.getByLabel("Files to open").setInputFiles(`${folder}/pushed-1.0.nar`);
  await page.getByRole("heading", { level: 1, name: "pushed-1.0" }).waitFor();
  const path = await page.locator(".title .store .mono").innerText();
  await page.getByRole("link", { name: "Push" }).click();
  await page.getByLabel("Server").fill(target.url);
  const push = async (token: string) => {
    for (const card of await page.getByRole("button", { name: /^Dismiss/ }).all()) await card.click();
    await page.getByLabel("Token, if it asks for one").fill(token);
    await page.getByRole("button", { name: "Push" }).click();
  };
  const narinfo = () => fetch(`${server.url}/${path.slice(11, 43)}.narinfo`);

  await t.step("without one, and with another's", async () => {
    await push("");
    await page.getByRole("alert").getByText("without a token: 401").waitFor();
    await push("another");
    await page.getByRole("alert").getByText("it does not accept the token").waitFor();
    await push("two words");
    await page.getByRole("alert").getByText("Cannot use this as a token").waitFor();
  });

  await t.step("with one that is for reading", async () => {
    await push("reader");
    const words = "the token does not allow this: 403 Cannot write: the token is for reading";
    await page.getByRole("alert").getByText(words).waitFor();
    const answer = await narinfo();
    await answer.body?.cancel();
    assert.equal(answer.status, 404, "nothing was published");
  });

  await t.step("with the right one", async () => {
    target.asked.length = 0;
    await push(TOKEN);
    await page.getByText("1 path sent").first().waitFor();
    const asked = target.of(/^(GET|PUT|POST)/);
    assert.ok(asked.some(({ method, path }) => method === "PUT" && path === "/path-info"));
    assert.ok(
      asked.filter(({ path }) => path !== "/firn.json").every(({ authorization }) =>
        authorization === `Bearer ${TOKEN}`
      ),
    );
    const answer = await narinfo();
    await answer.body?.cancel();
    assert.equal(answer.status, 200);
  });

  await t.step("the token of a push is not kept", async () => {
    await page.reload();
    await world.go("#/settings");
    await page.getByText("For caches that are private").waitFor();
    assert.equal(await page.getByRole("button", { name: /^Forget the token/ }).count(), 0);
  });
  world.assertSound();
});

/** What a command of firn prints. */
async function firn(...args: string[]): Promise<string> {
  const main = fileURLToPath(new URL("../../mod.ts", import.meta.url));
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", main, ...args],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

pageTest("a private firn: pushed to with one token, read from with another", async (folder, t) => {
  const key = `${folder}/token.key`;
  await Deno.writeTextFile(key, await firn("token", "key"), { mode: 0o600 });
  const [writer, reader] = await Promise.all(
    ["--write", "--read"].map((right) =>
      firn("token", "new", right, "--name", right.slice(2), "--expires", "1h", "--key", key)
    ),
  );
  await using world = await PageWorld.open(folder, {}, "--token-key", key, "--private");
  const { page, server } = world;
  await Deno.writeFile(`${folder}/pushed-1.0.nar`, await treeNar(program("1.0")));
  await page.getByLabel("Files to open").setInputFiles(`${folder}/pushed-1.0.nar`);
  await page.getByRole("heading", { level: 1, name: "pushed-1.0" }).waitFor();
  const path = await page.locator(".title .store .mono").innerText();
  const push = async (token: string) => {
    await page.getByLabel("Token, if it asks for one").fill(token);
    await page.getByRole("button", { name: "Push", exact: true }).click();
  };

  await t.step("a push wants a token that may write", async () => {
    await page.getByRole("link", { name: "Push" }).click();
    await push("");
    await page.getByRole("alert").getByText(/without a token: 401 /).waitFor();
    await push(reader);
    await page.getByRole("alert").getByText(/the token does not allow this: 403 Cannot write/).waitFor();
    await push(writer);
    await page.getByText("1 path sent").first().waitFor();
  });

  await t.step("another browser is asked for a token that may read", async () => {
    const other = await (await world.browser.newContext()).newPage();
    other.setDefaultTimeout(PATIENCE);
    other.on("dialog", (dialog) => world.errors.push(dialog.message()));
    await other.goto(`${server.url}/`);
    await other.getByLabel("Store path or hash").fill(path);
    await other.getByLabel("Cache", { exact: true }).fill(server.url);
    await other.getByRole("button", { name: "Open", exact: true }).click();
    await other.getByLabel(`Token for ${server.url}`).fill(reader);
    await other.getByRole("button", { name: "Use it, and try again" }).click();
    await other.getByRole("heading", { level: 1, name: "pushed-1.0" }).waitFor();
    await other.getByRole("button", { name: "Fetch all" }).click();
    await other.getByText("hash verified").waitFor();
    await other.close();
  });
  for (const token of [writer, reader]) assert.ok(!server.log.includes(token), server.log);
  world.assertSound();
});
