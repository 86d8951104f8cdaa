import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { Outbox } from "../outbox.js";
import { seeded } from "./random.js";

const FOLDERS = ["outbox/", "outbox-changes/"].map((folder) =>
  new URL(`../../../protocol/fixtures/${folder}`, import.meta.url));
const OUTCOMES = ["sends", "acked", "refused", "unknown"];

/** One scenario under way: an event goes in, what came of it comes out. */
class Scenario {
  /** @param {number} limit */
  constructor(limit) {
    this.outbox = new Outbox();
    this.limit = limit;
    this.now = 1_000_000;
  }

  /** @param {string} event @param {any} value */
  step(event, value) {
    const told = this[event](value) ?? {};
    for (let item; this.outbox.onItsWay < this.limit && (item = this.outbox.take(this.now)); ) {
      const { n, text, edit, remove } = item;
      const about = edit ? [{ edit }] : remove ? [{ remove }] : [];
      (told.sends ??= []).push([n, text, ...about]);
    }
    return told;
  }

  /** @param {any} said a text, or what it is and what it is about */
  say = (said) => void (said.text === undefined ? this.outbox.add(said) : this.outbox.add(said.text, said));
  own = (message) => this.outbox.own(message, true);
  gap = (reason) => this.outbox.gap(reason);
  lost = () => this.outbox.reset();
  pass_ms = (ms) => void (this.now += ms);
  ack = (n) => texts({ acked: [this.outbox.ack(n)] });
  reject = (reject) => texts({ refused: [this.outbox.reject(reject, this.now)] });
  live = () => {
    const { taken, unknown } = this.outbox.live();
    return texts({ acked: taken, unknown });
  };
}

/** Texts of the items that there are. @param {Record<string, any[]>} told */
function texts(told) {
  const named = Object.entries(told).map(([what, items]) =>
    [what, items.filter(Boolean).map(({ text }) => text)]);
  return Object.fromEntries(named.filter(([, items]) => items.length > 0));
}

const scenarios = FOLDERS.flatMap((folder) => readdirSync(folder).map((file) => new URL(file, folder)));
assert.ok(scenarios.length >= 20, `${scenarios.length} scenarios`);
for (const file of scenarios) {
  const { title, pending = 32, steps } = JSON.parse(readFileSync(file, "utf8"));
  test(`${file.pathname.split("/").at(-1)}: ${title}`, () => {
    const scenario = new Scenario(pending);
    for (const [index, step] of steps.entries()) {
      const [event] = Object.keys(step).filter((key) => !OUTCOMES.includes(key));
      const { [event]: value, ...expected } = step;
      const told = scenario.step(event, value);
      assert.deepEqual(told, expected, `step ${index + 1}: ${JSON.stringify(step)}`);
    }
  });
}

/** @param {Outbox} outbox @param {number} [now] */
function takeAll(outbox, now = 0) {
  const taken = [];
  for (let item; (item = outbox.take(now)); ) taken.push([item.n, item.text]);
  return taken;
}

test("is bounded, and survives being saved: what was on its way may be in the log", () => {
  const outbox = new Outbox();
  outbox.add("a");
  outbox.add("b");
  outbox.live();
  takeAll(outbox);
  const again = new Outbox(JSON.parse(JSON.stringify(outbox)));
  assert.deepEqual(takeAll(again), [], "not live yet");
  again.gap("trimmed");
  assert.deepEqual(again.live().unknown.map(({ text }) => text), ["a"]);
  assert.deepEqual(takeAll(again), [[2, "b"]]);
  assert.equal(again.add("c").n, 3);
  while (!again.isFull) again.add("x");
  assert.equal(again.pending.length, 100);
});

test("what came back and was not acknowledged yet is known after a reload", () => {
  const outbox = new Outbox();
  outbox.add("a");
  outbox.live();
  takeAll(outbox);
  outbox.own({ n: 1, text: "a" }, true);
  const again = new Outbox(JSON.parse(JSON.stringify(outbox)));
  assert.deepEqual(again.live().taken.map(({ text }) => text), ["a"]);
});

test("what an older page saved may have been sent", () => {
  const outbox = new Outbox({ next: 3, pending: [{ n: 2, text: "a" }] });
  outbox.gap("trimmed");
  assert.equal(outbox.live().unknown.length, 1);
  assert.equal(outbox.add("b").n, 3);
});

/** A server's side of one sender in one room: the `append` rule, and that of one connection. */
class Log {
  constructor() {
    /** The last number, as long as it is remembered. @type {number | null} */
    this.last = null;
    /** @type {[number, string][]} */
    this.entries = [];
    /** What the connection refused: higher numbers wait until it comes again. */
    this.barred = Infinity;
  }

  /** @param {[number, string]} send @param {boolean} busy */
  answer([n, text], busy) {
    if (n > this.barred) return { n, code: "out_of_order", expected: this.barred };
    this.barred = busy || text.startsWith("bad") ? n : Infinity;
    if (text.startsWith("bad")) return { n, code: "bad_text" };
    if (busy) return { n, code: "unavailable", retry_ms: 5 };
    if (this.last !== null && n <= this.last) return { n };
    if (this.last !== null && n > this.last + 1) return { n, code: "out_of_order", expected: this.last + 1 };
    this.last = n;
    this.entries.push([n, text]);
    return { n };
  }
}

test("whatever happens on the way, the log ends with every good text once and in order", (t) => {
  const random = seeded(t);
  for (let round = 0; round < 400; round += 1) {
    const [log, outbox, said] = [new Log(), new Outbox(), []];
    /** @type {any[]} */ let wire = [];
    /** @type {any[]} */ let answers = [];
    let caughtUp = 0;
    outbox.live();
    for (let now = 0; said.length < 25 || outbox.pending.length > 0; now += 1) {
      assert.ok(now < 20_000, "never settles");
      if (said.length < 25 && random(2)) {
        said.push(`${random(6) ? "good" : "bad"} ${said.length}`);
        outbox.add(said.at(-1));
      }
      const item = outbox.take(now);
      if (item) wire.push([item.n, item.text]);
      if (wire.length && random(2)) answers.push(log.answer(wire.shift(), random(5) === 0));
      if (answers.length && random(2)) {
        const answer = answers.shift();
        if (answer.code) outbox.reject(answer, now);
        else outbox.ack(answer.n);
      }
      if (random(40) === 0) {
        // The connection breaks; what the server has read is done, its answers are lost. Before
        // the next one is live the log may have forgotten us.
        while (wire.length && random(3)) log.answer(wire.shift(), false);
        [wire, answers, log.barred] = [[], [], Infinity];
        if (random(2)) log.last = null;
        outbox.reset();
        for (const [n, text] of log.entries.slice(caughtUp)) outbox.own({ n, text }, true);
        caughtUp = log.entries.length;
        assert.deepEqual(outbox.live().unknown, []);
      }
    }
    const good = said.filter((text) => text.startsWith("good"));
    assert.deepEqual(log.entries.map(([, text]) => text), good);
  }
});

/** Lets `burst` sends through at once and then one every `every` ms. */
function bucket(every, burst) {
  let fullAt = 0;
  return (/** @type {number} */ now) => {
    const next = Math.max(fullAt, now) + every;
    const wait = next - burst * every - now;
    if (wait <= 0) fullAt = next;
    return Math.max(0, Math.ceil(wait));
  };
}

/** Frames that 60 sends take which are queued at once; answers come `delay` ms after their sends. */
function framesFor(check, delay) {
  const outbox = new Outbox();
  for (let n = 1; n <= 60; n += 1) outbox.add(String(n));
  outbox.live();
  let [frames, now] = [0, 0];
  while (outbox.pending.length > 0) {
    assert.ok(now < 600_000, "never done");
    const sent = takeAll(outbox, now);
    frames += sent.length;
    let refused = null;
    const answers = sent.map(([n]) => {
      if (refused !== null) return { n, code: "out_of_order", expected: refused };
      const wait = check(now);
      if (wait === 0) return { n };
      refused = n;
      return { n, code: "rate_limited", retry_ms: wait };
    });
    now += delay;
    for (const answer of answers) {
      if (answer.code) outbox.reject(answer, now);
      else outbox.ack(answer.n);
    }
    now = Math.max(now, outbox.wakeAt ?? now);
  }
  return frames;
}

test("S29: a client that obeys makes at most three frames per message", () => {
  for (const rate of [1, 5, 10, 20, 50, 100]) {
    for (const burst of [1, 2, 5, 10, 20, 40]) {
      for (const delay of [0, 1, 10, 100]) {
        const frames = framesFor(bucket(1000 / rate, burst), delay);
        assert.ok(frames <= 180, `${frames} frames at ${rate}/s, ${burst} at once, ${delay} ms`);
      }
    }
  }
});

test("a release before tells an edit as if it were a message by itself, and of ours it is taken as that", () => {
  const outbox = new Outbox();
  outbox.live();
  outbox.add("A", { edit: "7-1" });
  takeAll(outbox);
  outbox.reset();
  outbox.own({ n: 1, text: "A" }, true);
  outbox.own({ n: 1, text: "A" }, false);
  assert.deepEqual(outbox.live().taken.map(({ text }) => text), ["A"]);
  assert.deepEqual(takeAll(outbox), []);
});
