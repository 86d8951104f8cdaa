// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { Links, mostSeen } from "../../web/links.js";

/** @param {Links} links @param {number} witness @param {string[]} ids */
function tell(links, witness, ids, first = "0-0") {
  ids.forEach((id, index) => links.add(index, { id, prev: ids[index - 1] ?? first, member: "m", name: "M", release: "1", witness }));
}
const ids = (/** @type {Links} */ links) => links.list.map(({ id }) => id);

test("what two witnesses get is one chain", () => {
  const links = new Links();
  tell(links, 0, ["1-1", "1-20", "3-0"]);
  tell(links, 1, ["1-1", "1-20", "3-0"]);
  assert.deepEqual(ids(links), ["1-1", "1-20", "3-0"]);
  assert.ok(links.list.every(({ isCut, isLost, seen }) => !isCut && !isLost && seen[0] === 1 && seen[1] === 1));
});

test("a message that a witness passed without getting it is lost, and a link that follows nothing is cut", () => {
  const links = new Links();
  tell(links, 0, ["1-1", "2-1", "3-1"]);
  links.add(5, { id: "1-1", prev: "0-0", member: "m", name: "M", witness: 1 });
  links.add(6, { id: "3-1", prev: "2-1", member: "m", name: "M", witness: 1 });
  assert.deepEqual(links.list.map(({ isLost }) => isLost), [false, true, false]);
  for (const witness of [0, 1]) links.add(7, { id: "9-1", prev: "8-1", member: "m", name: "M", witness });
  assert.deepEqual(links.list.map(({ isCut }) => isCut), [false, false, false, true]);
});

test("one that comes twice to one witness is doubled", () => {
  const links = new Links();
  tell(links, 0, ["1-1", "1-1"]);
  assert.deepEqual(links.list.map(({ seen }) => seen[0]), [2]);
});

test("what a late witness did not hear before it came is not lost", () => {
  const links = new Links();
  tell(links, 0, ["1-1", "2-1", "3-1"]);
  tell(links, 1, ["3-1"], "2-1");
  assert.ok(links.list.every(({ isLost }) => !isLost));
});

test("the chain is bounded, and what is older than all of it is not taken in again", () => {
  const links = new Links();
  const many = Array.from({ length: 300 }, (_, index) => `${index + 1}-0`);
  tell(links, 0, many);
  assert.equal(links.list.length, 120);
  tell(links, 1, many.slice(0, 10));
  assert.equal(links.list[0].id, "181-0");
});

test("what comes twice to a witness that came later is two links, too", () => {
  const links = new Links();
  tell(links, 2, ["1-1", "2-1"]);
  tell(links, 2, ["2-1"], "1-1");
  assert.deepEqual(links.list.map(mostSeen), [1, 2]);
});
