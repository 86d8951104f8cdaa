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
