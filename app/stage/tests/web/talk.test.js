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
