import assert from "node:assert/strict";
import test from "node:test";
import { compare } from "../id.js";
import { afterGap, afterJoined, judge } from "../resume.js";
import { seeded } from "./random.js";

test("one decision for each place a message can have", () => {
  const cursor = "5-0";
  assert.equal(judge(cursor, { prev: "5-0", id: "6-0" }), "deliver");
  assert.equal(judge(cursor, { prev: "4-0", id: "5-0" }), "duplicate");
  assert.equal(judge(cursor, { prev: "3-0", id: "4-0" }), "duplicate");
  assert.equal(judge(cursor, { prev: "6-0", id: "7-0" }), "broken");
  assert.equal(judge(cursor, { prev: "4-0", id: "6-0" }), "broken");
});

test("two connections at their own pace show one log once and in order", (t) => {
  const random = seeded(t);
  for (let round = 0; round < 300; round += 1) {
    const log = [];
    for (let ms = 1, prev = "0-0"; log.length < 30; ms += random(2)) {
      const id = `${ms}-${log.length}`;
      log.push({ prev, id });
      prev = id;
    }
    const cursor = { at: "0-0" };
    const [old, young] = [{ next: 0 }, { next: 0 }];
    const shown = [];
    while (young.next < log.length) {
      const from = random(2) ? old : young;
      const message = log[from.next];
      if (!message) continue;
      from.next += 1;
      const verdict = judge(cursor.at, message);
      assert.notEqual(verdict, "broken");
      if (verdict === "deliver") shown.push((cursor.at = message.id));
    }
    assert.deepEqual(shown, log.map(({ id }) => id));
    assert.ok(shown.every((id, i) => i === 0 || compare(shown[i - 1], id) < 0));
  }
});

test("a log with holes is never taken for whole", (t) => {
  const random = seeded(t);
  for (let round = 0; round < 300; round += 1) {
    const log = Array.from({ length: 20 }, (_, i) => ({ prev: `${i}-0`, id: `${i + 1}-0` }));
    const hole = random(log.length - 1);
    const verdicts = [];
    let cursor = "0-0";
    for (const message of log.toSpliced(hole, 1)) {
      const verdict = judge(cursor, message);
      verdicts.push(verdict);
      if (verdict === "deliver") cursor = message.id;
    }
    assert.equal(cursor, `${hole}-0`);
    assert.equal(verdicts[hole], "broken");
  }
});

test("only a fresh client starts at the head", () => {
  assert.equal(afterJoined(null, { head: "9-0" }), "9-0");
  assert.equal(afterJoined("3-0", { head: "9-0" }), "3-0");
});

test("a gap counts only for the cursor it speaks of", () => {
  assert.equal(afterGap("5-0", { after: "5-0", resumes_at: "9-0" }), "9-0");
  assert.equal(afterGap("5-0", { after: "5-0", resumes_at: "2-0" }), "2-0", "rewound");
  assert.equal(afterGap("7-0", { after: "5-0", resumes_at: "6-0" }), null);
});
