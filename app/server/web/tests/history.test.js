import assert from "node:assert/strict";
import test from "node:test";
import { history } from "../history.js";
import { FakeClock } from "./fake_clock.js";

/** Answers in this order. @param {import("node:test").TestContext} t @param {any[]} answers */
function answering(t, answers) {
  t.mock.method(console, "warn", () => {});
  const asked = [];
  t.mock.method(globalThis, "fetch", async (address) => {
    asked.push(address);
    const answer = answers.shift();
    if (answer === "unreachable") throw new TypeError("unreachable");
    return answer;
  });
  return asked;
}

const page = { ok: true, status: 200, json: async () => ({ messages: [], head: "5-0" }) };
const immediately = { now: () => 0, after: (_, run) => (queueMicrotask(run), () => {}) };

test("without a cursor it asks for the end, with one for all up to it", async (t) => {
  const asked = answering(t, [page, page]);
  assert.deepEqual(await history("the van", null, new FakeClock()), { messages: [], head: "5-0" });
  await history("vault", "5-0", new FakeClock());
  assert.deepEqual(asked, [
    "/api/v1/rooms/the%20van/messages?limit=50",
    "/api/v1/rooms/vault/messages?limit=50&before=5-1",
  ]);
});

test("it asks again until there is an answer that it understands", async (t) => {
  const odd = { ok: true, status: 200, json: async () => ({ messages: [], head: "latest" }) };
  const asked = answering(t, ["unreachable", { ok: false, status: 503 }, odd, page]);
  assert.equal((await history("vault", null, immediately))?.head, "5-0");
  assert.equal(asked.length, 4);
});

test("a room that there cannot be is asked for once", async (t) => {
  const asked = answering(t, [{ ok: false, status: 400 }]);
  assert.equal(await history("odd", null, new FakeClock()), null);
  assert.equal(asked.length, 1);
});
