// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { audienceLine } from "../../web/audience.js";
import { Model } from "../../web/model.js";

const message = (room, id, text) => ({ event: "message", at: 1, room, id, prev: "0-0", member: "teal", name: "Teal", text, witness: 0 });

test("what phones say in the hall is counted and no talk", () => {
  const model = new Model();
  model.apply({ event: "stage", at: 0, room: "the-plan" });
  model.apply(message("hall", "1-0", "vote r2"));
  model.apply(message("the-plan", "1-0", "hello"));
  assert.deepEqual(model.said.map(({ text }) => text), ["hello"]);
  const audience = { votes: { r2: 1 }, noticed: 3, false_alarms: 2, answered: 0 };
  model.apply({ event: "figures", at: 2, ...model.figures, audience });
  assert.deepEqual(model.audience, audience);
  assert.equal(audienceLine(model.audience), "3 noticed · 2 false alarms");
  model.apply({ event: "figures", at: 3, ...model.figures, audience: undefined });
  assert.equal(audienceLine(model.audience), "");
});

test("what phones did is told in words that fit the number", () => {
  assert.equal(audienceLine({ noticed: 0, false_alarms: 1, answered: 0 }), "0 noticed · 1 false alarm");
  assert.equal(audienceLine({ noticed: 0, false_alarms: 0, answered: 1_204 }), "1,204 answered");
});

test("a release has its own colour, also where it is the first that is seen", () => {
  const model = new Model();
  const replica = (release) => ({ name: "r1", slots: [{ slot: "blue", release, state: "up" }] });
  model.apply({ event: "replicas", at: 0, replicas: [replica("1.1.0")] });
  assert.equal(model.colours.of("1.1.0"), 1);
});
