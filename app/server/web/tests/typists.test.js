import assert from "node:assert/strict";
import test from "node:test";
import { Typists } from "../compose/typists.js";
import { FakeClock } from "./fake_clock.js";

const plum = { room: "vault", member: "p", name: "Plum" };

test("typing fades unless it is said again, and ends with the message", () => {
  const clock = new FakeClock();
  const changes = [];
  const typists = new Typists(clock, (room) => changes.push([room, typists.names(room).length]));
  typists.typing(plum);
  clock.pass(4_000);
  typists.typing(plum);
  clock.pass(4_000);
  assert.deepEqual(typists.names("vault"), ["Plum"]);
  clock.pass(1_000);
  assert.deepEqual(typists.names("vault"), []);
  typists.typing(plum);
  typists.stopped("vault", "p");
  typists.stopped("vault", "p");
  assert.deepEqual(changes.map(([, count]) => count), [1, 1, 0, 1, 0]);
});

test("others are told now and then, and soon after something was said", () => {
  const clock = new FakeClock();
  const typists = new Typists(clock, () => {});
  assert.deepEqual([typists.due(), typists.due()], [true, false]);
  clock.pass(3_000);
  assert.equal(typists.due(), true);
  typists.said();
  assert.equal(typists.due(), false, "the server would drop it");
  clock.pass(1_000);
  assert.deepEqual([typists.due(), typists.due()], [true, false]);
});
