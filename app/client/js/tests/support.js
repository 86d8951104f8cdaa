import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const HERE = fileURLToPath(new URL("..", import.meta.url));
const BINARY = process.env.ROLLCALL_SERVER ?? join(HERE, "../../../target/debug/rollcall-server");
const REDIS = process.env.ROLLCALL_REDIS_SERVER ?? "redis-server";
// Node 20 has it behind a flag.
const FLAGS = globalThis.WebSocket ? [] : ["--experimental-websocket"];

/** Each file of tests is a process, several at a time, and each has a hundred ports of its own. */
let nextPort = 24_000 + (process.pid % 80) * 100;

/** Of those that no connection is given for its own end: one whose server is dead stays free until that is started again. */
async function freePort() {
  for (;;) {
    const port = nextPort++;
    const probe = createServer().listen(port, "127.0.0.1");
    const free = await once(probe, "listening").then(() => true, () => false);
    probe.close();
    if (free) return port;
  }
}

/** What each test has to undo. @type {WeakMap<object, (() => unknown)[]>} */
const undoing = new WeakMap();

/** Undone is the last thing first: a program ends before the folder goes that it writes into. */
function atEnd(t, undo) {
  if (!undoing.has(t)) {
    const all = [];
    undoing.set(t, all);
    t.after(async () => {
      while (all.length > 0) await all.pop()();
    });
  }
  undoing.get(t).push(undo);
}

/** A folder that is gone after the test. */
export function folder(t) {
  const made = mkdtempSync(join(tmpdir(), "rollcall-client-"));
  atEnd(t, () => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** A program that tells line by line what it does. */
export class Program {
  constructor(t, command, words, env = process.env) {
    this.process = spawn(command, words, { env, stdio: ["pipe", "pipe", "inherit"] });
    this.ended = once(this.process, "exit");
    atEnd(t, () => this.kill());
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
  }

  /** One of Node's, which may use WebSockets. */
  static node(t, ...words) {
    return new Program(t, process.execPath, [...FLAGS, ...words]);
  }

  /** The next line with these words. */
  async until(words) {
    for (let next; !(next = await this.lines.next()).done; ) if (next.value.includes(words)) return next.value;
    throw new Error(`it ended without ${words}`);
  }

  say(line) {
    this.process.stdin.write(`${line}\n`);
  }

  async kill() {
    this.process.kill("SIGKILL");
    await this.ended;
  }
}

/** A Redis of the test's own. */
export async function redis(t) {
  const port = await freePort();
  const words = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder(t)];
  await new Program(t, REDIS, words.map(String)).until("Ready to accept connections");
  return `redis://127.0.0.1:${port}`;
}

/** A replica, on the in-memory log unless there is a Redis; it can be killed and started again. */
export class Server {
  constructor(t, redisUrl) {
    this.t = t;
    this.redisUrl = redisUrl;
  }

  async start() {
    this.port ??= await freePort();
    this.admin ??= await freePort();
    const { REDIS_URL: _, ...env } = process.env;
    if (this.redisUrl) env.REDIS_URL = this.redisUrl;
    const own = { PORT: this.port, ADMIN_PORT: this.admin, REPLICA: "solo", LOG_LEVEL: "error" };
    this.program = new Program(this.t, BINARY, [], { ...env, ...own });
    this.program.process.stdout.resume();
    while (!(await fetch(`${this.url}/readyz`).then(({ ok }) => ok, () => false))) {
      if (this.program.process.exitCode !== null) throw new Error("the server ended");
      await pause(20);
    }
    return this;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  kill() {
    return this.program.kill();
  }

  async post(room, body) {
    const headers = { "content-type": "application/json" };
    const address = `${this.url}/api/v1/rooms/${room}/messages`;
    return fetch(address, { method: "POST", headers, body: JSON.stringify(body) });
  }

  /** The room's messages from the first on, each as `name: text`, once the last one is as expected. */
  async until(room, last) {
    const heard = [];
    for (let cursor = "0-0"; heard.at(-1) !== last; ) {
      const { data } = await (await fetch(`${this.url}/api/v1/rooms/${room}/messages?after=${cursor}&wait=25`)).json();
      heard.push(...data.messages.map(({ name, text }) => `${name}: ${text}`));
      cursor = data.cursor;
    }
    return heard;
  }
}
