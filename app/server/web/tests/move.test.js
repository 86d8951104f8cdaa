import assert from "node:assert/strict";
import test from "node:test";
import { ack, goaway, Harness, joined, message, sends } from "./harness.js";
import { seeded } from "./random.js";

/** Served by r1, and told to move at once. */
function moving(options) {
  const harness = new Harness(options);
  harness.client.start("fresh");
  harness.serve("r1");
  harness.socket.deliver(goaway(1_200));
  return { harness, old: harness.socket };
}

test("a move overlaps: the old connection serves until the new one is live everywhere", () => {
  const { harness, old } = moving({ rooms: { vault: "1-0", lobby: "1-0" } });
  harness.clock.pass(1_199);
  assert.equal(harness.sockets.length, 1, "its own moment has not come");
  harness.clock.pass(1);
  const young = harness.socket;
  assert.notEqual(young, old);

  old.deliver(message(2));
  const hello = harness.welcome("r2");
  assert.equal(hello.why, "move");
  assert.deepEqual(hello.rooms[0], { room: "vault", after: "2-0" }, "as of the socket's opening");
  young.deliver(joined("vault", "3-0"));
  old.deliver(message(3));
  young.deliver(message(3));
  old.deliver(message(4));
  young.deliver({ type: "live", room: "vault", id: "3-0" });
  assert.ok(!old.isClosed, "not live in the lobby yet");
  young.deliver(message(4));
  young.deliver(message(5));
  old.deliver(message(5));
  young.deliver(joined("lobby", "1-0"));
  young.deliver({ type: "live", room: "lobby", id: "1-0" });

  assert.equal(old.closedWith, 1000);
  assert.deepEqual(old.take().map(({ type }) => type), [], "no bye: presence goes on");
  assert.deepEqual(harness.shown(), ["2-0", "3-0", "4-0", "5-0"]);
  assert.deepEqual(harness.told("serving").map(([{ replica }]) => replica), ["r1", "r2"]);
  assert.deepEqual(harness.told("interrupted"), []);
});

test("a goaway for balance is a move like any", () => {
  const harness = new Harness();
  harness.client.start("fresh");
  harness.serve("r1");
  const old = harness.socket;
  old.deliver({ ...goaway(0), deadline_ms: 86_400_000, reason: "rebalance" });
  harness.clock.pass(0);
  assert.notEqual(harness.socket, old);
  assert.ok(!old.isClosed, "it serves meanwhile");
  harness.serve("r1");
  assert.equal(old.closedWith, 1000);
  assert.deepEqual(harness.told("interrupted"), []);
});

test("sends go out on the old connection during the move, and the unacked again on the new", () => {
  const { harness, old } = moving();
  harness.client.send("vault", "a");
  harness.clock.pass(1_200);
  harness.client.send("vault", "b");
  assert.deepEqual(sends(old.take()), [[1, "a"]]);
  old.deliver(ack(1));
  assert.deepEqual(sends(old.take()), [[2, "b"]]);
  harness.serve("r2");
  harness.client.send("vault", "c");
  assert.deepEqual(sends(harness.socket.take()), [[2, "b"]]);
  harness.socket.deliver({ ...ack(2), duplicate: true });
  assert.deepEqual(sends(harness.socket.take()), [[3, "c"]]);
  harness.socket.deliver(ack(3));
  assert.deepEqual(harness.told("acked").map(([, { text }]) => text), ["a", "b", "c"]);
});

test("people are those of the connection that serves, so a move shows no coming and going", () => {
  const { harness, old } = moving();
  harness.clock.pass(1_200);
  harness.welcome("r2");
  harness.socket.deliver(joined("vault", "1-0", []));
  assert.equal(harness.told("people").at(-1)[1].present, 1);
  const me = { room: "vault", member: "me", name: "Teal" };
  harness.socket.deliver({ type: "presence", event: "join", ...me });
  harness.socket.deliver({ type: "live", room: "vault", id: "1-0" });
  assert.ok(old.isClosed);
  assert.deepEqual([...harness.told("people").at(-1)[1].names.keys()], ["me"]);
});

test("while the new connection cannot open, the old one goes on serving", () => {
  const { harness, old } = moving();
  harness.clock.pass(1_200);
  harness.socket.drop(1006);
  harness.clock.pass(100);
  harness.socket.drop(1006);
  assert.equal(harness.sockets.length, 3);
  old.deliver(message(2));
  harness.client.send("vault", "a");
  assert.deepEqual(sends(old.take()), [[1, "a"]]);
  harness.clock.pass(200);
  assert.equal(harness.serve("r2").why, "move");
  assert.ok(old.isClosed);
  assert.deepEqual(harness.told("interrupted"), []);
});

test("past the deadline the old one closes, and the tries go on as a resume, at once", () => {
  const { harness, old } = moving();
  harness.clock.pass(1_200);
  harness.socket.drop(1006);
  old.drop(1012);
  assert.equal(harness.told("interrupted").length, 1);
  assert.equal(harness.serve("r2").why, "resume");
  assert.equal(harness.sockets.length, 3);
});

test("an old connection that dies during the move hands over to the new one", () => {
  const { harness, old } = moving();
  harness.clock.pass(1_200);
  harness.client.send("vault", "a");
  harness.welcome("r2");
  harness.socket.deliver(joined("vault", "2-0"));
  old.drop(1006);
  assert.deepEqual(harness.socket.take(), [], "the log may have it");
  harness.socket.deliver(message(2));
  harness.socket.deliver({ type: "live", room: "vault", id: "2-0" });
  assert.deepEqual(sends(harness.socket.take()), [[1, "a"]]);
  assert.equal(harness.sockets.length, 2);
  assert.equal(harness.told("serving").at(-1)[0].replica, "r2");
});

test("an old connection that dies before its moment is resumed like any other", () => {
  const { harness, old } = moving();
  old.drop(1006);
  harness.clock.pass(100);
  assert.equal(harness.serve("r2").why, "resume");
  harness.clock.pass(5_000);
  assert.equal(harness.sockets.length, 2, "the planned move is off");
});

test("a new connection that is told to go too is moved from in its turn", () => {
  const { harness } = moving();
  harness.clock.pass(1_200);
  const second = harness.socket;
  harness.welcome("r2");
  second.deliver(goaway(3_000));
  second.deliver(joined("vault", "1-0"));
  harness.clock.pass(1_000);
  second.deliver({ type: "live", room: "vault", id: "1-0" });
  harness.clock.pass(1_999);
  assert.equal(harness.sockets.length, 2);
  harness.clock.pass(1);
  assert.equal(harness.serve("r3").why, "move");
  assert.ok(second.isClosed);
  assert.deepEqual(harness.told("interrupted"), []);
});

test("a late gap about messages that the old connection delivered is no gap", () => {
  const { harness, old } = moving();
  harness.clock.pass(1_200);
  harness.welcome("r2");
  old.deliver(message(2));
  old.deliver(message(3));
  harness.socket.deliver({
    type: "gap", room: "vault", after: "1-0", resumes_at: "2-0", reason: "trimmed",
  });
  harness.socket.deliver(message(3));
  harness.socket.deliver(message(4));
  assert.deepEqual(harness.told("gap"), []);
  assert.deepEqual(harness.shown(), ["2-0", "3-0", "4-0"]);
});

test("through random rolls, drops and refusals every message is shown once and in order", (t) => {
  const random = seeded(t);
  for (let round = 0; round < 200; round += 1) new Storm(random).run();
});

/** A room log and the connections that read it, each at its own pace. */
class Storm {
  /** @param {(below: number) => number} random */
  constructor(random) {
    this.random = random;
    this.harness = new Harness({ rooms: { vault: "0-0" } });
    this.head = 0;
    /** How far each open connection has delivered. @type {Map<any, number>} */
    this.positions = new Map();
    this.live = new Set();
  }

  run() {
    this.harness.client.start("fresh");
    for (let step = 0; step < 150; step += 1) this.step();
    for (let step = 0; step < 50; step += 1) this.settle();
    const expected = Array.from({ length: this.head }, (_, i) => `${i + 1}-0`);
    assert.deepEqual(this.harness.shown(), expected);
    assert.deepEqual(this.harness.told("broken"), []);
    assert.equal(this.open().length, 1, "one connection is left");
  }

  open() {
    return this.harness.sockets.filter((socket) => !socket.isClosed);
  }

  step() {
    const sockets = this.open();
    const socket = sockets[this.random(sockets.length || 1)];
    const what = this.random(40);
    if (what < 12) this.head += 1;
    else if (what < 14) this.harness.clock.pass(this.random(500));
    else if (what === 14 && socket) socket.drop([1006, 1012, 1013][this.random(3)]);
    else if (what === 15 && this.positions.has(socket)) socket.deliver(goaway(this.random(300)));
    else if (socket) this.progress(socket);
  }

  /** @param {any} socket */
  progress(socket) {
    const at = this.positions.get(socket);
    if (at === undefined) {
      const { rooms } = this.harness.welcome("r", socket);
      this.positions.set(socket, Number.parseInt(rooms[0].after, 10));
      socket.deliver(joined("vault", `${this.head}-0`));
    } else if (at < this.head) {
      this.positions.set(socket, at + 1);
      socket.deliver(message(at + 1));
    } else if (!this.live.has(socket)) {
      this.live.add(socket);
      socket.deliver({ type: "live", room: "vault", id: `${at}-0` });
    } else {
      socket.deliver({ type: "pong", t: 0 });
    }
  }

  settle() {
    this.harness.clock.pass(500);
    for (let i = 0; i < this.head + 3; i += 1) {
      for (const socket of this.open()) if (!socket.isClosed) this.progress(socket);
    }
  }
}

test("who is sent out of a room while they move is told once", () => {
  const { harness, old } = moving({ rooms: { vault: "1-0", lobby: "1-0" } });
  harness.clock.pass(1_200);
  harness.welcome("r2");
  const young = harness.socket;
  young.deliver(joined("vault", "1-0"));
  for (const socket of [old, young]) socket.deliver({ type: "error", code: "banned", detail: "Ada banned you", room: "vault" });
  assert.deepEqual(harness.told("shut"), [["vault", "Ada banned you"]]);
});

const put = (code) => ({ type: "error", code, detail: `${code}, says the new one`, room: "vault" });

test("a room that is not for whom one signs in as does not keep one from coming as that", () => {
  for (const code of ["private", "banned", "kicked"]) {
    const harness = new Harness({ rooms: { vault: "1-0", lobby: "1-0" } });
    harness.client.start("fresh");
    harness.serve("r1");
    const guest = harness.socket;
    harness.client.renew();
    harness.welcome("r2");
    const young = harness.socket;
    guest.take();
    young.deliver(put(code));
    assert.deepEqual([young.isClosed, guest.isClosed], [false, false], code);
    assert.deepEqual(guest.take(), [{ type: "leave", room: "vault" }], "it is left there, too");
    guest.deliver(message(2));
    young.deliver(joined("lobby", "1-0"));
    young.deliver({ type: "live", room: "lobby", id: "1-0" });
    assert.ok(guest.isClosed);
    assert.deepEqual(harness.told("shut"), [["vault", `${code}, says the new one`]]);
    assert.deepEqual([harness.shown(), harness.told("interrupted")], [[], []]);
    assert.equal(harness.sockets.length, 2);
  }
});

test("a move waits for no room that one is put out of, or leaves, on the first connection", () => {
  for (const end of ["kicked", "quit"]) {
    const { harness, old } = moving({ rooms: { vault: "1-0", lobby: "1-0" } });
    harness.clock.pass(1_200);
    harness.welcome("r2");
    const young = harness.socket;
    young.deliver(joined("lobby", "1-0"));
    young.deliver({ type: "live", room: "lobby", id: "1-0" });
    assert.ok(!old.isClosed);
    if (end === "quit") harness.client.quit("vault");
    else old.deliver(put("kicked"));
    assert.ok(old.isClosed && !young.isClosed, end);
    assert.deepEqual(young.take().at(-1), { type: "leave", room: "vault" });
    assert.equal(harness.told("serving").at(-1)[0].replica, "r2");
  }
});

test("a room that only the second connection does not know fails the move", () => {
  const { harness, old } = moving({ rooms: { vault: "1-0", lobby: "1-0" } });
  harness.clock.pass(1_200);
  harness.welcome("r2");
  harness.socket.deliver(put("bad_room"));
  assert.deepEqual([harness.socket.isClosed, old.isClosed], [true, false]);
  assert.deepEqual(harness.told("shut"), []);
});
