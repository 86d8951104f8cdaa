import assert from "node:assert/strict";
import test from "node:test";
import { Recent } from "../recent.js";

const said = (ms, text = `#${ms}`, more = {}) =>
  ({ room: "vault", id: `${ms}-0`, prev: `${ms - 1}-0`, member: "p", name: "Plum", n: ms, text, at: ms, ...more });
const edit = (ms, of, text, more) => said(ms, text, { kind: "edit", of: `${of}-0`, ...more });
const remove = (ms, of) => said(ms, "", { kind: "remove", of: `${of}-0` });
const texts = (recent) => recent.messages.map(({ text }) => text);

test("an edit changes the message that it is about, and is none itself", () => {
  const recent = new Recent([said(1), said(2)]);
  assert.deepEqual(recent.add(edit(3, 1, "better")), { text: "better", edited: "3-0", removed: false });
  assert.deepEqual(texts(recent), ["better", "#2"]);
  assert.equal(recent.last.id, "2-0");
  assert.equal(recent.find("1-0").edited, "3-0");
});

test("what was removed stays removed, whatever comes after it", () => {
  const recent = new Recent([said(1), edit(2, 1, "secret"), remove(3, 1)]);
  recent.add(edit(4, 1, "again"));
  assert.deepEqual(texts(recent), [""]);
  assert.equal(recent.find("1-0").removed, true);
});

test("a change is known when one pages back to what it is about", () => {
  const recent = new Recent([edit(9, 3, "late")]);
  assert.equal(recent.now(said(3)).text, "late");
  assert.equal(recent.now(said(4)).text, "#4");
});

test("an older edit that is seen later changes nothing", () => {
  const recent = new Recent([edit(9, 3, "newest"), edit(5, 3, "older")]);
  assert.equal(recent.now(said(3)).text, "newest");
  const page = new Recent([said(1, "newest", { edited: "9-0" }), edit(2, 1, "older")]);
  assert.deepEqual(texts(page), ["newest"]);
  assert.equal(page.add(edit(9, 1, "", { removed: true })).text, "");
});

test("they are in the log's order, each once, and bounded", () => {
  const recent = new Recent([said(3), said(1), said(2), said(2)]);
  assert.deepEqual(texts(recent), ["#1", "#2", "#3"]);
  for (let ms = 4; ms < 500; ms += 1) recent.add(said(ms));
  assert.equal(recent.messages.length, 200);
  assert.equal(recent.last.id, "499-0");
  for (let ms = 500; ms < 2_000; ms += 1) recent.add(edit(ms, ms - 400, "x"));
  assert.ok(recent.changes.size <= 1_000);
});

test("unread are those after the cursor that others said; a notice is nobody's", () => {
  const recent = new Recent([said(1), said(2, "mine", { member: "me" }), said(3, "@Ada"), said(4, "x", { kind: "notice" }), said(5)]);
  const isOwn = ({ member }) => member === "me";
  const isToUs = ({ text }) => text === "@Ada";
  assert.deepEqual(recent.unread("1-0", isOwn, isToUs), { unread: 2, mentions: 1, first: "3-0" });
  assert.deepEqual(recent.unread("5-0", isOwn, isToUs), { unread: 0, mentions: 0, first: null });
  assert.equal(recent.unread(null, isOwn, isToUs).unread, 0);
});

test("a log that lost its end takes what was there along", () => {
  const recent = new Recent([said(1), said(2), said(3)]);
  recent.rewind("2-0");
  assert.deepEqual(texts(recent), ["#1", "#2"]);
  assert.equal(recent.forgetBefore("2-0"), true);
  assert.equal(recent.forgetBefore("2-0"), false);
});
