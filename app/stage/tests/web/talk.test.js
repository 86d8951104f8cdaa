// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Model } from "../../web/model.js";

test("what one witness brings later than the other is not said again", () => {
  const model = new Model();
  model.apply({ event: "stage", at: 0, room: "lobby" });
  const said = (number, witness) => model.apply({
    event: "message", at: 100 + number, room: "lobby", id: `${9 + number}-0`, prev: `${8 + number}-0`, member: "teal", name: "Teal", text: `m${number}`, witness,
  });
  for (let number = 0; number < 20; number += 1) said(number, 0);
  for (let number = 0; number < 10; number += 1) said(number, 1);
  assert.deepEqual(model.said.map(({ text }) => text).slice(-3), ["m17", "m18", "m19"]);
});

test("the steps of a deploy are gone when another act begins, unless it goes on", () => {
  const model = new Model();
  const deploy = (is) => model.apply({ event: "phase", at: 1, phase: "deploy", is, what: "rolling to 1.1.0", outcome: "done" });
  deploy("begin");
  model.apply({ event: "phase", at: 1, replica: "r1", phase: "start", is: "begin" });
  model.apply({ event: "act", at: 2, act: "mine", is: "begin" });
  assert.deepEqual([...model.steps.keys()], ["r1"]);
  deploy("end");
  model.apply({ event: "act", at: 3, act: "redis", is: "begin" });
  assert.deepEqual([...model.steps.keys()], []);
});

test("a deploy that found all as it was to be is nothing to show", () => {
  const model = new Model();
  const deploy = (is, outcome) => model.apply({ event: "phase", at: 1, phase: "deploy", is, what: "rolling to 1.0.0", outcome });
  deploy("begin");
  assert.equal(model.scene.words, "Rolling to 1.0.0");
  deploy("end", "done");
  assert.equal(model.scene.words, "");
  deploy("begin");
  deploy("end", "refused");
  assert.equal(model.scene.words, "Rolling to 1.0.0: refused");
});

test("a log that is away is told until the last witness has it again", () => {
  const model = new Model();
  const log = (at, witness, up) => model.apply({ event: "log", at, witness, up });
  log(1, 0, false);
  log(2, 1, false);
  assert.equal(model.scene.words, "The log is away: what is said waits");
  log(3, 0, true);
  assert.equal(model.scene.words, "The log is away: what is said waits");
  log(4, 1, true);
  assert.equal(model.scene.words, "The log is back");
  model.apply({ event: "gap", at: 5, room: "lobby", reason: "trimmed" });
  assert.equal(model.scene.words, "The log is back");
  model.apply({ event: "gap", at: 6, room: "lobby", reason: "rewound" });
  assert.equal(model.scene.words, "The log has lost what came last");
});

test("what the log has lost is told, whatever an act says of itself", () => {
  const model = new Model();
  model.apply({ event: "act", at: 1, act: "redis", is: "begin", words: "Redis stops" });
  assert.equal(model.scene.words, "Redis stops");
  model.apply({ event: "gap", at: 2, room: "lobby", reason: "rewound" });
  model.apply({ event: "act", at: 3, act: "redis", is: "end", words: "Redis is back, and so is every message" });
  assert.equal(model.scene.words, "The log has lost what came last");
  model.apply({ event: "act", at: 4, act: "back", is: "begin", words: "The way back" });
  assert.equal(model.scene.words, "The way back");
});
