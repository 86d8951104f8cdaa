// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Colours } from "../hall/colours.js";
import { proposed } from "../hall/names.js";
import { Notices } from "../hall/notice.js";
import { asked, here, read, vote } from "../hall/said.js";
import { Tally } from "../hall/tally.js";
import { cleanName } from "../words.js";
import { FakeClock } from "./fake_clock.js";

/** @param {number} at @param {number} prev @param {object} [more] @returns {any} */
const message = (at, prev, more = {}) => ({ room: "the-plan", id: `${at}-0`, prev: `${prev}-0`, n: at, text: "x", ...more });

test("a whole chain is all of it, over rooms and reloads", () => {
  let tally = new Tally();
  tally.entered("the-plan", "5-0");
  tally.entered("hall", null);
  tally.message(message(6, 5), false);
  tally.message(message(1, 0, { room: "hall" }), false);
  tally.served(null);
  tally = new Tally(JSON.parse(JSON.stringify(tally)));
  // It is where it was, whatever the cursor of the room is said to be.
  tally.entered("the-plan", "6-0");
  tally.message(message(9, 6), true);
  tally.served(null);
  assert.ok(tally.isWhole);
  assert.equal(tally.receipt, "moved twice, 3 of 3, longest silence 0 ms");
});

test("what is missing, comes twice or cannot be known is told as it is", () => {
  const missing = new Tally();
  missing.entered("the-plan", "5-0");
  missing.message(message(7, 6), false);
  assert.deepEqual([missing.receipt, missing.isWhole], ["moved never, 1 of 2, longest silence 0 ms", false]);
  const doubled = new Tally();
  doubled.message(message(6, 5), false);
  doubled.message(message(6, 5), false);
  // Ours, as two entries of the log.
  doubled.message(message(7, 6, { n: 1 }), true);
  doubled.message(message(8, 7, { n: 1 }), true);
  assert.deepEqual([doubled.got, doubled.doubled, doubled.isWhole], [3, 2, false]);
  const gap = new Tally();
  gap.entered("the-plan", "5-0");
  gap.gap({ room: "the-plan", resumes_at: "8-0" });
  gap.message(message(9, 8), false);
  assert.deepEqual([gap.missing, gap.gaps, gap.isWhole], [0, 1, false]);
});

test("a connection that was lost is no move, and the longest silence stays", () => {
  const tally = new Tally();
  tally.served(1_400.4);
  tally.served(20);
  tally.served(null);
  assert.deepEqual([tally.moves, tally.cuts, tally.silence], [1, 2, 1_400]);
});

test("a tap is right within a second of one's own move, before it or after", () => {
  const clock = new FakeClock();
  /** @type {boolean[]} */
  const judged = [];
  const notices = new Notices(clock, (isRight) => judged.push(isRight));
  notices.tapped();
  assert.ok(!notices.takesTaps);
  clock.pass(1_001);
  assert.ok(notices.takesTaps);
  assert.deepEqual(judged, [false]);
  notices.tapped();
  clock.pass(900);
  notices.moved();
  assert.deepEqual(judged, [false, true]);
  clock.pass(900);
  assert.ok(!notices.takesTaps, "this move is noticed");
  clock.pass(200);
  assert.ok(notices.takesTaps);
  notices.moved();
  clock.pass(900);
  notices.tapped();
  assert.deepEqual(judged, [false, true, true]);
  clock.pass(200);
  notices.tapped();
  clock.pass(2_000);
  assert.deepEqual(judged, [false, true, true, false]);
});

test("a tap that nobody was there to hear is judged when the phone is served again", () => {
  const clock = new FakeClock();
  /** @type {boolean[]} */
  const judged = [];
  const notices = new Notices(clock, (isRight) => judged.push(isRight));
  notices.away();
  clock.pass(5_000);
  notices.tapped();
  clock.pass(5_000);
  assert.ok(notices.isJudging);
  notices.moved();
  assert.deepEqual(judged, [true]);
  clock.pass(1_001);
  // The second one was on its way when the connection was lost.
  notices.tapped();
  clock.pass(500);
  notices.away();
  clock.pass(5_000);
  notices.moved();
  assert.deepEqual(judged, [true, true]);
  clock.pass(1_001);
  notices.tapped();
  clock.pass(1_001);
  assert.deepEqual(judged, [true, true, false]);
});

test("what phones say in the hall is read, and talk is not", () => {
  assert.deepEqual(read(vote(2, "r2")), { is: "vote", round: 2, for: "r2" });
  const answer = here(3, { got: 1204, missing: 0, moves: 2, silence: 0 });
  assert.equal(answer, "here 3 1204 of 1204, moved 2, silent 0 ms");
  assert.deepEqual([read("noticed"), read(answer)], [{ is: "noticed" }, { is: "here", round: 3 }]);
  for (const text of ["vote", "vote r2", "vote 2", "here", "here I am", "vote 1 r1 r2", "vote 1 <b>", `vote 1 ${"x".repeat(17)}`, "I noticed", "ask 1 r1", "roll call 1"]) assert.equal(read(text), null, text);
});

test("what the hall is asked is its topic, and any other topic asks nothing", () => {
  assert.deepEqual(asked("ask 1 r1 r2 r3"), { is: "ask", round: 1, of: ["r1", "r2", "r3"] });
  assert.deepEqual(asked("roll call 12"), { is: "roll call", round: 12, of: [] });
  const none = ["", "Welcome", "ask r1", "ask 1", "ask 1 <b>", `ask 1${" r".repeat(10)}`, `ask 1 ${"x".repeat(17)}`, "ask 1  r1", "roll call", "roll call 1 r1"];
  for (const topic of none) assert.equal(asked(topic), null, topic);
});

test("another question ends the vote, and the same one told again does not", () => {
  let tally = new Tally();
  assert.ok(tally.asks({ is: "ask", round: 1, of: ["r1", "r2"] }));
  tally.vote = "r2";
  tally = new Tally(JSON.parse(JSON.stringify(tally)));
  assert.ok(!tally.asks({ is: "ask", round: 1, of: ["r1", "r2"] }));
  assert.equal(tally.vote, "r2");
  for (const round of [2, 0]) {
    assert.ok(tally.asks({ is: "ask", round, of: ["r1", "r2"] }));
    assert.deepEqual([tally.ballot, tally.vote], [["r1", "r2"], ""]);
    tally.vote = "r1";
  }
});

test("one answers a vote in one place and a roll call in another, and is told of it until one has looked", () => {
  let tally = new Tally();
  assert.deepEqual([tally.place, tally.isNew], [null, false]);
  tally.asks({ is: "ask", round: 0, of: ["r1"] });
  tally = new Tally(JSON.parse(JSON.stringify(tally)));
  assert.deepEqual([tally.place, tally.isNew], ["vote", true]);
  tally.isNew = false;
  tally.asks({ is: "roll call", round: 1, of: [] });
  assert.deepEqual([tally.place, tally.isNew], ["receipt", true]);
});

test("releases have the same colour for everybody, and two of them never one", () => {
  assert.deepEqual(["1.0.0", "1.1.0", "1.2.0"].map((release) => new Colours().of(release)), [0, 1, 2]);
  const late = new Colours();
  assert.equal(late.of("1.1.0"), 1);
  assert.equal(late.of("1.0.0"), 0);
  const clash = new Colours();
  assert.equal(new Set(["1.0.0", "2.2.0", "slow"].map((release) => clash.of(release))).size, 3);
  assert.equal(clash.of("2.2.0"), clash.of("2.2.0"));
});

test("a proposed name is one that the server takes", () => {
  for (const random of [0, 0.5, 0.9999]) {
    const name = proposed(() => random);
    assert.match(name, /^[A-Z][a-z]+ [A-Z][a-z]+$/u);
    assert.equal(cleanName(name), name);
  }
});
