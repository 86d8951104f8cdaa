import assert from "node:assert/strict";
import { join } from "node:path";
import test from "node:test";
import { folder, HERE, Program, redis, Server } from "./support.js";

const lines = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => `line ${from + at}`);
const speak = (t, server, file) => Program.node(t, join(HERE, "tests/speaker.js"), server.url, file);

test("what was said is there once, though the server is killed and started again", { timeout: 60_000 }, async (t) => {
  const server = await new Server(t, await redis(t)).start();
  const ada = speak(t, server, join(folder(t), "ada.json"));
  await ada.until("served");
  for (const line of lines(1, 30)) ada.say(line);
  await ada.until("acked line 5");
  await server.kill();
  await ada.until("interrupted");
  for (const line of lines(31, 40)) ada.say(line);
  await ada.until("kept line 40");
  await server.start();
  await ada.until("acked line 40");
  assert.deepEqual(await server.until("lobby", "Ada: line 40"), lines(1, 40).map((line) => `Ada: ${line}`));
});

test("… and though the program that said it dies as well: what it saved goes on", { timeout: 60_000 }, async (t) => {
  const server = await new Server(t, await redis(t)).start();
  const file = join(folder(t), "ada.json");
  const first = speak(t, server, file);
  await first.until("served");
  for (const line of lines(1, 30)) first.say(line);
  // Some are in the log, some are on their way, some wait.
  await first.until("acked line 5");
  await server.kill();
  for (const line of lines(31, 40)) first.say(line);
  await first.until("kept line 40");
  await first.kill();
  await server.start();
  const second = speak(t, server, file);
  await second.until("acked line 40");
  second.say("the end");
  const expected = [...lines(1, 40), "the end"].map((line) => `Ada: ${line}`);
  assert.deepEqual(await server.until("lobby", "Ada: the end"), expected);
});
