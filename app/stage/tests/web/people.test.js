// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";
import { People } from "../../web/people.js";

const opened = (replica, number, member) => ({ is: "opened", replica, slot: "blue", number, member, name: member });
const step = (is, replica, number, more = {}) => ({ is, replica, slot: "blue", number, ...more });

/** Teal on r1, who is the only one. */
function teal() {
  const people = new People();
  people.apply(0, [opened("r1", 1, "teal"), step("live", "r1", 1)]);
  const [dot] = people.dots.values();
  return { people, dot };
}

test("somebody who is told to go moves to the connection they open next", () => {
  const { people, dot } = teal();
  people.apply(1_000, [step("goaway", "r1", 1, { in_ms: 500 })]);
  assert.equal(dot.goesAt, 1_500);
  people.apply(1_600, [{ ...opened("r2", 7, "teal"), ago_ms: 80 }, step("live", "r2", 7)]);
  assert.deepEqual([dot.seat, dot.from, dot.movedAt], [{ place: "r2/blue", seat: 0 }, { place: "r1/blue", seat: 0 }, 1_520]);
  people.apply(1_700, [step("closed", "r1", 1)]);
  assert.equal(dot.leftAt, Infinity);
  assert.equal(people.dots.size, 1);
});

test("somebody whose replica is gone waits where they were, and flies on from there", () => {
  const { people, dot } = teal();
  people.apply(1_000, [step("lost", "r1", 1)]);
  assert.equal(people.count("r1/blue"), 0);
  assert.equal(dot.lostAt, 1_000);
  people.apply(1_900, [opened("r2", 7, "teal")]);
  assert.deepEqual([dot.lostAt, dot.seat.place, dot.from?.place], [Infinity, "r2/blue", "r1/blue"]);
});

test("whoever closes without a word leaves, and whoever does not come back is given up", () => {
  const { people } = teal();
  people.apply(1_000, [step("closed", "r1", 1)]);
  people.expire(1_400);
  assert.equal(people.dots.size, 1, "seen leaving");
  people.expire(1_600);
  assert.equal(people.dots.size, 0);
  people.apply(2_000, [opened("r1", 2, "plum"), step("lost", "r1", 2)]);
  people.expire(13_900);
  assert.equal(people.dots.size, 1);
  people.expire(14_100);
  people.expire(14_600);
  assert.equal(people.dots.size, 0);
});

test("who closes first when told to go is waited for", () => {
  const { people, dot } = teal();
  people.apply(1_000, [step("goaway", "r1", 1, { in_ms: 0 }), step("closed", "r1", 1)]);
  people.apply(1_050, [opened("r2", 7, "teal")]);
  assert.equal(dot.seat.place, "r2/blue");
  assert.equal(people.dots.size, 1);
});

test("a move whose beginning is told after its end is one move of one dot", () => {
  const { people, dot } = teal();
  people.apply(1_080, [opened("r2", 7, "teal"), step("live", "r2", 7)]);
  people.apply(1_100, [step("goaway", "r1", 1, { in_ms: 0, ago_ms: 60 }), step("closed", "r1", 1)]);
  assert.deepEqual([...people.dots.values()], [dot]);
  assert.deepEqual([dot.seat.place, dot.from?.place, dot.movedAt, dot.lostAt], ["r2/blue", "r1/blue", 1_080, Infinity]);
  people.apply(2_000, [step("goaway", "r2", 7, { in_ms: 0 }), opened("r1", 9, "teal"), step("closed", "r2", 7)]);
  assert.equal(dot.seat.place, "r1/blue");
});

test("a person with two tabs is two dots, and each moves by itself", () => {
  const people = new People();
  people.apply(0, [opened("r1", 1, "teal"), opened("r2", 1, "teal")]);
  people.apply(1_000, [step("goaway", "r1", 1, { in_ms: 0 }), opened("r2", 2, "teal")]);
  assert.deepEqual([...people.dots.values()].map(({ seat }) => seat.place), ["r2/blue", "r2/blue"]);
});

/** A few people on two replicas before and after a crowd that comes and goes. @param {number} frame in ms */
function burst(frame) {
  const people = new People();
  const draw = (from, until) => { for (let at = from; at < until; at += frame) people.expire(at); };
  const crowd = Array.from({ length: 1_200 }, (_, nth) => nth + 100);
  people.apply(0, [1, 2, 3].map((number) => opened("r1", number, `m${number}`)));
  people.apply(1_000, crowd.map((number) => opened("r1", number, `c${number}`)));
  people.apply(2_000, [opened("r1", 4, "m4"), opened("r2", 5, "m5")]);
  people.apply(3_000, crowd.slice(0, 600).map((number) => step("closed", "r1", number)));
  draw(3_000, 4_000);
  people.apply(4_000, crowd.slice(600).map((number) => step("lost", "r1", number)));
  return { people, draw };
}
const places = (people) => [...people.dots.values()].map(({ member, seat }) => `${member} ${seat.place} ${seat.seat}`).join();

test("after a crowd has gone, those who are left sit wider, after a while and once", () => {
  const { people, draw } = burst(16);
  draw(4_000, 23_900);
  assert.equal(people.needed, 1_204, "those who were lost were waited for until 16,000");
  draw(23_900, 24_100);
  assert.equal(people.needed, 40);
  assert.equal(places(people), "m1 r1/blue 0,m2 r1/blue 1,m3 r1/blue 2,m4 r1/blue 3,m5 r2/blue 0");
  people.apply(25_000, [opened("r1", 6, "m6")]);
  assert.equal([...people.dots.values()].at(-1)?.seat.seat, 4);
  const other = burst(1e9).people;
  other.apply(25_000, [opened("r1", 6, "m6")]);
  assert.equal(places(other), places(people), "the same without frames");
  assert.equal(other.needed, people.needed);
});

test("whoever comes back in time finds the seats as they were", () => {
  const people = new People();
  const all = Array.from({ length: 200 }, (_, nth) => nth);
  people.apply(0, all.map((number) => opened("r1", number, `m${number}`)));
  for (let turn = 1; turn < 10; turn += 1) {
    people.apply(turn * 10_000, all.map((number) => step("closed", "r1", number)));
    people.apply(turn * 10_000 + 7_000, all.map((number) => opened("r1", number, `m${number}`)));
    people.expire(turn * 10_000 + 9_999);
    assert.equal(people.needed, 200);
  }
});

test("the first free seat is taken", () => {
  const people = new People();
  people.apply(0, [1, 2, 3].map((number) => opened("r1", number, `m${number}`)));
  people.apply(10, [step("closed", "r1", 2)]);
  people.apply(20, [opened("r1", 4, "m4")]);
  assert.deepEqual([...people.dots.values()].map(({ seat }) => seat.seat), [0, 1, 2, 1]);
  assert.equal(people.needed, 3);
});
