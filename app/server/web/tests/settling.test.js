import assert from "node:assert/strict";
import test from "node:test";
import { Participant } from "../participant.js";
import { ack, goaway, Harness, joined, sends } from "./harness.js";

const features = ["accounts", "edit"];
/** What is in the `welcome` of a guest, and of accounts. */
const guest = { features };
const account = (/** @type {string} */ name) => ({ features, member: name, sender: "me", account: { name, role: "registered" } });
const [ada, grace] = [account("Ada"), account("Grace")];

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
function hold(harness, n, retry_ms = 60_000) {
  harness.socket.take();
  harness.socket.deliver({ type: "reject", room: "vault", n, code: "slow_mode", detail: "", retry_ms });
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

/** Somebody else signs in, or out, and is served. @param {Harness} harness @param {any} own */
function become(harness, own) {
  const { participant } = harness;
  participant.isSigned = own.account !== undefined;
  if (own.account) participant.name = own.account.name;
  harness.client.renew();
  harness.own = own;
  harness.serve("r2");
}

/** As a page that is loaded again finds it. @param {Harness} harness @param {(saved: any) => any} [older] */
function reloaded(harness, older = (saved) => saved) {
  const again = new Harness();
  const participant = Participant.from(older(JSON.parse(JSON.stringify(harness.participant))));
  participant.isSigned = harness.participant.isSigned;
  again.participant = again.client.participant = again.client.sending.participant = participant;
  return again;
}

/** Served as somebody, and two messages wait. @param {object} own */
function waiting(own) {
  const harness = served({ own });
  harness.participant.isSigned = own !== guest;
  if (own !== guest) harness.participant.name = "Ada";
  harness.client.send("vault", "a");
  hold(harness, 1);
  harness.client.send("vault", "b");
  return harness;
}

test("what waits goes out under no other name than that of whoever wrote it", () => {
  for (const [before, after, name] of [[ada, grace, "Ada"], [ada, guest, "Ada"], [guest, ada, "a guest"]]) {
    const harness = waiting(before);
    become(harness, after);
    assert.deepEqual(harness.socket.take(), []);
    assert.deepEqual(told(harness, "refused"), [["a", `written as ${name}`], ["b", `written as ${name}`]]);
    assert.equal(harness.participant.kept, 0);
    harness.client.send("vault", "c");
    assert.deepEqual(sends(harness.socket.take()), [[3, "c"]]);
    harness.socket.deliver({ type: "reject", room: "vault", n: 3, code: "out_of_order", detail: "", expected: 1 });
    assert.deepEqual(sends(harness.socket.take()), [[1, "c"]], "the numbers of what was given up are free");
  }
});

test("… nor after a reload, of which somebody else made use", () => {
  const harness = reloaded(waiting(ada));
  harness.participant.name = "Grace";
  harness.client.start("resume");
  harness.client.send("vault", "c");
  harness.own = grace;
  harness.serve();
  assert.deepEqual(sends(harness.socket.take()).map(([, text]) => text), ["c"]);
  assert.deepEqual(told(harness, "refused").map(([text]) => text), ["a", "b"]);
});

test("a move, a break and a reload as the same account change nothing, whatever the release tells of it", () => {
  for (const own of [ada, guest]) {
    const harness = waiting(own);
    move(harness, own);
    assert.deepEqual(sends(harness.socket.take()), [[1, "a"]]);
    move(harness, {});
    assert.deepEqual(sends(harness.socket.take()), [[1, "a"]], "1.0.0 knows no accounts");
    harness.socket.drop(1006);
    harness.client.send("vault", "c");
    const again = reloaded(harness);
    again.client.start("resume");
    again.client.send("vault", "d");
    again.own = own;
    again.serve("r3");
    for (const n of [1, 2, 3, 4]) again.socket.deliver(ack(n));
    assert.deepEqual(told(again, "acked"), [["a"], ["b"], ["c"], ["d"]]);
    for (const one of [harness, again]) assert.deepEqual([one.told("refused"), one.told("unknown")], [[], []]);
  }
});

test("what an older page kept is whoever's this one speaks as first", () => {
  const older = (saved) => {
    delete saved.writer;
    for (const item of saved.rooms.vault.outbox.pending) delete item.by;
    return saved;
  };
  const harness = reloaded(waiting(ada), older);
  harness.client.start("resume");
  harness.own = ada;
  harness.serve();
  assert.deepEqual(sends(harness.socket.take()), [[1, "a"]]);
  become(harness, grace);
  assert.deepEqual(told(harness, "refused"), [["b", "written as Ada"]]);
  assert.deepEqual(told(harness, "unknown"), [["a"]], "which was on its way");
});

test("what was written before a server told as whom is not that of whoever signs in meanwhile", () => {
  const harness = new Harness();
  harness.client.start("fresh");
  harness.client.send("vault", "a");
  become(harness, grace);
  assert.deepEqual(harness.socket.take(), []);
  assert.deepEqual(told(harness, "refused"), [["a", "written as somebody else"]]);
});

test("what is written while somebody's last connection still serves is theirs", () => {
  const harness = waiting(ada);
  const old = harness.socket;
  harness.participant.name = "Grace";
  harness.client.renew();
  harness.client.send("vault", "c");
  assert.ok(!old.isClosed);
  harness.own = grace;
  harness.serve("r2");
  assert.deepEqual(told(harness, "refused").map(([text]) => text), ["a", "b", "c"]);
});

test("who is signed out by the server goes on as a guest, without the account's words", () => {
  const harness = waiting(ada);
  harness.participant.token = "t0ken";
  harness.client.signsOut = true;
  harness.socket.deliver({ type: "error", code: "bad_token", detail: "this session has ended" });
  harness.socket.drop(4403);
  harness.client.send("vault", "c");
  harness.clock.pass(200);
  harness.own = guest;
  harness.serve();
  assert.deepEqual(sends(harness.socket.take()).map(([, text]) => text), ["c"]);
  assert.deepEqual(told(harness, "refused").map(([text]) => text), ["a", "b"]);
});

/** What ends being in a room, and with which words. @type {[string, (harness: Harness) => void][]} */
const ENDS = [
  ...["banned", "kicked", "private"].map((code) => /** @type {[string, (harness: Harness) => void]} */ (
    [code, (harness) => harness.socket.deliver({ type: "error", code, detail: code, room: "vault" })])),
  ["you left this room", (harness) => harness.client.quit("vault")],
];

test("what waits in a room when one is put out of it, or leaves it, has an outcome", () => {
  for (const [why, end] of ENDS) {
    const harness = served();
    harness.client.send("vault", "a");
    hold(harness, 1);
    harness.client.send("vault", "b");
    end(harness);
    assert.deepEqual(told(harness, "refused"), [["a", why], ["b", why]]);
    assert.deepEqual(told(harness, "unknown"), []);
    assert.equal(harness.participant.kept, 0);
    harness.clock.pass(60_000);
    assert.deepEqual(sends(harness.socket.take()), []);
  }
});

test("… and what is on its way then has that of its answer, or nobody knows", () => {
  for (const [, end] of ENDS) {
    const harness = served({ rooms: { vault: "1-0", lobby: "1-0" } });
    harness.client.send("vault", "first");
    harness.socket.deliver(ack(1));
    harness.client.send("vault", "a");
    harness.client.send("vault", "b");
    end(harness);
    assert.deepEqual(told(harness, "refused"), [], "it may be in the log");
    harness.socket.deliver(ack(2));
    assert.deepEqual(told(harness, "acked"), [["first"], ["a"]]);
    harness.socket.drop(1006);
    harness.clock.pass(100);
    harness.serve("r2");
    assert.deepEqual(told(harness, "unknown"), [["b"]]);
    assert.equal(harness.participant.kept, 0);
  }
});

test("… also if the answer is that it may be sent again", () => {
  const harness = served();
  harness.client.send("vault", "a");
  harness.client.quit("vault");
  hold(harness, 1);
  assert.deepEqual(told(harness, "refused"), [["a", "you are not in this room"]]);
  assert.equal(harness.participant.kept, 0);
});

test("who comes back into a room says there what is said from then on, once", () => {
  const harness = served();
  harness.client.send("vault", "a");
  hold(harness, 1, 1_000);
  harness.client.quit("vault");
  harness.participant.room("vault").refused = false;
  harness.client.join("vault");
  harness.client.send("vault", "b");
  harness.socket.take();
  harness.socket.deliver(joined("vault", "1-0"));
  harness.socket.deliver({ type: "live", room: "vault", id: "1-0" });
  harness.clock.pass(1_000);
  assert.deepEqual(sends(harness.socket.take()).map(([, text]) => text), ["b"]);
});
