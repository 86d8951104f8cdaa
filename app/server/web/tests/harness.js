// @ts-check
import { Client } from "../client.js";
import { newKey, Participant } from "../participant.js";
import { FakeClock } from "./fake_clock.js";
import { FakeSocket } from "./fake_socket.js";

/** A client whose sockets, time and chance belong to the test. */
export class Harness {
  /** @param {{ rooms?: Record<string, string | null>, own?: object }} [options] rooms with their cursors; `own`: what
   * each `welcome` has beside what that of 1.0.0 has, until the test changes it */
  constructor({ rooms = { vault: "1-0" }, own = {} } = {}) {
    this.own = own;
    this.clock = new FakeClock();
    /** @type {FakeSocket[]} */
    this.sockets = [];
    this.participant = new Participant(newKey(), "Teal");
    for (const [room, cursor] of Object.entries(rooms)) this.participant.room(room).cursor = cursor;
    /** What the listener was told: [event, ...arguments]. @type {any[][]} */
    this.heard = [];
    this.on = /** @type {any} */ (new Proxy({}, {
      get: (_, event) => (/** @type {any[]} */ ...told) => this.heard.push([event, ...told]),
    }));
    this.client = new Client({
      participant: this.participant,
      open: () => this.sockets[this.sockets.push(new FakeSocket()) - 1],
      clock: this.clock,
      random: () => 0.5,
      on: this.on,
    });
  }

  /** The newest socket. @returns {FakeSocket} */
  get socket() {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("no socket was opened");
    return socket;
  }

  /** @param {string} event @returns {any[][]} the arguments of each time */
  told(event) {
    return this.heard.filter(([name]) => name === event).map(([, ...told]) => told);
  }

  shown() {
    return this.told("message").map(([{ id }]) => id);
  }

  /**
   * Opens and is welcomed, in no room yet.
   *
   * @param {string} [replica]
   * @param {FakeSocket} [socket]
   */
  welcome(replica = "r1", socket = this.socket) {
    const [hello] = socket.open();
    socket.deliver({ ...welcome(replica), ...this.own });
    return hello;
  }

  /** Is entered and live everywhere. @param {string} [replica] @param {FakeSocket} [socket] */
  serve(replica = "r1", socket = this.socket) {
    const hello = this.welcome(replica, socket);
    for (const { room, after } of hello.rooms) {
      socket.deliver(joined(room, after ?? "1-0"));
      socket.deliver({ type: "live", room, id: after ?? "1-0" });
    }
    return hello;
  }
}

/** @param {string} replica */
export function welcome(replica) {
  const limits = { text_bytes: 4096, frame_bytes: 16384, rooms: 64, pending: 4 };
  const own = { member: "me", replica, release: "1.0.0", heartbeat_ms: 10_000 };
  return { type: "welcome", v: 1, ...own, limits };
}

/** @param {string} room @param {string} head */
export function joined(room, head, members = [{ member: "me", name: "Teal" }]) {
  return { type: "joined", room, head, status: "resumed", present: members.length, members };
}

/** The entry `ms-0`, whose predecessor is the millisecond before. @param {number} ms */
export function message(ms, room = "vault") {
  const [id, prev] = [`${ms}-0`, `${ms - 1}-0`];
  const plum = { member: "other", name: "Plum", n: ms };
  return { type: "message", room, id, prev, ...plum, text: `#${ms}`, at: ms };
}

/** @param {number} n */
export function ack(n, room = "vault") {
  return { type: "ack", room, n, id: `${n + 1}-0`, duplicate: false };
}

/** @param {number} in_ms */
export function goaway(in_ms) {
  return { type: "goaway", in_ms, deadline_ms: 20_000, reason: "drain" };
}

/** What of these frames was said. @param {any[]} frames */
export function sends(frames) {
  return frames.filter(({ type }) => type === "send").map(({ n, text }) => [n, text]);
}
