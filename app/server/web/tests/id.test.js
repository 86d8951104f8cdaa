import assert from "node:assert/strict";
import test from "node:test";
import { compare, isId, successor, ZERO } from "../id.js";
import { seeded } from "./random.js";

test("orders by time, then sequence, as numbers", () => {
  for (const [less, more] of [
    ["9-9", "10-0"], ["10-0", "10-1"], ["10-9", "10-10"], [ZERO, "0-1"],
    // Two numbers that are one and the same to a double.
    ["9007199254740992-0", "9007199254740993-0"],
    ["1-18446744073709551614", "1-18446744073709551615"],
  ]) {
    assert.ok(compare(less, more) < 0, `${less} < ${more}`);
    assert.ok(compare(more, less) > 0, `${more} > ${less}`);
    assert.equal(compare(less, less), 0);
  }
});

test("agrees with big integers on random IDs", (t) => {
  const random = seeded(t);
  const part = () => BigInt(random(2 ** 32)) >> BigInt(random(32));
  for (let round = 0; round < 5_000; round += 1) {
    const [a, b] = [[part(), part()], [part(), part()]];
    const order = a[0] !== b[0] ? (a[0] < b[0] ? -1 : 1) : a[1] === b[1] ? 0 : a[1] < b[1] ? -1 : 1;
    assert.equal(Math.sign(compare(a.join("-"), b.join("-"))), order, `${a} against ${b}`);
  }
});

test("takes only what is an ID", () => {
  const others = ["", "-", "1", "1-", "-1", "+1-0", "1-0-0", "$", "1 -0", "1-0 ", "01-0", 7, null];
  assert.deepEqual(others.filter(isId), []);
  assert.ok(isId("1790000000000-12"));
  assert.throws(() => compare("1-0", "latest"), TypeError);
});

test("the successor is just after", () => {
  assert.equal(successor("1790000000000-9"), "1790000000000-10");
  assert.equal(successor("1-9007199254740992"), "1-9007199254740993");
});
