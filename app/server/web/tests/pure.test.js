import assert from "node:assert/strict";
import test from "node:test";
import { fieldOf, Identity } from "../account/identity.js";
import { weakness } from "../account/dialog.js";
import { Drafts } from "../compose/drafts.js";
import { Kept } from "../kept.js";
import { initials } from "../people/avatar.js";
import { lastLine } from "../rooms/list.js";
import { choices } from "../rooms/switcher.js";
import { dayOf } from "../talk/message_row.js";

const store = (entries = {}) => {
  const map = new Map(Object.entries(entries));
  return { map, get: (key) => map.get(key) ?? null, set: (key, value) => (value === null ? map.delete(key) : map.set(key, value), true) };
};

test("P12: each room has its draft, and a reload finds it", () => {
  const kept = store();
  const drafts = new Drafts(kept, "lobby");
  drafts.put("lobby", "half a thought");
  drafts.put("vault", "another");
  drafts.put("vault", "");
  const after = new Drafts(kept, "lobby");
  assert.deepEqual([after.of("lobby"), after.of("vault"), after.of("attic")], ["half a thought", "", ""]);
});

test("P18: the draft of a page of the release before is where one is", () => {
  const kept = store({ "rollcall.draft": "from before" });
  assert.equal(new Drafts(kept, "vault").of("vault"), "from before");
  assert.equal(new Drafts(kept, "lobby").of("lobby"), "");
  assert.equal(new Drafts(store({ "rollcall.drafts": "{nonsense" }), "lobby").of("lobby"), "");
});

test("what is kept for a page without a network is bounded, and nonsense is nothing", () => {
  const message = (room, ms, text = "x") => ({ room, id: `${ms}-0`, prev: `${ms - 1}-0`, member: "p", name: "Plum", n: ms, text, at: ms });
  const rooms = Array.from({ length: 30 }, (_, r) => ({
    name: `room ${r}`, recent: { messages: Array.from({ length: 50 }, (_, i) => message(`room ${r}`, r * 100 + i + 1, "y".repeat(2_000))) },
  }));
  const kept = store();
  new Kept(kept).save(rooms);
  assert.ok(kept.map.get("rollcall.past").length <= 300_000);
  const after = new Kept(kept);
  assert.equal(after.of("room 29").at(-1).id, "2950-0");
  assert.equal(after.of("room 29").length, 30);
  assert.deepEqual(new Kept(store({ "rollcall.past": '[["lobby",[{"id":7}]]]' })).of("lobby"), []);
});

const api = (answers) => {
  const asked = [];
  return { asked, call: async (method, path, body) => (asked.push([method, path, body]), answers.shift()) };
};
const ok = (data) => ({ ok: true, status: 200, data, code: "", detail: "" });
const no = (status, code, detail = code) => ({ ok: false, status, data: null, code, detail });

test("who registers is signed in; the token is kept only where no cookie serves", async () => {
  const identity = new Identity(store());
  const first = api([ok({}), ok({ token: "secret", account: { name: "Ada" } }), no(401, "unauthorized")]);
  assert.ok((await identity.signIn(first, "ada", "long enough", true)).ok);
  assert.deepEqual(first.asked.map(([method, path]) => `${method} ${path}`), ["POST accounts", "POST sessions", "GET sessions/current"]);
  assert.deepEqual(identity.signed, { name: "Ada", token: "secret" });
  await identity.signIn(api([ok({ token: "secret", account: { name: "Ada" } }), ok({})]), "ada", "long enough", false);
  assert.deepEqual(identity.signed, { name: "Ada", token: null });
});

test("an account that cannot be made signs nobody in", async () => {
  const identity = new Identity(store());
  assert.equal((await identity.signIn(api([no(409, "name_taken")]), "ada", "long enough", true)).code, "name_taken");
  assert.equal(identity.signed, null);
});

test("signing out everywhere is done only once the server has done it; here it always is", async () => {
  const identity = new Identity(store({ "rollcall.account": '{"name":"Ada","token":"t"}' }));
  assert.equal((await identity.signOut(api([no(0, "unreachable")]), true)).ok, false);
  assert.notEqual(identity.signed, null);
  await identity.signOut(api([no(0, "unreachable")]), false);
  assert.equal(identity.signed, null);
});

test("an error stands beside the field that caused it", () => {
  assert.equal(fieldOf(no(409, "name_taken")), "name");
  assert.equal(fieldOf(no(400, "bad_password", "too short")), "password");
  assert.equal(fieldOf(no(401, "bad_credentials", "wrong name or password")), "password");
  assert.equal(fieldOf(no(503, "unavailable")), "form");
  assert.deepEqual([weakness("1234567"), weakness("é123456"), weakness("x".repeat(257))], ["At least 8 characters", "", "At most 256 characters"]);
});

test("a few letters find a room; what is none can become one", () => {
  const own = ["lobby", "the-van"].map((name) => ({ name, title: name, hint: "" }));
  const others = ["vanity", "lobby"].map((name) => ({ name, title: name, hint: "" }));
  const names = (list) => list.map(({ name, make }) => (make ? `${make}:${name}` : name));
  assert.deepEqual(names(choices("van", own, others, true)), ["the-van", "vanity", "open:van", "private:van"]);
  assert.deepEqual(names(choices("lobby", own, others, true)), ["lobby"]);
  assert.deepEqual(names(choices("", own, others, true)), ["lobby", "the-van", "vanity"]);
  assert.deepEqual(names(choices("new", own, others, false)), ["open:new"]);
});

test("an avatar has two letters as people count them", () => {
  assert.deepEqual(["Ada", "Grace Hopper", "ada (guest)", "سارة", "👩‍🚀 x", "the-van driver", "…"].map(initials),
    ["A", "GH", "A", "س", "👩‍🚀X", "TD", "…"]);
});

test("days are called as people call them", () => {
  const now = new Date(2026, 10, 28, 0, 30).getTime();
  assert.equal(dayOf(now, now), "Today");
  assert.equal(dayOf(now - 3_600_000, now), "Yesterday");
  assert.match(dayOf(now - 40 * 86_400_000, now), /19/);
});

test("a room's last line says whose it is", () => {
  const room = { isOwn: ({ member }) => member === "me", state: null };
  assert.equal(lastLine({ member: "me", name: "Ada", text: "a\n b" }, room), "You: a b");
  assert.equal(lastLine({ member: "p", name: "Plum", text: "hi" }, room), "Plum: hi");
  assert.equal(lastLine({ member: "p", name: "Plum", text: "Plum froze it", kind: "notice" }, room), "Plum froze it");
  assert.equal(lastLine({ member: "p", name: "Plum", text: "", removed: true }, room), "A message was removed");
});
