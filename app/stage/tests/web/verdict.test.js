// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Links } from "../../web/links.js";
import { Model } from "../../web/model.js";
import { crowd, headline, reasons } from "../../web/verdict.js";

const held = { ok: true, clients: 300, absent: 0, messages: 1204, deliveries: 120_400, lost: 0, doubled: 0, reordered: 0 };

test("the roll call says the worst first, in words of a hall", () => {
  assert.equal(headline(held), "Everyone is here.");
  assert.equal(headline({ ...held, ok: false }), "Everyone is here, but not all was well.");
  assert.equal(headline({ ...held, ok: false, reordered: 1 }), "Not all came in order.");
  assert.equal(headline({ ...held, ok: false, reordered: 1, doubled: 1 }), "Some came twice.");
  assert.equal(headline({ ...held, ok: false, doubled: 1, lost: 12 }), "Not all arrived.");
  assert.equal(headline({ ...held, ok: false, absent: 2, lost: 12 }), "2 did not answer.");
  assert.equal(crowd({ ...held, absent: 2 }), "298 of 300 answered: 1,204 messages, heard 120,400 times");
});

test("what a release did is told by its name, and no broken promise is kept back", () => {
  assert.deepEqual(reasons(held), []);
  const [skipped, never, others] = reasons({ ...held, ok: false, lost: 14, skipped: { forgetful: 12 }, broken: ["lost", "failed_sends", "leaks"] });
  assert.match(skipped, /^forgetful passed over a message 12 times\./u);
  assert.equal(never, "2 never arrived at all.");
  assert.equal(others, "Besides, messages were refused; leaks.");
});

test("how an act ended is read, and not how the deploy in it did", () => {
  const model = new Model();
  model.apply({ at: 1, event: "act", act: "bad", is: "begin", words: "A release with errors" });
  model.apply({ at: 2, event: "phase", phase: "deploy", is: "begin", what: "rolling to bad" });
  model.apply({ at: 3, event: "phase", phase: "deploy", is: "end", outcome: "failed" });
  model.apply({ at: 4, event: "act", act: "bad", is: "end", words: "Refused" });
  assert.equal(model.scene.words, "Refused");
  model.apply({ at: 5, event: "phase", phase: "deploy", is: "begin", what: "rolling to 1.1.0" });
  assert.equal(model.scene.words, "Rolling to 1.1.0");
});

test("a verdict stays until another act begins", () => {
  const model = new Model();
  model.apply({ at: 1, event: "act", act: "roll-call", is: "begin", words: "Calling the roll" });
  model.apply({ at: 2, event: "verdict", ...held });
  model.apply({ at: 3, event: "act", act: "roll-call", is: "end", words: "" });
  assert.equal(model.verdict?.messages, 1204);
  model.apply({ at: 4, event: "act", act: "doors", is: "begin", words: "The doors open" });
  assert.equal(model.verdict, null);
});

test("what a witness missed when the next came stays red, although it is given it later", () => {
  const links = new Links();
  for (const witness of [0, 1]) links.add(1, { id: "1-1", prev: "0-0", member: "m", name: "M", witness });
  links.missed("2-1");
  for (const witness of [0, 1]) {
    for (const [id, prev] of [["2-1", "1-1"], ["3-1", "2-1"]]) links.add(2, { id, prev, member: "m", name: "M", witness });
  }
  assert.deepEqual(links.list.map(({ isLost }) => isLost), [false, true, false]);
});

test("what was removed is not talked any more", () => {
  const model = new Model();
  const said = { event: "message", room: "", member: "m", name: "M", prev: "0-0", witness: 0 };
  model.apply({ ...said, at: 1, id: "1-1", text: "rude" });
  model.apply({ ...said, at: 2, id: "2-1", text: "kind" });
  model.apply({ ...said, at: 3, id: "3-1", text: "", kind: "remove", of: "1-1" });
  assert.deepEqual(model.said.map(({ text }) => text), ["kind"]);
});
