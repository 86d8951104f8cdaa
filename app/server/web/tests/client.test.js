import assert from "node:assert/strict";
import test from "node:test";
import { ack, goaway, Harness, joined, message, sends, welcome } from "./harness.js";

function served(options) {
  const harness = new Harness(options);
  harness.client.start("fresh");
  harness.serve();
  return harness;
}

test("says hello with its cursors and is served once live in every room", () => {
  const harness = new Harness({ rooms: { vault: "5-0", lobby: null } });
  harness.client.start("fresh");
  const hello = harness.welcome();
  assert.equal(hello.why, "fresh");
  assert.deepEqual(hello.rooms, [{ room: "vault", after: "5-0" }, { room: "lobby" }]);
  harness.socket.deliver(joined("vault", "5-0"));
  harness.socket.deliver(joined("lobby", "9-0"));
  harness.socket.deliver({ type: "live", room: "vault", id: "5-0" });
  assert.equal(harness.told("serving").length, 0);
  harness.socket.deliver({ type: "live", room: "lobby", id: "9-0" });
  assert.equal(harness.told("serving")[0][0].replica, "r1");
  assert.equal(harness.participant.room("lobby").cursor, "9-0", "a fresh one starts at the head");
});

test("the cursor is set before a message is shown", () => {
  const harness = served();
  const seen = [];
  harness.on = harness.client.on = new Proxy({}, {
    get: () => () => seen.push(harness.participant.room("vault").cursor),
  });
  harness.socket.deliver(message(2));
  assert.deepEqual(seen, ["2-0"]);
});

test("sends only where it is live, and no more than the server takes at once", () => {
  const harness = new Harness();
  harness.client.start("fresh");
  for (const text of "abcdef") harness.client.send("vault", text);
  harness.welcome();
  assert.deepEqual(harness.socket.take(), []);
  harness.socket.deliver(joined("vault", "1-0"));
  assert.deepEqual(harness.socket.take(), []);
  harness.socket.deliver({ type: "live", room: "vault", id: "1-0" });
  assert.deepEqual(sends(harness.socket.take()), [[1, "a"]]);
  harness.socket.deliver(ack(1));
  assert.deepEqual(sends(harness.socket.take()), [[2, "b"], [3, "c"]]);
  assert.deepEqual(harness.told("acked").map(([, { text }]) => text), ["a"]);
});

test("is saved before anything is sent", () => {
  const harness = served();
  let order = [];
  harness.client.on = { ...harness.on, changed: () => order.push("saved") };
  harness.socket.send = () => order.push("sent");
  harness.client.send("vault", "a");
  assert.deepEqual(order, ["saved", "sent"]);
});

test("takes part in a room that it enters later, on the same connection", () => {
  const harness = served();
  harness.participant.room("garage").cursor = "7-0";
  harness.client.join("garage");
  assert.deepEqual(harness.socket.take(), [{ type: "join", room: "garage", after: "7-0" }]);
  harness.client.send("garage", "hi");
  assert.deepEqual(harness.socket.take(), []);
  harness.socket.deliver(joined("garage", "7-0"));
  harness.socket.deliver({ type: "live", room: "garage", id: "7-0" });
  assert.deepEqual(sends(harness.socket.take()), [[1, "hi"]]);
});

test("a room entered between hello and welcome is not forgotten", () => {
  const harness = new Harness();
  harness.client.start("fresh");
  harness.socket.open();
  harness.participant.room("garage").cursor = "7-0";
  harness.client.join("garage");
  harness.socket.deliver(welcome("r1"));
  assert.deepEqual(harness.socket.take(), [{ type: "join", room: "garage", after: "7-0" }]);
});

test("presence and typing are told", () => {
  const harness = served();
  const plum = { room: "vault", member: "p", name: "Plum" };
  harness.socket.deliver({ type: "presence", event: "join", ...plum });
  harness.socket.deliver({ type: "typing", ...plum });
  assert.equal(harness.told("people").at(-1)[1].present, 2);
  assert.equal(harness.told("typing")[0][0].name, "Plum");
  harness.socket.deliver({ type: "members", room: "vault", present: 9, members: [] });
  assert.equal(harness.told("people").at(-1)[1].present, 9);
});

test("heartbeats keep a connection, and silence ends it after two and a half of them", () => {
  const harness = served();
  for (let beat = 0; beat < 5; beat += 1) {
    harness.clock.pass(10_000);
    const [ping] = harness.socket.take();
    assert.equal(ping.type, "ping");
    harness.socket.deliver({ type: "pong", t: ping.t });
  }
  harness.clock.pass(24_999);
  assert.equal(harness.told("interrupted").length, 0);
  harness.clock.pass(1);
  assert.equal(harness.told("interrupted").length, 1);
  harness.clock.pass(100);
  assert.equal(harness.serve("r2").why, "resume");
});

test("a socket that is never welcomed is given up and tried again", () => {
  const harness = new Harness();
  harness.client.start("fresh");
  harness.clock.pass(8_000 + 100);
  assert.equal(harness.sockets.length, 2);
  assert.ok(harness.sockets[0].isClosed);
});

test("an abrupt drop resumes after a backoff, with cursors, and sends again in order", () => {
  const harness = served();
  harness.socket.deliver(message(2));
  harness.client.send("vault", "a");
  harness.client.send("vault", "b");
  harness.socket.drop(1006);
  harness.client.send("vault", "c");
  assert.deepEqual(harness.told("interrupted").length, 1);
  assert.equal(harness.sockets.length, 1);
  harness.clock.pass(100);
  const hello = harness.welcome("r2");
  assert.deepEqual([hello.why, hello.rooms], ["resume", [{ room: "vault", after: "2-0" }]]);
  harness.socket.deliver(joined("vault", "3-0"));
  harness.socket.deliver(message(3));
  harness.socket.deliver({ type: "live", room: "vault", id: "3-0" });
  assert.deepEqual(sends(harness.socket.take()), [[1, "a"]]);
  harness.socket.deliver(ack(1));
  assert.deepEqual(sends(harness.socket.take()), [[2, "b"], [3, "c"]]);
  assert.deepEqual(harness.shown(), ["2-0", "3-0"]);
  assert.equal(harness.told("serving").at(-1)[0].replica, "r2");
});

test("1012 comes back at once, but not in a circle", () => {
  const harness = served();
  harness.socket.drop(1012);
  assert.equal(harness.sockets.length, 2);
  harness.socket.open();
  harness.socket.drop(1012);
  assert.equal(harness.sockets.length, 2);
  harness.clock.pass(100);
  assert.equal(harness.sockets.length, 3);
});

test("backoff grows in silence and starts over once live; a probe cuts it short", () => {
  const harness = served();
  harness.socket.drop(1006);
  for (const wait of [100, 200, 400]) {
    const before = harness.sockets.length;
    harness.clock.pass(wait - 1);
    assert.equal(harness.sockets.length, before);
    harness.clock.pass(1);
    assert.equal(harness.sockets.length, before + 1);
    harness.socket.drop(1006);
  }
  harness.client.probe();
  harness.serve();
  assert.equal(harness.client.attempt, 0);
  harness.client.probe();
  assert.equal(harness.told("serving").length, 2);
});

/** Served, with these texts said after a first one that has its ack. @param {string[]} texts */
function talking(...texts) {
  const harness = served();
  harness.client.send("vault", "first");
  harness.socket.deliver(ack(1));
  for (const text of texts) harness.client.send("vault", text);
  harness.socket.take();
  return harness;
}

test("out_of_order sends again what is due, in order", () => {
  const harness = talking("a", "b");
  const reject = { type: "reject", room: "vault", detail: "" };
  harness.socket.deliver({ ...reject, n: 2, code: "rate_limited", retry_ms: 250 });
  harness.socket.deliver({ ...reject, n: 3, code: "out_of_order", expected: 2 });
  assert.deepEqual(harness.socket.take(), []);
  harness.clock.pass(250);
  assert.deepEqual(sends(harness.socket.take()), [[2, "a"]]);
  harness.socket.deliver(ack(2));
  assert.deepEqual(sends(harness.socket.take()), [[3, "b"]]);
});

test("what waits is sent, though time passes while we look at the clock", () => {
  for (let wait = 1; wait <= 8; wait += 1) {
    const harness = talking("a");
    harness.clock.now = () => (harness.clock.time += 1);
    harness.socket.deliver({ type: "reject", room: "vault", detail: "", n: 2, code: "rate_limited", retry_ms: wait });
    harness.clock.pass(100);
    assert.deepEqual(sends(harness.socket.take()), [[2, "a"]], `after ${wait} ms`);
  }
});

test("what waits in a room that was left keeps no other room waiting", () => {
  const harness = new Harness({ rooms: { vault: "1-0", attic: "1-0" } });
  harness.client.start("fresh");
  harness.serve();
  harness.client.send("vault", "a");
  harness.client.send("attic", "b");
  const reject = { type: "reject", detail: "", n: 1, code: "rate_limited" };
  harness.socket.deliver({ ...reject, room: "vault", retry_ms: 10 });
  harness.client.quit("vault");
  harness.clock.pass(20);
  harness.socket.take();
  harness.socket.deliver({ ...reject, room: "attic", retry_ms: 10 });
  harness.clock.pass(20);
  assert.deepEqual(sends(harness.socket.take()), [[1, "b"]]);
});

test("bad_text is told, and what follows takes its number", () => {
  const harness = talking("bad", "c");
  const reject = { type: "reject", room: "vault", detail: "too long" };
  harness.socket.deliver({ ...reject, n: 2, code: "bad_text" });
  harness.socket.deliver({ ...reject, n: 3, code: "out_of_order", expected: 2 });
  assert.deepEqual(sends(harness.socket.take()), [[2, "c"]]);
  const [[room, item, detail]] = harness.told("refused");
  assert.deepEqual([room, item.text, detail], ["vault", "bad", "too long"]);
});

test("a code of a later release is no protocol error", () => {
  const harness = served();
  harness.client.send("vault", "one");
  const reject = { type: "reject", room: "vault", n: 1, code: "overcast", detail: "clouds" };
  harness.socket.take();
  harness.socket.deliver({ ...reject, retry_ms: 100 });
  harness.clock.pass(100);
  assert.deepEqual(sends(harness.socket.take()), [[1, "one"]]);
  harness.socket.deliver(reject);
  assert.equal(harness.told("refused").length, 1);
  harness.socket.deliver({ type: "error", code: "overcast", detail: "clouds" });
  harness.socket.deliver({
    type: "gap", room: "vault", after: "1-0", resumes_at: "7-0", reason: "mislaid",
  });
  harness.socket.deliver(message(8));
  assert.deepEqual(harness.shown(), ["8-0"]);
});

test("a gap moves the cursor and is told once", () => {
  const harness = served();
  harness.socket.deliver({
    type: "gap", room: "vault", after: "1-0", resumes_at: "7-0", reason: "trimmed",
  });
  harness.socket.deliver(message(8));
  assert.deepEqual(harness.shown(), ["8-0"]);
  assert.equal(harness.told("gap").length, 1);
});

test("a rewound log is followed to where it resumes", () => {
  const harness = served({ rooms: { vault: "9-0" } });
  harness.socket.deliver({
    type: "gap", room: "vault", after: "9-0", resumes_at: "2-0", reason: "rewound",
  });
  harness.socket.deliver(message(3));
  assert.deepEqual(harness.shown(), ["3-0"]);
});

test("a broken chain is reported, not shown, and asked for again with the cursor", () => {
  const harness = served();
  harness.socket.deliver(message(3));
  assert.deepEqual(harness.shown(), []);
  assert.equal(harness.told("broken")[0][1], "1-0");
  assert.ok(harness.socket.isClosed);
  harness.clock.pass(100);
  assert.deepEqual(harness.serve().rooms, [{ room: "vault", after: "1-0" }]);
});

test("a final close code ends it, with the reason that came before", () => {
  for (const code of [1000, 1008, 1009, 4400, 4401, 4408]) {
    const harness = served();
    harness.socket.deliver({ type: "error", code: "bad_name", detail: "too long" });
    harness.socket.drop(code);
    harness.clock.pass(60_000);
    assert.deepEqual(harness.told("ended"), [[code, "too long"]]);
    assert.equal(harness.sockets.length, 1);
    assert.equal(harness.client.send("vault", "late"), null);
  }
});

test("leaving says bye and stays away", () => {
  const harness = served();
  harness.client.leave();
  assert.deepEqual(harness.socket.take(), [{ type: "bye" }]);
  assert.ok(harness.socket.isClosed);
  harness.clock.pass(60_000);
  assert.equal(harness.sockets.length, 1);
});

test("a room whose log cannot be read is tried again; one that is refused holds nothing up", () => {
  const harness = new Harness({ rooms: { vault: "1-0", odd: "1-0" } });
  harness.client.start("fresh");
  harness.welcome();
  harness.socket.deliver({ type: "error", code: "unavailable", detail: "", room: "vault" });
  harness.clock.pass(100);
  harness.welcome();
  harness.socket.deliver({ type: "error", code: "bad_room", detail: "", room: "odd" });
  harness.socket.deliver(joined("vault", "1-0"));
  harness.socket.deliver({ type: "live", room: "vault", id: "1-0" });
  assert.equal(harness.told("serving").length, 1);
});

test("what is not understood is passed over", (t) => {
  t.mock.method(console, "warn", () => {});
  const harness = served();
  harness.socket.deliver({ type: "teleported" });
  harness.socket.deliver({ type: "message", room: "vault" });
  harness.socket.deliver(message(2));
  assert.deepEqual(harness.shown(), ["2-0"]);
});

test("a second goaway changes nothing", () => {
  const harness = served();
  harness.socket.deliver(goaway(1_000));
  harness.clock.pass(500);
  harness.socket.deliver(goaway(1_000));
  harness.clock.pass(500);
  assert.equal(harness.sockets.length, 2);
  harness.sockets[0].deliver(goaway(0));
  harness.clock.pass(1_000);
  assert.equal(harness.sockets.length, 2);
});
