import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import test from "node:test";
import { folder, HERE, Program, Server } from "./support.js";

async function echoes(t, example) {
  const server = await new Server(t).start();
  const bot = Program.node(t, example, server.url);
  await bot.until("served by solo");
  const said = { client: "0123456789abcdef".repeat(2), name: "Ada", n: 1, text: "!echo hello, all" };
  assert.equal((await server.post("lobby", said)).status, 200);
  const heard = await server.until("lobby", "Echo: hello, all");
  assert.deepEqual(heard, ["Ada: !echo hello, all", "Echo: hello, all"]);
  bot.process.kill("SIGINT");
  const [code] = await bot.ended;
  assert.equal(code, 0, "nothing keeps it running once it has left");
}

test("the example answers at a real server", { timeout: 60_000 }, (t) => echoes(t, join(HERE, "examples/echo.js")));

test("the example is 20 lines", () => {
  assert.ok(readFileSync(join(HERE, "examples/echo.js"), "utf8").trim().split("\n").length <= 20);
});

test("it is packed into no folder that has something else in it", (t) => {
  const kept = join(folder(t), "kept.txt");
  writeFileSync(kept, "mine");
  const packed = spawnSync(process.execPath, [join(HERE, "pack.js"), dirname(kept)], { encoding: "utf8" });
  assert.equal(packed.status, 1);
  assert.match(packed.stderr, /has something else in it/u);
  assert.ok(existsSync(kept));
});

test("packed it stands alone, and has nothing of the page", { timeout: 60_000 }, async (t) => {
  const packed = folder(t);
  execFileSync(process.execPath, [join(HERE, "pack.js"), packed]);
  const shared = readdirSync(join(packed, "shared"), { recursive: true });
  for (const page of ["page.js", "main.js", "element.js", "storage.js", "talk", "shell"]) assert.ok(!shared.includes(page), page);
  assert.ok(existsSync(join(packed, "shared/outbox.js")));
  await echoes(t, join(packed, "examples/echo.js"));
});

test("npm would publish it, whole and without dependencies", { timeout: 60_000 }, (t) => {
  const packed = folder(t);
  execFileSync(process.execPath, [join(HERE, "pack.js"), packed]);
  const [told] = JSON.parse(execFileSync("npm", ["pack", "--dry-run", "--json"], { cwd: packed, encoding: "utf8" }));
  const about = JSON.parse(readFileSync(join(packed, "package.json"), "utf8"));
  const version = /^version = "(.+)"$/mu.exec(readFileSync(join(HERE, "../../../Cargo.toml"), "utf8"))?.[1];
  assert.equal(told.id, `rollcall-client@${version}`, "of the version of all else");
  assert.deepEqual([about.private, about.dependencies], [undefined, undefined]);
  const files = told.files.map(({ path }) => path);
  for (const file of ["index.js", "README.md", "LICENSE", "examples/echo.js", "shared/client.js", "package.json"]) {
    assert.ok(files.includes(file), file);
  }
  assert.ok(!files.some((path) => path.includes("test")), "no tests");
});
