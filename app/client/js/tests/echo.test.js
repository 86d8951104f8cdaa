import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test from "node:test";
import { fileURLToPath } from "node:url";

const HERE = fileURLToPath(new URL("..", import.meta.url));
const BINARY = process.env.ROLLCALL_SERVER ?? join(HERE, "../../../target/debug/rollcall-server");
// Node 20 has it behind a flag.
const FLAGS = globalThis.WebSocket ? [] : ["--experimental-websocket"];

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  return port;
}

/** A line of what a program says that has these words. */
async function line(stream, words) {
  for await (const text of createInterface({ input: stream })) if (text.includes(words)) return text;
  throw new Error(`it ended without ${words}`);
}

/** A replica on the in-memory log, for as long as the test runs. */
async function served(t) {
  const [port, admin] = [await freePort(), await freePort()];
  const { REDIS_URL: _, ...env } = process.env;
  const server = spawn(BINARY, { env: { ...env, PORT: port, ADMIN_PORT: admin, REPLICA: "solo" }, stdio: ["ignore", "pipe", "pipe"] });
  t.after(() => server.kill("SIGKILL"));
  await Promise.race([line(server.stdout, "feeds are read"), line(server.stderr, "feeds are read")]);
  server.stdout.resume();
  server.stderr.resume();
  return `http://127.0.0.1:${port}`;
}

async function echoes(t, example) {
  const url = await served(t);
  const bot = spawn(process.execPath, [...FLAGS, example, url], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => bot.kill("SIGKILL"));
  await line(bot.stdout, "served by solo");
  const room = `${url}/api/v1/rooms/lobby/messages`;
  const said = { client: "0123456789abcdef".repeat(2), name: "Ada", n: 1, text: "!echo hello, all" };
  const headers = { "content-type": "application/json" };
  assert.equal((await fetch(room, { method: "POST", headers, body: JSON.stringify(said) })).status, 200);
  const heard = [];
  for (let cursor = "0-0"; !heard.includes("Echo: hello, all"); ) {
    const { data } = await (await fetch(`${room}?after=${cursor}&wait=25`)).json();
    heard.push(...data.messages.map(({ name, text }) => `${name}: ${text}`));
    cursor = data.cursor;
  }
  assert.deepEqual(heard, ["Ada: !echo hello, all", "Echo: hello, all"]);
  bot.kill("SIGINT");
  const [code] = await once(bot, "exit");
  assert.equal(code, 0, "nothing keeps it running once it has left");
}

test("the example answers at a real server", { timeout: 60_000 }, (t) => echoes(t, join(HERE, "examples/echo.js")));

test("packed it stands alone, and has nothing of the page", { timeout: 60_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "rollcall-client-"));
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync(process.execPath, [join(HERE, "pack.js"), folder]);
  const shared = readdirSync(join(folder, "shared"), { recursive: true });
  for (const page of ["page.js", "main.js", "element.js", "storage.js", "talk", "shell"]) assert.ok(!shared.includes(page), page);
  assert.ok(existsSync(join(folder, "shared/outbox.js")));
  await echoes(t, join(folder, "examples/echo.js"));
});
