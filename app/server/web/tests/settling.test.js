import assert from "node:assert/strict";
import test from "node:test";
import { ack, goaway, Harness, sends } from "./harness.js";

/** What was told of what was said: texts, with the reason. @param {Harness} harness @param {string} event */
const told = (harness, event) => harness.told(event).map(([, { text }, ...why]) => [text, ...why]);

/** @param {ConstructorParameters<typeof Harness>[0]} [options] */
function served(options) {
  const harness = new Harness(options);
  harness.client.start("fresh");
  harness.serve("r1");
  harness.socket.take();
  return harness;
}

/** The sends of a room are refused for a while. @param {Harness} harness @param {number} n */
function hold(harness, n, room = "vault") {
  harness.socket.take();
  harness.socket.deliver({ type: "reject", room, n, code: "slow_mode", detail: "", retry_ms: 60_000 });
}

/** Another replica takes over. @param {Harness} harness @param {object} own what its `welcome` has */
function move(harness, own) {
  harness.socket.deliver(goaway(0));
  harness.clock.pass(0);
  harness.own = own;
  harness.serve("r2");
}

test("an edit that waits is no message at a release without edits", () => {
  const harness = served({ own: { features: ["edit"] } });
  harness.client.send("vault", "slow");
  hold(harness, 1);
  harness.client.send("vault", "better", { edit: "1-0" });
  harness.client.send("vault", "", { remove: "1-0" });
  move(harness, {});
  assert.deepEqual(sends(harness.socket.take()), [[1, "slow"]]);
  harness.socket.deliver(ack(1));
  assert.deepEqual(harness.socket.take(), []);
  const why = "this server knows no edits";
  assert.deepEqual(told(harness, "refused"), [["better", why], ["", why]]);
  assert.equal(harness.participant.kept, 0);
});

test("of an edit that is on its way when such a release takes over nobody knows, unless it comes back", () => {
  for (const comesBack of [false, true]) {
    const harness = served({ own: { features: ["edit"] } });
    harness.client.send("vault", "better", { edit: "1-0" });
    const mine = { type: "message", room: "vault", id: "2-0", prev: "1-0", member: "me", name: "Teal", n: 1, text: "better", at: 2 };
    if (comesBack) harness.socket.deliver({ ...mine, kind: "edit", of: "1-0" });
    move(harness, {});
    assert.deepEqual(harness.socket.take(), []);
    assert.deepEqual(told(harness, "unknown"), comesBack ? [] : [["better"]]);
    assert.deepEqual(told(harness, "acked"), comesBack ? [["better"]] : []);
    assert.equal(harness.participant.kept, 0);
  }
});

test("no edit is taken where a release without edits serves", () => {
  const harness = served();
  assert.equal(harness.client.send("vault", "better", { edit: "1-0" }), null);
  assert.equal(harness.client.send("vault", "", { remove: "1-0" }), null);
  assert.equal(harness.client.send("vault", "said")?.n, 1);
  assert.deepEqual(sends(harness.socket.take()), [[1, "said"]]);
});
