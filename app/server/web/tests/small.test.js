import assert from "node:assert/strict";
import test from "node:test";
import { backoff } from "../backoff.js";
import { isFinal } from "../close.js";
import { newKey, Participant } from "../participant.js";
import { Roster } from "../people/roster.js";

test("backoff has full jitter under a bound that doubles up to ten seconds", () => {
  const bounds = [0, 1, 2, 3, 4, 5, 6, 7, 60, 5000].map((attempt) => backoff(attempt, () => 1));
  assert.deepEqual(bounds, [200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000, 10000]);
  assert.equal(backoff(5, () => 0), 0);
  assert.equal(backoff(2, () => 0.25), 200);
});

test("refusals are final; restarts and broken connections are not", () => {
  const final = [1000, 1003, 1007, 1008, 1009, 4400, 4401, 4408];
  assert.deepEqual(final.filter((code) => !isFinal(code)), []);
  assert.deepEqual([1001, 1005, 1006, 1011, 1012, 1013].filter(isFinal), []);
});

test("a client key is 32 lower-case hex digits, new each time", () => {
  assert.match(newKey(), /^[0-9a-f]{32}$/);
  assert.notEqual(newKey(), newKey());
  assert.equal(newKey((bytes) => bytes.fill(7)), "07".repeat(16));
});

test("a participant comes back from its saved form with key, numbers and cursors", () => {
  const before = new Participant("ab".repeat(16), "Teal");
  before.room("vault").cursor = "5-0";
  before.room("vault").outbox.add("unsent");
  before.room("__proto__");
  const after = Participant.from(JSON.parse(JSON.stringify(before)));
  assert.deepEqual(JSON.stringify(after), JSON.stringify(before));
  assert.deepEqual([...after.cursors()], [["vault", "5-0"], ["__proto__", null]]);
  assert.equal(after.room("vault").outbox.add("next").n, 2);
});

test("a roster counts people that it cannot name, and nobody twice", () => {
  const roster = new Roster({ present: 300, members: [{ member: "a", name: "Teal" }] });
  roster.apply({ event: "join", member: "a", name: "Teal" });
  assert.equal(roster.present, 300);
  roster.apply({ event: "join", member: "b", name: "Plum" });
  roster.apply({ event: "leave", member: "unnamed", name: "Moss" });
  assert.equal(roster.present, 300);
  assert.deepEqual([...roster.names.values()], ["Teal", "Plum"]);
});
