import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test from "node:test";
import { Client } from "../client.js";
import { Participant } from "../participant.js";
import { PlainSocket } from "../transport/plain_socket.js";
import { sha256 } from "../transport/sha256.js";
import { Events } from "../transport/stream.js";
import { Transports } from "../transport/transports.js";
import { FakeClock } from "./fake_clock.js";
import { FakeSocket } from "./fake_socket.js";

const KEY = "0123456789abcdef0123456789abcdef";
const settled = async () => {
  for (let turn = 0; turn < 60; turn += 1) await Promise.resolve();
};

/** Time goes by, and what it brings about is done meanwhile. */
async function passing(clock, ms) {
  for (let left = ms; left > 0; left -= 1_000) {
    clock.pass(Math.min(left, 1_000));
    await settled();
  }
}

/** A server that knows only plain requests: a log per room, and what it was asked. */
class Plain {
  constructor() {
    this.log = [];
    this.asked = [];
    this.refuse = null;
    this.polls = [];
  }

  who = {};
  about = { replica: "r1", release: "1.1.0", features: ["edit"] };

  async call(method, path, body, { signal } = {}) {
    this.asked.push(`${method} ${path}`);
    const refusal = this.refuse?.(method, path, body);
    if (refusal) return { ok: false, status: 0, data: null, code: "", detail: "", retryMs: null, ...refusal };
    const data = (value) => ({ ok: true, status: 200, data: value, code: "", detail: "", retryMs: null });
    if (path === "") return data(this.about);
    if (method === "POST") return data(this.append(body));
    if (!path.includes("/messages")) return { ok: false, status: 404, data: null, code: "not_found", detail: "" };
    const query = new URLSearchParams(path.split("?")[1]);
    const head = this.log.at(-1)?.id ?? "1-0";
    if (!query.has("after")) return data({ messages: this.log.slice(-Number(query.get("limit"))), head });
    const after = () => this.log.filter(({ id }) => Number(id.split("-")[0]) > Number(query.get("after").split("-")[0]));
    if (query.get("wait") && after().length === 0) {
      await new Promise((resolve) => {
        this.polls.push(resolve);
        signal?.addEventListener("abort", resolve);
      });
    }
    return data({ messages: after(), head, live: true });
  }

  append({ n, text, member = sha256(KEY).slice(0, 16), name = "Teal" }) {
    const ms = this.log.length + 2;
    const message = { room: "vault", id: `${ms}-0`, prev: `${ms - 1}-0`, member, name, n, text, at: ms };
    this.log.push(message);
    for (const answer of this.polls.splice(0)) answer();
    return { ...message, duplicate: false };
  }
}

/** A client whose WebSockets come to nothing, and which has plain requests. */
function stranded(t, { streams = false, refuse = null } = {}) {
  const clock = new FakeClock();
  const api = new Plain();
  api.refuse = refuse;
  const participant = new Participant(KEY, "Teal");
  participant.room("vault").cursor = "1-0";
  const sockets = [];
  const heard = [];
  const transports = new Transports({
    participant, clock, api, current: () => "vault",
    open: () => sockets[sockets.push(new FakeSocket()) - 1],
  });
  transports.streams = streams;
  const on = new Proxy({}, { get: (_, event) => (...told) => heard.push([event, ...told]) });
  const client = new Client({ participant, clock, open: () => transports.open(), random: () => 0.5, on });
  t.after(() => client.stop());
  const told = (event) => heard.filter(([name]) => name === event).map(([, ...it]) => it);
  return { clock, api, client, sockets, told, transports, participant };
}

/** Three WebSockets that do not open, of which the first may have found nobody; the fourth try is another way. */
async function fallen(t, options) {
  const it = stranded(t, options);
  it.client.start("fresh");
  await dropped(it, 0);
  await dropped(it, 1);
  await dropped(it, 2);
  return it;
}

/** A WebSocket that does not open; then the next try. */
async function dropped({ sockets, clock }, number) {
  sockets[number].drop(1006);
  await settled();
  clock.pass(400);
  await settled();
}

test("SHA-256 is the browser's and everybody's", () => {
  for (const text of ["", "abc", KEY, "x".repeat(55), "x".repeat(56), "x".repeat(64), "x".repeat(200)]) {
    assert.equal(sha256(text), createHash("sha256").update(text).digest("hex"));
  }
});

test("events are put together from whatever pieces they come in", () => {
  const text = "retry: 200\n\n: still here\n\nevent: message\r\ndata: {\"a\":\r\ndata: \"é\"}\r\nid: 1-0\r\n\r\nevent: live\ndata: {}\n\n";
  const bytes = new TextEncoder().encode(text);
  for (const size of [1, 2, 3, 7, 1000]) {
    const heard = [];
    const events = new Events((type, data) => heard.push([type, data]));
    for (let at = 0; at < bytes.length; at += size) events.push(bytes.subarray(at, at + size));
    const once = heard.filter(([, data]) => data !== "");
    assert.deepEqual(once, [["message", "{\"a\":\n\"é\"}"], ["live", "{}"]], `pieces of ${size}`);
  }
});

test("whom the browser's cookie knows is that person by plain requests, too, and is nobody else while it cannot be looked up", async (t) => {
  const account = { name: "Teal", role: "registered" };
  const session = (answer) => (_, path) => (path === "sessions/current" ? answer : null);
  const known = await fallen(t, { refuse: session({ ok: true, status: 200, data: { account, member: "teals" } }) });
  const [[welcome]] = known.told("serving");
  assert.deepEqual([welcome.account, welcome.name, known.participant.member], [account, "Teal", "teals"]);
  assert.equal(known.participant.sender, sha256(KEY).slice(0, 16));
  for (const answer of [{ status: 503, code: "unavailable" }, { status: 429, code: "rate_limited" }, { status: 0, code: "unreachable" }]) {
    const unknown = await fallen(t, { refuse: session(answer) });
    assert.equal(unknown.told("serving").length, 0, answer.code);
  }
});

test("where upgrades fail, plain requests serve, and keep the same promises", async (t) => {
  const { api, client, clock, told, sockets, participant } = await fallen(t);
  assert.equal(sockets.length, 3);
  assert.equal(told("serving")[0][0].replica, "r1");
  assert.equal(participant.member, sha256(KEY).slice(0, 16));
  client.send("vault", "a");
  client.send("vault", "b");
  await settled();
  assert.deepEqual(api.log.map(({ n, text }) => [n, text]), [[1, "a"], [2, "b"]]);
  assert.deepEqual(told("acked").map(([, { text }]) => text), ["a", "b"]);
  await passing(clock, 1_000);
  api.append({ n: 9, text: "from another", member: "other", name: "Plum" });
  await settled();
  assert.ok(told("message").some(([{ text }]) => text === "from another"), "the poll that waited has told");
});

test("a send without an answer is looked for before it goes again", async (t) => {
  const { api, client, clock, told } = await fallen(t);
  let lost = 0;
  api.refuse = (method, path, body) => {
    if (method !== "POST" || lost > 0) return null;
    lost += 1;
    api.append(body); // it is in the log, and the answer is not
    return { status: 502 };
  };
  client.send("vault", "once");
  await settled();
  assert.equal(told("interrupted").length, 1);
  await passing(clock, 6_000);
  assert.deepEqual(api.log.map(({ text }) => text), ["once"]);
  assert.deepEqual(told("acked").map(([, { text }]) => text), ["once"]);
});

test("too fast is too fast on this way, too", async (t) => {
  const { api, client, clock, told } = await fallen(t);
  let refusals = 1;
  api.refuse = (method) => (method === "POST" && refusals-- > 0 ? { status: 429, code: "rate_limited", retryMs: 500 } : null);
  client.send("vault", "patience");
  await settled();
  assert.equal(api.log.length, 0);
  assert.equal(told("held")[0][0].retry_ms, 500);
  clock.pass(600);
  await settled();
  assert.deepEqual(api.log.map(({ text }) => text), ["patience"]);
});

test("later a WebSocket is tried again as a move; what serves goes on until it does", async (t) => {
  const { clock, told, sockets } = await fallen(t);
  await passing(clock, 120_000);
  assert.equal(sockets.length, 4, "one is opened");
  assert.equal(told("interrupted").length, 0);
  sockets[3].drop(1006);
  await passing(clock, 1_000);
  assert.equal(told("interrupted").length, 0, "it failed, and nobody noticed");
  // Whether requests come through is asked while the next one is opened.
  sockets[4]?.drop(1006);
  await passing(clock, 1_000);
  const tried = sockets.length;
  await passing(clock, 121_000);
  assert.equal(sockets.length, tried + 1);
  sockets[tried].open();
  sockets[tried].deliver({
    type: "welcome", v: 1, member: "me", replica: "r7", release: "1.1.0", heartbeat_ms: 10_000,
    limits: { text_bytes: 4096, frame_bytes: 16384, rooms: 64, pending: 4 },
  });
  sockets[tried].deliver({ type: "joined", room: "vault", head: "1-0", status: "resumed", present: 1, members: [] });
  sockets[tried].deliver({ type: "live", room: "vault", id: "1-0" });
  assert.equal(told("serving").at(-1)[0].replica, "r7");
});

test("where nobody answered at all WebSockets are not what was missing: they are the way when somebody does", async (t) => {
  const it = stranded(t);
  it.api.refuse = () => ({ status: 503 });
  it.client.start("fresh");
  await dropped(it, 0);
  it.sockets[1].drop(1006);
  it.api.refuse = null;
  await passing(it.clock, 2_000);
  assert.equal(it.sockets.length, 3);
  assert.deepEqual(it.told("serving"), []);
});

test("another release behind the same requests is told, and is no interruption", async (t) => {
  const { api, clock, told } = await fallen(t);
  await passing(clock, 8_000);
  assert.equal(told("serving").length, 1);
  api.about = { replica: "r2", release: "1.2.0", features: ["edit", "applause"] };
  await passing(clock, 8_000);
  const [welcome] = told("serving").at(-1);
  assert.deepEqual([welcome.release, welcome.features, welcome.member], ["1.2.0", ["edit", "applause"], sha256(KEY).slice(0, 16)]);
  assert.equal(told("serving").length, 2);
  assert.equal(told("interrupted").length, 0);
});

test("a server that is started twice within a second lets WebSockets through", async (t) => {
  const it = stranded(t);
  it.client.start("fresh");
  // It was away when each was opened, and is there again by the time that it is asked.
  await dropped(it, 0);
  await dropped(it, 1);
  assert.equal(it.transports.isPlain, false);
  assert.equal(it.sockets.length, 3, "and the next try is one, too");
});

test("what is missing is told as a gap, not skipped", async () => {
  const heard = [];
  const house = { api: new Plain(), clock: new FakeClock(), current: () => "vault", streams: () => false, worked() {}, failed() {}, buffered() {} };
  const socket = new PlainSocket(house);
  socket.onmessage = ({ data }) => heard.push(JSON.parse(data));
  socket.rooms.set("vault", "1-0");
  socket.take("vault", { messages: [{ id: "9-0", prev: "8-0" }], head: "9-0" });
  assert.deepEqual(heard.map(({ type, resumes_at, reason }) => [type, resumes_at, reason]),
    [["gap", "8-0", "trimmed"], ["message", undefined, undefined]]);
  socket.take("vault", { messages: [], head: "4-0" });
  assert.deepEqual([heard[2].type, heard[2].reason, heard[2].resumes_at], ["gap", "rewound", "4-0"]);
  socket.close();
});
