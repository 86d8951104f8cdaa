// @ts-check
import { roomPath } from "../api.js";
import { BROKEN } from "../close.js";
import { USUAL_LIMITS, VERSION } from "../frame.js";
import { compare } from "../id.js";
import { Listener } from "./listening.js";
import { sha256 } from "./sha256.js";

/**
 * @typedef {import("../frame.js").Frame} Frame
 * @typedef {import("../api.js").Answer} Answer
 * @typedef {{ api: import("../api.js").Api, clock: import("../connection.js").Clock, current(): string,
 *   streams(): boolean, buffered(): void, worked(): void, failed(): void }} House `streams`: whether event
 *   streams come through; `buffered`: they do not
 */

/** How often rooms that are not on the screen are looked at, and those of the one that is are counted. */
const SWEEP_MS = 6_000;
/** Tells the client how soon to doubt; requests of our own tell whether somebody is there. */
const HEARTBEAT_MS = 5_000;
const PAGE = 200;

/**
 * Looks like a WebSocket and speaks its frames, over requests that every proxy knows: `POST` to send,
 * and to listen an event stream or long polls. The same promises hold, since the same client keeps them.
 */
export class PlainSocket {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
    this.onopen = this.onmessage = this.onclose = /** @type {any} */ (null);
    /** Cursors of the rooms that we are in. @type {Map<string, string>} */
    this.rooms = new Map();
    this.key = this.name = "";
    this.gone = new AbortController();
    this.hasWorked = false;
    /** What was told last of who serves. @type {any} */
    this.welcome = null;
    this.cancelSweep = () => {};
    this.listener = new Listener(this);
    queueMicrotask(() => this.onopen?.());
  }

  get isClosed() {
    return this.gone.signal.aborted;
  }

  /** @param {string} text */
  send(text) {
    const frame = JSON.parse(text);
    switch (frame.type) {
      case "hello": return void this.#hello(frame);
      case "join": return void this.#enter(frame.room, frame.after ?? null, frame.invite);
      case "leave": return void this.rooms.delete(frame.room);
      case "send": return void this.#post(frame);
      case "read": return void this.house.api.call("PUT", roomPath(frame.room, "/read"), { id: frame.id });
      case "ping": return queueMicrotask(() => this.tell({ type: "pong", t: frame.t }));
    }
  }

  close() {
    this.gone.abort();
    this.cancelSweep();
  }

  /** @param {Frame} frame */
  tell(frame) {
    if (!this.isClosed) this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** @param {number} code */
  end(code) {
    if (this.isClosed) return;
    this.close();
    // What served a moment ago is the first to be tried again.
    if (code === BROKEN && !this.hasWorked) this.house.failed();
    this.onclose?.({ code });
  }

  /** What came of a room, in the log's order. @param {string} room @param {any} part with `messages` */
  take(room, { messages, gap, head }) {
    const cursor = this.rooms.get(room);
    if (cursor === undefined || this.isClosed) return;
    const fresh = messages.filter((/** @type {any} */ message) => compare(message.id, cursor) > 0);
    if (gap) this.#gap(room, cursor, gap.resumes_at, gap.reason);
    else if (fresh.length > 0 && compare(fresh[0].prev, cursor) > 0) this.#gap(room, cursor, fresh[0].prev, "trimmed");
    else if (fresh.length === 0 && head && compare(head, cursor) < 0) this.#gap(room, cursor, head, "rewound");
    for (const message of fresh) {
      this.rooms.set(room, message.id);
      this.tell({ ...message, type: "message", room });
    }
  }

  /** Reads on from the cursor. @param {string} room @param {number} wait s @returns {Promise<Answer>} */
  async read(room, wait) {
    const after = this.rooms.get(room) ?? "0-0";
    const query = new URLSearchParams({ after, limit: String(PAGE), ...(wait > 0 ? { wait: String(wait) } : {}) });
    const signal = AbortSignal.any([this.gone.signal, AbortSignal.timeout(15_000 + wait * 1000)]);
    const answer = await this.house.api.call("GET", roomPath(room, `/messages?${query}`), undefined, { signal });
    if (answer.ok && Array.isArray(answer.data?.messages)) this.take(room, answer.data);
    return answer;
  }

  /** @param {string} room @param {string} after @param {string} resumes_at @param {string} reason */
  #gap(room, after, resumes_at, reason) {
    this.rooms.set(room, resumes_at);
    this.tell({ type: "gap", room, after, resumes_at, reason });
  }

  /** @param {any} hello */
  async #hello({ client, name, rooms }) {
    this.key = client;
    this.name = name;
    const about = await this.house.api.call("GET", "");
    // A release before has no such thing, and serves all the same.
    if (!about.ok && about.status !== 404) return this.end(BROKEN);
    // By a token or a cookie. A guest has neither, and a release before does not know the question. With any other answer it
    // is not known who we are.
    const session = await this.house.api.call("GET", "sessions/current");
    if (session.code === "bad_token") return this.#voidToken(session.detail);
    if (!session.ok && session.status !== 401 && session.status !== 404) return this.end(BROKEN);
    const { account, member } = session.ok ? session.data : {};
    const sender = sha256(client).slice(0, 16);
    this.welcome = {
      type: "welcome", v: VERSION, member: member ?? sender, sender, ...whoServes(about.data),
      heartbeat_ms: HEARTBEAT_MS, limits: { ...USUAL_LIMITS, pending: 1 },
      ...(account ? { name: account.name, account } : {}),
    };
    this.tell(this.welcome);
    await Promise.all(rooms.map((/** @type {any} */ it) => this.#enter(it.room, it.after ?? null)));
    if (this.isClosed) return;
    this.hasWorked = true;
    this.house.worked();
    this.listener.start();
    this.#sweep();
  }

  /** @param {string} room @param {string | null} after @param {string} [invite] */
  async #enter(room, after, invite) {
    const { api } = this.house;
    if (invite) await api.call("PUT", roomPath(room, "/membership"), { invite });
    const { ok, status, data, code, detail } = await api.call("GET", roomPath(room, "/messages?limit=1"));
    if (!ok) {
      if (status === 0 || status === 429 || status >= 500) return this.end(BROKEN);
      return this.tell({ type: "error", code: code || "bad_room", detail, room });
    }
    this.rooms.set(room, after ?? data.head);
    const status_ = after === null ? "fresh" : "resumed";
    this.tell({ type: "joined", room, head: data.head, status: status_, present: 0, members: [] });
    await this.#state(room);
    // Pages, until nothing more is there: only then may anything be sent.
    for (let more = after !== null; more && !this.isClosed; ) {
      const before = this.rooms.get(room);
      const answer = await this.read(room, 0);
      if (!answer.ok) return this.end(BROKEN);
      more = answer.data.live === false || (answer.data.live === undefined && this.rooms.get(room) !== before);
    }
    this.tell({ type: "live", room, id: this.rooms.get(room) ?? data.head });
    this.listener.look();
  }

  /** @param {any} send */
  async #post({ room, n, text, edit, remove }) {
    const body = { client: this.key, name: this.name, n, text, edit, remove };
    const { ok, status, data, code, detail, retryMs } = await this.house.api.call("POST", roomPath(room, "/messages"), body);
    if (ok) return this.tell({ type: "ack", room, n, id: data?.id, duplicate: data?.duplicate === true });
    // Nobody knows whether it was taken: the next connection looks for it before it sends it again.
    if (status === 0 || (status >= 500 && !(status === 503 && code))) return this.end(BROKEN);
    if (status === 401) return this.#voidToken(detail);
    const wait = status === 429 || status === 503 ? (retryMs ?? 1000) : retryMs;
    const expected = data?.error?.expected ?? data?.expected;
    this.tell({ type: "reject", room, n, code: code || "other", detail, expected, retry_ms: wait ?? undefined });
  }

  /** @param {string} detail */
  #voidToken(detail) {
    this.tell({ type: "error", code: "bad_token", detail });
    this.end(4401);
  }

  /** What the room is, if the server knows such a thing. @param {string} room */
  async #state(room) {
    const { ok, data } = await this.house.api.call("GET", roomPath(room));
    if (ok && data?.access) this.tell({ you: { moderates: false }, ...data, type: "room", room });
  }

  /** A roll goes by without a word here: no connection ends. The release is told again if it is another one. */
  async #lookWhoServes() {
    const { ok, data } = await this.house.api.call("GET", "");
    if (!ok || this.isClosed || data.release === this.welcome?.release) return;
    this.welcome = { ...this.welcome, ...whoServes(data) };
    this.tell(this.welcome);
  }

  /** Rooms that nobody listens to, and who is in the one on the screen. */
  #sweep() {
    this.cancelSweep = this.house.clock.after(SWEEP_MS, async () => {
      const current = this.house.current();
      const others = [...this.rooms.keys()].filter((room) => room !== current);
      for (const room of others) await this.read(room, 0);
      const { ok, data } = await this.house.api.call("GET", roomPath(current, "/members"));
      if (ok) this.tell({ type: "members", room: current, ...data });
      await this.#state(current);
      await this.#lookWhoServes();
      if (!this.isClosed) this.#sweep();
    });
  }
}

/** @param {any} about what the server says of itself, if it does */
function whoServes(about) {
  const { replica = "a replica", release = "", features = [] } = about ?? {};
  return { replica, release, features };
}
