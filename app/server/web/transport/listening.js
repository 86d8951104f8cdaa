// @ts-check
import { roomPath } from "../api.js";
import { BROKEN } from "../close.js";
import { Events } from "./stream.js";

/** @typedef {import("./plain_socket.js").PlainSocket} PlainSocket */

/** Streams say something at once, and then at each heartbeat; a proxy that keeps that back is found out by this. */
const SILENCE_MS = 13_000;
/** s; a poll that waits longer may be cut on the way. */
const WAIT_S = 25;
const PAUSE_MS = 200;
/** An answer without news that came sooner than this did not wait; asking at once again would be a hot loop. */
const SOON_MS = 1_000;
const SLOW_MS = 2_000;
/** Failures in a row that mean that nobody is there. */
const FAILURES = 3;

/** Listens to the room on the screen, by an event stream or by long polls. */
export class Listener {
  /** @param {PlainSocket} socket */
  constructor(socket) {
    this.socket = socket;
    this.started = false;
    this.room = "";
    this.turned = new AbortController();
    this.failures = 0;
  }

  start() {
    this.started = true;
    void this.#run();
    this.#watch();
  }

  /** Perhaps another room is on the screen. */
  look() {
    if (this.room !== this.socket.house.current()) this.turned.abort();
  }

  #watch() {
    if (this.socket.isClosed) return;
    this.look();
    this.socket.house.clock.after(PAUSE_MS, () => this.#watch());
  }

  async #run() {
    const { socket } = this;
    const { house } = socket;
    while (!socket.isClosed) {
      this.room = house.current();
      this.turned = new AbortController();
      const isOurs = socket.rooms.has(this.room);
      const began = house.clock.now();
      const before = socket.rooms.get(this.room);
      const worked = isOurs ? await (house.streams() ? this.#stream() : this.#poll()) : true;
      this.failures = worked ? 0 : this.failures + 1;
      if (this.failures >= FAILURES) return socket.end(BROKEN);
      const isIdle = socket.rooms.get(this.room) === before && house.clock.now() - began < SOON_MS;
      const goesOn = worked && !house.streams();
      await this.#pause(isIdle && !this.turned.signal.aborted ? SLOW_MS : goesOn ? 0 : PAUSE_MS);
    }
  }

  /** @param {number} ms */
  async #pause(ms) {
    if (ms > 0) await new Promise((resolve) => {
      this.socket.house.clock.after(ms, () => resolve(null));
      this.turned.signal.addEventListener("abort", () => resolve(null));
    });
  }

  /** @returns {Promise<boolean>} */
  async #poll() {
    const turned = new Promise((resolve) => this.turned.signal.addEventListener("abort", () => resolve({ ok: true })));
    const answer = await Promise.race([this.socket.read(this.room, WAIT_S), turned]);
    return answer.ok;
  }

  /** @returns {Promise<boolean>} whether it said anything */
  async #stream() {
    const { socket, room } = this;
    const silent = new AbortController();
    const events = new Events((type, data) => {
      const frame = JSON.parse(data);
      if (type === "message") socket.take(room, { messages: [frame] });
      if (type === "gap") socket.take(room, { messages: [], gap: frame });
    });
    let heard = false;
    let cancel = () => {};
    const hear = () => {
      cancel();
      cancel = socket.house.clock.after(SILENCE_MS, () => silent.abort());
    };
    hear();
    try {
      const after = encodeURIComponent(socket.rooms.get(room) ?? "0-0");
      const signal = AbortSignal.any([socket.gone.signal, this.turned.signal, silent.signal]);
      const response = await fetch(`/api/v1/${roomPath(room, `/events?after=${after}`)}`, {
        signal, headers: { accept: "text/event-stream", ...socket.house.api.who },
      });
      if (!response.ok || !response.body) return false;
      const reader = response.body.getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        heard = true;
        hear();
        events.push(part.value);
      }
      return heard;
    } catch {
      // Nothing in all that time: something on the way waits for the end of it.
      if (silent.signal.aborted && !heard) socket.house.buffered();
      return heard || this.turned.signal.aborted || (silent.signal.aborted && !socket.isClosed);
    } finally {
      cancel();
    }
  }
}
