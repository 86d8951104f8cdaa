// @ts-check
import { BROKEN, NORMAL } from "./close.js";
import * as frames from "./frame.js";

/**
 * @typedef {import("./frame.js").Frame} Frame
 * @typedef {import("./people/roster.js").Roster} Roster
 * @typedef {{ now(): number, after(ms: number, run: () => void): () => void }} Clock
 *   `after` returns what cancels it
 * @typedef {{ send(text: string): void, close(code?: number): void, onopen: any, onmessage: any,
 *   onclose: any }} Socket the part of WebSocket that is used
 * @typedef {{
 *   hello(): Frame,
 *   frame(connection: Connection, frame: Frame): void,
 *   closed(connection: Connection, code: number): void,
 * }} Owner
 */

/** A socket that takes longer to be welcomed is worth no more waiting. */
const OPENING_MS = 8_000;

/** How long an answer may take when there is reason to doubt that anybody is there. */
const PROBE_MS = 2_000;

/** How many heartbeats of silence mean that nobody is there. */
const PATIENCE = 2.5;

/** One socket, from opening to closing. Knows heartbeats; nothing of cursors or other sockets. */
export class Connection {
  /**
   * @param {Socket} socket
   * @param {Clock} clock
   * @param {Owner} owner
   */
  constructor(socket, clock, owner) {
    this.socket = socket;
    this.clock = clock;
    this.owner = owner;
    /** @type {import("./frame.js").Welcome | null} */
    this.welcome = null;
    /** Rooms asked for, and whether catch-up is done there. @type {Map<string, boolean>} */
    this.rooms = new Map();
    /** Rooms entered. @type {Map<string, Roster>} */
    this.rosters = new Map();
    /** When its `goaway` wants us gone, by `clock`. @type {number | null} */
    this.leaveAt = null;
    /** It wants so because its replica cannot deliver, which may pass. */
    this.isolated = false;
    /** The replica has lost the log: what is sent waits for it. */
    this.logAway = false;
    /** It refused the token of our account, and so us. */
    this.signedOut = false;
    this.openedAt = clock.now();
    /** The `error` before a refusal says why. */
    this.lastError = "";
    this.heardAt = clock.now();
    this.probing = false;
    this.cancelProbe = () => {};
    this.cancelPing = () => {};
    this.cancelWatch = clock.after(OPENING_MS, () => this.#end(BROKEN));
    socket.onopen = () => this.#open();
    socket.onmessage = (/** @type {{ data: unknown }} */ event) => this.#heard(event.data);
    socket.onclose = (/** @type {{ code: number }} */ event) => this.#end(event.code);
  }

  get isLive() {
    return this.welcome !== null && [...this.rooms.values()].every(Boolean);
  }

  /** @param {Frame} frame */
  send(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  /** Asks for a sign of life at once, instead of at the next heartbeat. */
  probe() {
    if (!this.welcome || this.probing) return;
    this.probing = true;
    this.send(frames.ping(Math.floor(this.clock.now())));
    this.cancelProbe = this.clock.after(PROBE_MS, () => this.#end(BROKEN));
  }

  /** Ends it from this side; the owner hears nothing more of it. */
  close() {
    this.#detach();
    this.socket.close(NORMAL);
  }

  #open() {
    const hello = this.owner.hello();
    for (const { room } of hello.rooms) this.rooms.set(room, false);
    this.send(hello);
  }

  /** @param {unknown} data */
  #heard(data) {
    this.heardAt = this.clock.now();
    this.probing = false;
    this.cancelProbe();
    let frame;
    try {
      frame = frames.decode(String(data));
    } catch (error) {
      console.warn("A frame was not understood:", error);
      return;
    }
    if (frame?.type === "welcome") this.#welcomed(frame);
    if (frame?.type === "error") this.lastError = frame.detail;
    if (frame) this.owner.frame(this, frame);
  }

  /** @param {any} welcome */
  #welcomed(welcome) {
    this.welcome = welcome;
    this.cancelWatch();
    this.cancelPing();
    this.#watch(PATIENCE * welcome.heartbeat_ms);
    this.#beat(welcome.heartbeat_ms);
  }

  /** @param {number} every */
  #beat(every) {
    this.cancelPing = this.clock.after(every, () => {
      this.send(frames.ping(Math.floor(this.clock.now())));
      this.#beat(every);
    });
  }

  /** @param {number} patience */
  #watch(patience) {
    const left = this.heardAt + patience - this.clock.now();
    if (left <= 0) return this.#end(BROKEN);
    this.cancelWatch = this.clock.after(left, () => this.#watch(patience));
  }

  /** @param {number} code */
  #end(code) {
    this.#detach();
    // A browser waits long for a silent peer's close frame; nobody here does.
    this.socket.close();
    this.owner.closed(this, code);
  }

  #detach() {
    this.cancelProbe();
    this.cancelPing();
    this.cancelWatch();
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
  }
}
