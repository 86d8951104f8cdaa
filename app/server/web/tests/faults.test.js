import assert from "node:assert/strict";
import test from "node:test";
import * as frames from "../frame.js";
import { ack, goaway, Harness, joined, message, sends } from "./harness.js";

function served(options) {
  const harness = new Harness(options);
  harness.client.start("fresh");
  harness.serve();
  return harness;
}

const live = (id, room = "vault") => ({ type: "live", room, id });
const mine = (ms, n, text) => ({ ...message(ms), member: "me", n, text });
const status = (log) => ({ type: "status", log });
const isolated = { type: "goaway", in_ms: 0, deadline_ms: 0, reason: "isolated" };
const tooMany = (room) => ({ type: "error", code: "too_many_rooms", detail: "too many", room });
const acked = (harness) => harness.told("acked").map(([, { text }]) => text);

test("S5: a message seen in catch-up is not sent again, however late", () => {
  const harness = served();
  harness.client.send("vault", "a");
  harness.client.send("vault", "b");
  harness.socket.drop(1006);
  harness.clock.pass(25 * 3_600_000);
  harness.welcome("r2");
  harness.socket.deliver(joined("vault", "2-0"));
  harness.socket.deliver(mine(2, 1, "a"));
  assert.deepEqual([harness.socket.take(), acked(harness)], [[], []]);
  harness.socket.deliver(live("2-0"));
  assert.deepEqual(sends(harness.socket.take()), [[2, "b"]]);
  assert.deepEqual(acked(harness), ["a"]);
});

test("S5: during a move either connection tells what was taken", () => {
  const harness = served();
  const old = harness.socket;
  harness.client.send("vault", "a");
  old.deliver(goaway(0));
  harness.clock.pass(0);
  harness.welcome("r2");
  harness.socket.deliver(joined("vault", "2-0"));
  harness.socket.deliver(mine(2, 1, "a"));
  harness.socket.deliver(live("2-0"));
  assert.ok(old.isClosed);
  assert.deepEqual([sends(harness.socket.take()), acked(harness)], [[], ["a"]]);
});

test("S5: what a trimmed gap may hide is told as unknown, once", () => {
  const harness = served();
  harness.client.send("vault", "a");
  harness.socket.drop(1006);
  harness.clock.pass(100);
  harness.welcome("r2");
  harness.socket.deliver(joined("vault", "9-0"));
  harness.socket.deliver({ type: "gap", room: "vault", after: "1-0", resumes_at: "9-0", reason: "trimmed" });
  harness.socket.deliver(live("9-0"));
  assert.deepEqual(harness.told("unknown").map(([, { text }]) => text), ["a"]);
  harness.client.send("vault", "b");
  assert.deepEqual(sends(harness.socket.take()), [[2, "b"]]);
});

test("S10: a refusal of the second connection is a failed move", () => {
  for (const code of [1008, 4401]) {
    const harness = served();
    const old = harness.socket;
    old.deliver(goaway(0));
    harness.clock.pass(0);
    harness.socket.drop(code);
    assert.deepEqual(harness.told("ended"), []);
    harness.client.send("vault", "still here");
    assert.deepEqual(sends(old.take()), [[1, "still here"]]);
    harness.clock.pass(100);
    assert.equal(harness.serve("r2").why, "move");
    assert.ok(old.isClosed);
  }
});

test("S10: a room refused to the second connection is a failed move", () => {
  const harness = served();
  const old = harness.socket;
  old.deliver(goaway(0));
  harness.clock.pass(0);
  harness.welcome("r2");
  harness.socket.deliver(tooMany("vault"));
  assert.ok(!old.isClosed);
  assert.deepEqual(harness.told("shut"), []);
  harness.clock.pass(100);
  assert.deepEqual(harness.serve("r3").rooms, [{ room: "vault", after: "1-0" }]);
});

test("S13: the room too many is refused, and never asked for again", () => {
  const harness = served({ rooms: Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`room ${i}`, "1-0"])) });
  harness.participant.room("vault").cursor = "1-0";
  harness.client.join("vault");
  harness.socket.take();
  harness.socket.deliver(tooMany("vault"));
  assert.deepEqual(harness.told("shut"), [["vault", "too many"]]);
  assert.equal(harness.client.send("vault", "nobody hears"), null);
  harness.socket.drop(1006);
  harness.clock.pass(100);
  const { rooms } = harness.serve();
  assert.equal(rooms.length, 64);
  assert.deepEqual(harness.socket.take(), [], "nor by a join");
  const saved = JSON.parse(JSON.stringify(harness.participant));
  assert.equal(saved.rooms.vault.refused, true);
  assert.equal(harness.told("serving").at(-1)[0].replica, "r1");
});

test("S13: what a hello cannot hold is joined after it", () => {
  const names = Array.from({ length: 64 }, (_, i) => `${"\u{1f980}".repeat(62)}${i}`);
  const harness = new Harness({ rooms: Object.fromEntries(names.map((name) => [name, "1-0"])) });
  harness.client.start("fresh");
  const hello = harness.welcome();
  assert.ok(Buffer.byteLength(JSON.stringify(hello)) <= frames.USUAL_LIMITS.frame_bytes);
  const joins = harness.socket.take();
  assert.deepEqual([...hello.rooms, ...joins].map(({ room }) => room), names);
  assert.ok(joins.length > 0);
  for (const room of names) {
    harness.socket.deliver(joined(room, "1-0"));
    harness.socket.deliver(live("1-0", room));
  }
  assert.equal(harness.told("serving").length, 1);
});

test("P4: what is sent while the log is away is kept and goes out when it is back", () => {
  const harness = served();
  harness.socket.deliver(status("away"));
  assert.deepEqual(harness.told("log").at(-1), [true]);
  harness.client.send("vault", "a");
  assert.deepEqual(sends(harness.socket.take()), []);
  assert.equal(harness.participant.kept, 1);
  harness.socket.deliver(status("up"));
  assert.deepEqual(harness.told("log").at(-1), [false]);
  assert.deepEqual(sends(harness.socket.take()), [[1, "a"]]);
});

test("an isolated replica that has the log again keeps its client", () => {
  const harness = served();
  const old = harness.socket;
  old.deliver(status("away"));
  old.deliver(isolated);
  harness.clock.pass(0);
  harness.socket.drop(1006);
  harness.clock.pass(100);
  const young = harness.socket;
  harness.welcome("r2");
  old.deliver(status("up"));
  assert.equal(young.closedWith, 1000);
  harness.clock.pass(9_000);
  assert.equal(harness.sockets.length, 3, "no more tries");
  assert.ok(!old.isClosed);
  old.deliver(goaway(0));
  harness.clock.pass(0);
  assert.equal(harness.serve("r2").why, "move");
});

test("an isolated replica may be drained as well", () => {
  const harness = served();
  const old = harness.socket;
  old.deliver(isolated);
  old.deliver(goaway(500));
  old.deliver(status("up"));
  harness.clock.pass(500);
  assert.equal(harness.serve("r2").why, "move");
  assert.ok(old.isClosed);
});

test("P5: a connection in doubt is asked at once, and given up after two seconds", () => {
  const harness = served();
  const first = harness.socket;
  harness.client.probe();
  assert.deepEqual(first.take().map(({ type }) => type), ["ping"]);
  first.deliver({ type: "pong", t: 0 });
  harness.clock.pass(2_000);
  assert.equal(harness.told("interrupted").length, 0);
  harness.client.probe();
  harness.client.probe();
  assert.equal(first.take().length, 1, "one question at a time");
  harness.clock.pass(2_000);
  assert.equal(harness.told("interrupted").length, 1);
  const [retryAt] = harness.told("waiting").at(-1);
  assert.equal(retryAt, harness.clock.now() + 100);
  harness.client.probe();
  assert.equal(harness.serve("r2").why, "resume");
});

test("P5: a socket that was begun on a network that has gone is begun anew", () => {
  const harness = served();
  harness.socket.drop(1006);
  harness.clock.pass(100);
  const stale = harness.socket;
  harness.client.probe();
  assert.equal(harness.socket, stale, "it has only just begun");
  harness.clock.pass(1_001);
  harness.client.probe();
  assert.ok(stale.isClosed);
  harness.serve("r2");
});

test("a refusal without a time is retried although nothing else happens", () => {
  const harness = served();
  harness.client.send("vault", "a");
  for (const n of [1, 1]) harness.socket.deliver({ type: "reject", room: "vault", n, code: "out_of_order", detail: "" });
  harness.socket.take();
  harness.clock.pass(100);
  assert.deepEqual(sends(harness.socket.take()), [[1, "a"]]);
  harness.socket.deliver(ack(1));
  assert.deepEqual(acked(harness), ["a"]);
});
