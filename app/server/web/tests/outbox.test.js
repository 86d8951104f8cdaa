import assert from "node:assert/strict";
import test from "node:test";
import { Outbox } from "../outbox.js";
import { seeded } from "./random.js";

/** @param {Outbox} outbox @param {number} [now] */
function takeAll(outbox, now = 0) {
  const taken = [];
  for (let item; (item = outbox.take(now)); ) taken.push([item.n, item.text]);
  return taken;
}

/** @param {string[]} texts */
function filled(...texts) {
  const outbox = new Outbox();
  for (const text of texts) outbox.add(text);
  return outbox;
}

test("numbers from one and keeps each until its ack", () => {
  const outbox = filled("a", "b");
  assert.deepEqual(takeAll(outbox), [[1, "a"], [2, "b"]]);
  assert.equal(outbox.ack(1)?.text, "a");
  assert.deepEqual(outbox.pending.map(({ n }) => n), [2]);
  assert.equal(outbox.ack(1), null, "a second ack changes nothing");
});

test("a lost connection sends everything again under the same numbers", () => {
  const outbox = filled("a", "b", "c");
  takeAll(outbox);
  outbox.ack(1);
  outbox.reset();
  assert.deepEqual(takeAll(outbox), [[2, "b"], [3, "c"]]);
});

test("out_of_order starts over once, after all answers are in", () => {
  const outbox = filled("a", "b", "c");
  takeAll(outbox);
  outbox.reject({ n: 1, code: "rate_limited", retry_ms: 250 }, 1_000);
  outbox.reject({ n: 2, code: "out_of_order", expected: 1 }, 1_000);
  assert.deepEqual(takeAll(outbox, 2_000), [], "the answer to 3 is still to come");
  outbox.reject({ n: 3, code: "out_of_order", expected: 1 }, 1_000);
  assert.deepEqual(takeAll(outbox, 1_249), [], "too early");
  assert.deepEqual(takeAll(outbox, 1_250), [[1, "a"], [2, "b"], [3, "c"]]);
});

test("bad_text is dropped and its number goes to the next one", () => {
  const outbox = filled("a", "bad", "c", "d");
  takeAll(outbox);
  outbox.ack(1);
  assert.equal(outbox.reject({ n: 2, code: "bad_text" }, 0)?.text, "bad");
  assert.deepEqual(outbox.pending, [{ n: 2, text: "c" }, { n: 3, text: "d" }]);
  outbox.reject({ n: 3, code: "out_of_order", expected: 2 }, 0);
  outbox.reject({ n: 4, code: "out_of_order", expected: 2 }, 0);
  assert.deepEqual(takeAll(outbox), [[2, "c"], [3, "d"]]);
  assert.equal(outbox.add("e").n, 4);
});

test("a log that lost its newest entries gets the next ones under the numbers it waits for", () => {
  const outbox = new Outbox({ next: 9, pending: [{ n: 8, text: "a" }] });
  takeAll(outbox);
  outbox.reject({ n: 8, code: "out_of_order", expected: 5 }, 0);
  assert.deepEqual(takeAll(outbox), [[5, "a"]]);
  assert.equal(outbox.add("b").n, 6);
});

test("is bounded, and survives being saved", () => {
  const outbox = filled("a", "b");
  takeAll(outbox);
  outbox.ack(1);
  const again = new Outbox(JSON.parse(JSON.stringify(outbox)));
  assert.deepEqual(takeAll(again), [[2, "b"]]);
  assert.equal(again.add("c").n, 3);
  while (!again.isFull) again.add("x");
  assert.equal(again.pending.length, 100);
});

/** A server's side of one sender in one room: the `append` rule of the design. */
class Log {
  constructor() {
    this.last = 0;
    this.texts = [];
  }

  /** @param {[number, string]} send @param {boolean} busy */
  answer([n, text], busy) {
    if (n <= this.last) return { n };
    if (n > this.last + 1) return { n, code: "out_of_order", expected: this.last + 1 };
    if (busy) return { n, code: "unavailable", retry_ms: 5 };
    this.last = n;
    this.texts.push(text);
    return { n };
  }
}

test("whatever happens on the way, the log ends with every good text once and in order", (t) => {
  const random = seeded(t);
  for (let round = 0; round < 400; round += 1) {
    const [log, outbox, said] = [new Log(), new Outbox(), []];
    /** @type {any[]} */ let wire = [];
    /** @type {any[]} */ let answers = [];
    for (let now = 0; said.length < 25 || outbox.pending.length > 0; now += 1) {
      assert.ok(now < 10_000, "never settles");
      if (said.length < 25 && random(2)) {
        said.push(`${random(6) ? "good" : "bad"} ${said.length}`);
        outbox.add(said.at(-1));
      }
      const item = outbox.take(now);
      // A bad text and one too many are refused at once, before what waits in the queue is done.
      if (item?.text.startsWith("bad")) answers.push({ n: item.n, code: "bad_text" });
      else if (item && random(8) === 0) answers.push({ n: item.n, code: "busy", retry_ms: 5 });
      else if (item) wire.push([item.n, item.text]);
      if (wire.length && random(2)) answers.push(log.answer(wire.shift(), random(5) === 0));
      if (answers.length && random(2)) {
        const answer = answers.shift();
        if (answer.code) outbox.reject(answer, now);
        else outbox.ack(answer.n);
      }
      if (random(30) === 0) {
        // The connection breaks; what the server has read is done, its answers are lost.
        while (wire.length && random(3)) log.answer(wire.shift(), false);
        [wire, answers] = [[], []];
        outbox.reset();
      }
    }
    assert.deepEqual(log.texts, said.filter((text) => text.startsWith("good")));
  }
});
