import assert from "node:assert/strict";
import test from "node:test";
import { claimByAsking } from "../claim.js";
import { newKey } from "../participant.js";

/** Here an open channel would keep the process alive. */
const Channel = globalThis.BroadcastChannel;
globalThis.BroadcastChannel = /** @type {any} */ (class extends Channel {
  constructor(name) {
    super(name);
    this.unref();
  }
});

const TIME = { patience: 250 };
const never = () => assert.fail("nobody has taken the key");

test("P1: a key that nobody answers for is one's own, and then nobody else's", async () => {
  const key = newKey();
  assert.equal(await claimByAsking(key, never, TIME), true);
  assert.equal(await claimByAsking(key, never, TIME), false);
  assert.equal(await claimByAsking(newKey(), never, TIME), true, "another key is another matter");
});

test("P1: of two that ask at the same time at most one gets it", async () => {
  for (let round = 0; round < 5; round += 1) {
    const key = newKey();
    const claims = Array.from({ length: 3 }, () => claimByAsking(key, never, TIME));
    assert.equal((await Promise.all(claims)).filter(Boolean).length, 1);
  }
});

test("P1: a page that was frozen when it was asked gives way", async () => {
  const key = newKey();
  let ahead = 0;
  const lost = new Promise((resolve) => {
    void claimByAsking(key, () => resolve("lost"), { ...TIME, now: () => Date.now() + ahead });
  });
  await new Promise((resolve) => setTimeout(resolve, 2 * TIME.patience));
  ahead = 60_000; // As the first page sees it, the question is a minute old.
  assert.equal(await claimByAsking(key, never, TIME), true);
  assert.equal(await lost, "lost");
});

test("P1: a copy that asks at once finds the key taken by the tab that made it", async () => {
  for (let round = 0; round < 5; round += 1) {
    const key = newKey();
    const made = claimByAsking(key, never, { ...TIME, isNew: true });
    assert.equal(await claimByAsking(key, never, TIME), false);
    assert.equal(await made, true);
  }
});
