import assert from "node:assert/strict";
import test from "node:test";
import { ack, Harness, joined, message, sends, welcome } from "./harness.js";

function served(options) {
  const harness = new Harness(options);
  harness.client.start("fresh");
  harness.serve();
  return harness;
}

const badToken = { type: "error", code: "bad_token", detail: "this session has ended" };

/** Served as an account. */
function signed() {
  const harness = new Harness();
  Object.assign(harness.participant, { token: "t0ken", isSigned: true });
  harness.client.start("fresh");
  assert.equal(harness.serve().token, "t0ken");
  harness.client.current.welcome.account = { name: "Teal", role: "registered" };
  return harness;
}

test("a token that is void is dropped, and one comes back as a guest", () => {
  const harness = new Harness();
  Object.assign(harness.participant, { token: "t0ken", isSigned: true });
  harness.client.start("resume");
  harness.socket.open();
  harness.socket.deliver(badToken);
  harness.socket.drop(4401);
  assert.deepEqual(harness.told("signedOut"), [["this session has ended", true]]);
  assert.equal(harness.told("ended").length, 0);
  harness.clock.pass(200);
  assert.equal("token" in harness.serve(), false);
  harness.socket.deliver(badToken);
  assert.equal(harness.told("signedOut").length, 1, "a guest has none");
});

test("a guest whose browser has the cookie of a session that ended just now comes back, too", () => {
  const asked = signed();
  asked.client.signsOut = true;
  asked.socket.deliver(badToken);
  asked.socket.drop(4403);
  asked.clock.pass(200);
  asked.socket.open();
  asked.socket.deliver(badToken);
  asked.socket.drop(4401);
  assert.deepEqual(asked.told("signedOut").map(([, wasSigned]) => wasSigned), [true, false]);
  assert.equal(asked.told("ended").length, 0);
  asked.clock.pass(400);
  assert.equal("token" in asked.serve(), false);
});

test("whoever was signed out everywhere does not come back by itself, unless it asked for that", () => {
  const sent = signed();
  sent.socket.deliver(badToken);
  sent.socket.drop(4403);
  assert.deepEqual(sent.told("ended"), [[4403, "this session has ended"]]);
  const asked = signed();
  asked.client.signsOut = true;
  asked.socket.deliver(badToken);
  asked.socket.drop(4403);
  asked.clock.pass(200);
  assert.equal("token" in asked.serve(), false);
  assert.equal(asked.told("ended").length, 0);
});

test("who asked for the end of all sessions goes on as a guest, whether it is told that or the end first", () => {
  const asked = signed();
  const account = asked.socket;
  asked.client.signsOut = true;
  Object.assign(asked.participant, { token: null, isSigned: false });
  asked.client.renew();
  account.deliver(badToken);
  account.drop(4403);
  assert.equal(asked.told("ended").length, 0);
  assert.equal("token" in asked.serve(), false);
});

test("who signs in is served as before until it is served as itself", () => {
  const harness = served();
  const guest = harness.socket;
  Object.assign(harness.participant, { token: "t0ken", isSigned: true });
  harness.client.renew();
  assert.ok(!guest.isClosed);
  const hello = harness.serve("r2");
  assert.deepEqual([hello.token, hello.why, guest.isClosed], ["t0ken", "move", true]);
  assert.equal(harness.told("interrupted").length, 0);
});

test("numbers are the device's: what another device of ours sent acknowledges nothing", () => {
  const harness = new Harness();
  harness.client.start("fresh");
  const [hello] = harness.socket.open();
  harness.socket.deliver({ ...welcome("r1"), sender: "device" });
  harness.socket.deliver(joined("vault", hello.rooms[0].after));
  harness.client.send("vault", "a");
  harness.socket.deliver({ ...message(2), member: "me", sender: "another", n: 1, text: "a" });
  harness.socket.deliver({ type: "live", room: "vault", id: "2-0" });
  assert.deepEqual(sends(harness.socket.take()), [[1, "a"]]);
  harness.socket.drop(1006);
  harness.clock.pass(100);
  harness.socket.open();
  harness.socket.deliver({ ...welcome("r1"), sender: "device" });
  harness.socket.deliver(joined("vault", "3-0"));
  harness.socket.deliver({ ...message(3), member: "me", sender: "device", n: 1, text: "a" });
  harness.socket.deliver({ type: "live", room: "vault", id: "3-0" });
  assert.deepEqual(sends(harness.socket.take()), []);
  assert.deepEqual(harness.told("acked").map(([, { text }]) => text), ["a"]);
});

test("edits and removals go the way of messages, numbers and all", () => {
  const harness = served({ own: { features: ["edit"] } });
  harness.client.send("vault", "better", { edit: "1-0" });
  harness.client.send("vault", "", { remove: "1-0" });
  harness.socket.drop(1006);
  harness.clock.pass(100);
  harness.serve("r2");
  assert.deepEqual(harness.socket.take(), [{ type: "send", room: "vault", n: 1, text: "better", edit: "1-0" }]);
  harness.socket.deliver(ack(1));
  assert.deepEqual(harness.socket.take(), [{ type: "send", room: "vault", n: 2, text: "", remove: "1-0" }]);
});

test("a private room is entered with its invitation, once", () => {
  const harness = served();
  harness.client.invites.set("secret", "abc");
  harness.participant.room("secret");
  harness.client.join("secret");
  assert.deepEqual(harness.socket.take(), [{ type: "join", room: "secret", invite: "abc" }]);
  harness.socket.drop(1006);
  harness.clock.pass(100);
  const hello = harness.welcome("r2");
  assert.deepEqual(hello.rooms.map(({ room }) => room), ["vault"]);
  assert.deepEqual(harness.socket.take(), [{ type: "join", room: "secret", invite: "abc" }]);
  harness.socket.deliver(joined("secret", "1-0"));
  assert.equal(harness.client.invites.size, 0);
});

test("who is sent out of a room is out, and stays in the others", () => {
  const harness = served({ rooms: { vault: "1-0", lobby: "1-0" } });
  harness.socket.deliver({ type: "error", code: "kicked", detail: "Plum sent you out", room: "vault" });
  assert.deepEqual(harness.told("shut"), [["vault", "Plum sent you out"]]);
  assert.equal(harness.client.send("vault", "a"), null);
  assert.notEqual(harness.client.send("lobby", "a"), null);
  harness.client.quit("lobby");
  assert.deepEqual(harness.socket.take().at(-1), { type: "leave", room: "lobby" });
  assert.deepEqual([...harness.participant.cursors()], []);
});

test("what was on its way when one left brings nothing of the room back", () => {
  const harness = served({ rooms: { vault: "1-0", lobby: "1-0" } });
  harness.client.quit("vault");
  const before = harness.heard.length;
  const { cursor } = harness.participant.room("vault");
  harness.socket.deliver(message(2));
  harness.socket.deliver({ type: "room", room: "vault", topic: "" });
  harness.socket.deliver(joined("vault", "2-0"));
  harness.socket.deliver({ type: "live", room: "vault" });
  assert.deepEqual(harness.heard.slice(before), []);
  assert.equal(harness.participant.room("vault").cursor, cursor);
  harness.client.join("vault");
  assert.equal(harness.socket.take().at(-1).type, "join");
});

test("how far one has read is told where it is understood", () => {
  const harness = served();
  harness.client.read("vault", "1-0");
  assert.deepEqual(harness.socket.take(), []);
  const newer = new Harness();
  newer.client.start("fresh");
  newer.socket.open();
  newer.socket.deliver({ ...welcome("r1"), features: ["read"] });
  newer.socket.deliver(joined("vault", "1-0"));
  newer.client.read("vault", "1-0");
  assert.deepEqual(newer.socket.take(), [{ type: "read", room: "vault", id: "1-0" }]);
  newer.socket.deliver({ type: "read", room: "vault", id: "2-0" });
  assert.deepEqual(newer.told("read"), [["vault", "2-0"]]);
});
