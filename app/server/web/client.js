// @ts-check
import { backoff } from "./backoff.js";
import { BROKEN, DISMISSED, isFinal, RESTART } from "./close.js";
import { Connection } from "./connection.js";
import * as frames from "./frame.js";
import { afterGap, afterJoined, judge } from "./resume.js";
import { Roster } from "./people/roster.js";
import { Sending } from "./sending.js";

/**
 * @typedef {import("./connection.js").Clock} Clock
 * @typedef {import("./connection.js").Socket} Socket
 * @typedef {import("./frame.js").Frame} Frame
 * @typedef {import("./frame.js").Message} Message
 * @typedef {import("./frame.js").Welcome} Welcome
 * @typedef {import("./outbox.js").Item} Item
 * @typedef {import("./participant.js").Participant} Participant
 * @typedef {import("./listener.js").Listener} Listener
 */

/** A socket that takes longer than this to open was perhaps begun on a network that has gone. */
const STALE_MS = 1_000;

/** Frames that only those have who are in a room. */
const IN_A_ROOM = new Set(["joined", "message", "live", "gap", "presence", "members", "room", "typing"]);

/** Errors that end our being in a room, whenever they come. */
const THROWN_OUT = new Set(["kicked", "banned", "private"]);

/**
 * A participant's way to the rooms, over as many connections as it takes.
 *
 * `current` serves. `next` is being opened to take over from it: after a `goaway`, while `current`
 * goes on serving, or after `current` was lost.
 */
export class Client {
  /**
   * @param {{ participant: Participant, open: () => Socket, clock: Clock, random: () => number,
   *   on: Listener }} parts
   */
  constructor({ participant, open, clock, random, on }) {
    this.participant = participant;
    this.openSocket = open;
    this.clock = clock;
    this.random = random;
    this.on = on;
    /** @type {Connection | null} */
    this.current = null;
    /** @type {Connection | null} */
    this.next = null;
    this.attempt = 0;
    this.over = false;
    /** We have asked for the end of our sessions, so that is no surprise. */
    this.signsOut = false;
    /** What the newest `welcome` allowed. */
    this.limits = frames.USUAL_LIMITS;
    /** Tokens of private rooms' invitations, until we are in. @type {Map<string, string>} */
    this.invites = new Map();
    this.sending = new Sending({ participant, clock, on: () => this.on, carrier: () => this.current });
    /** Cancels the planned opening of `next`, if there is one. @type {(() => void) | null} */
    this.planned = null;
  }

  /** @param {frames.Why} why `fresh` for a new client key, else `resume` */
  start(why) {
    this.participant.goesOn();
    this.#open(why);
  }

  /** Enters one more room; its cursor is in the participant. @param {string} room */
  join(room) {
    const { cursor } = this.participant.room(room);
    for (const connection of [this.current, this.next]) {
      if (!connection?.welcome || connection.rooms.has(room)) continue;
      connection.rooms.set(room, false);
      connection.send(frames.join(room, cursor, this.invites.get(room)));
    }
  }

  /** Leaves a room, for good. @param {string} room */
  quit(room) {
    this.#drop(room, "you left this room");
    // It may have been the last one that a move waited for.
    if (this.next) this.#served(this.next);
  }

  /**
   * @param {string} room
   * @param {string} text
   * @param {frames.About} [about]
   * @returns {Item | null} null: too much is waiting, or it cannot be done here and now
   */
  send(room, text, about) {
    return this.over ? null : this.sending.send(room, text, about);
  }

  /** The person has read up to there. @param {string} room @param {string} id */
  read(room, id) {
    const can = this.current?.welcome?.features?.includes("read");
    if (can && this.current?.rosters.has(room)) this.current.send(frames.read(room, id));
  }

  /** Comes anew, as whoever the participant is now; the connection serves until that one does. */
  renew() {
    if (this.over) return;
    this.participant.changesHands();
    this.on.changed();
    this.next?.close();
    this.next = null;
    this.#open(this.current ? "move" : "resume");
  }

  /** @param {string} room */
  typing(room) {
    if (this.current?.rosters.has(room)) this.current.send(frames.typing(room));
  }

  /** There is reason to doubt the connection, or to hope for one: see now instead of in a while. */
  probe() {
    if (this.over) return;
    if (this.current) return this.current.probe();
    const stale = this.next && !this.next.welcome && this.clock.now() - this.next.openedAt > STALE_MS;
    if (stale) this.next?.close();
    if (stale || this.planned) this.#open("resume");
    else this.next?.probe();
  }

  /** Ends our presence at once, for good. */
  leave() {
    if (this.current) this.current.send(frames.bye());
    this.stop();
  }

  // Opening and closing

  /** @param {frames.Why} why */
  #open(why) {
    this.#unplan();
    this.next = new Connection(this.openSocket(), this.clock, {
      // Made when the socket opens, because the cursors move on until then.
      hello: () => this.#hello(why),
      frame: (connection, frame) => this.#frame(connection, frame),
      closed: (connection, code) => this.#closed(connection, code),
    });
    if (!this.current) this.on.waiting(null);
  }

  /** Private rooms are entered by `join`, which takes the invitation. @param {frames.Why} why */
  #hello(why) {
    const { key, name, token } = this.participant;
    const rooms = this.participant.cursors().filter(([room]) => !this.invites.has(room));
    return frames.fitting(frames.hello(key, name, why, rooms, token), this.limits);
  }

  /** @param {number} ms */
  #openIn(ms) {
    this.#unplan();
    this.planned = this.clock.after(ms, () => this.#open(this.current ? "move" : "resume"));
    if (!this.current) this.on.waiting(this.clock.now() + ms);
  }

  #unplan() {
    this.planned?.();
    this.planned = null;
  }

  /** @param {Connection} connection @param {number} code */
  #closed(connection, code) {
    if (this.over) return;
    // A refusal of the second connection is a move that failed: the first one goes on.
    const failedMove = connection === this.next && this.current !== null;
    if (isFinal(code) && !failedMove && !this.#goesOnAsGuest(connection, code)) {
      this.stop();
      this.on.ended(code, connection.lastError);
    } else if (connection === this.next) {
      this.next = null;
      this.#openIn(backoff(this.attempt++, this.random));
    } else if (connection === this.current) {
      this.#lost(connection, code);
    }
  }

  /** A client that is sent away does not come back by itself, unless it asked for that.
   * @param {Connection} connection @param {number} code */
  #goesOnAsGuest({ signedOut }, code) {
    return signedOut && (code !== DISMISSED || this.signsOut);
  }

  /** @param {Connection} connection @param {number} code */
  #lost(connection, code) {
    this.current = null;
    this.on.interrupted();
    if (this.next) {
      if (this.next.welcome) this.#adopt(this.next);
      return;
    }
    // At once only for who was served well until now, or a server that cannot would be hammered.
    const atOnce = code === RESTART && connection.isLive;
    if (atOnce) this.#open("resume");
    else this.#openIn(backoff(this.attempt++, this.random));
  }

  /** Closes everything, without a word. */
  stop() {
    this.over = true;
    this.#unplan();
    this.current?.close();
    this.next?.close();
    this.current = this.next = null;
  }

  /** From now on this connection serves. @param {Connection} connection */
  #adopt(connection) {
    this.current?.close();
    this.current = connection;
    this.next = null;
    this.sending.startOver();
    for (const [room, roster] of connection.rosters) this.on.people(room, roster);
    if (connection.leaveAt !== null) this.#openIn(connection.leaveAt - this.clock.now());
    this.on.log(connection.logAway);
    this.sending.flush();
  }

  // Frames

  /** @param {Connection} connection @param {any} frame */
  #frame(connection, frame) {
    // On its way when we left.
    if (IN_A_ROOM.has(frame.type) && !connection.rooms.has(frame.room)) return;
    switch (frame.type) {
      case "welcome": return this.#welcomed(connection, frame);
      case "joined": return this.#joined(connection, frame);
      case "message": return this.#message(connection, frame);
      case "live": return this.#live(connection, frame.room);
      case "gap": return this.#gap(frame);
      case "goaway": return this.#goaway(connection, frame);
      case "status": return this.#status(connection, frame.log);
      case "presence": return this.#people(connection, frame.room, (roster) => roster.apply(frame));
      case "members": return this.#roster(connection, frame);
      case "error": return this.#error(connection, frame);
      case "room": return this.on.state(frame);
      case "read": return this.on.read(frame.room, frame.id);
    }
    // What is left concerns only the connection that serves: the sends of the other one are void.
    if (connection !== this.current) return;
    switch (frame.type) {
      case "ack": return this.sending.ack(frame);
      case "reject": return this.sending.reject(frame);
      case "typing": return this.on.typing(frame);
    }
  }

  /** @param {Connection} connection @param {Welcome} welcome */
  #welcomed(connection, welcome) {
    this.participant.member = welcome.member;
    this.participant.sender = welcome.sender ?? null;
    this.limits = welcome.limits;
    for (const [room] of this.participant.cursors()) this.join(room);
    if (!this.current) this.#adopt(connection);
    this.#served(connection);
  }

  /** @param {Connection} connection @param {any} joined */
  #joined(connection, joined) {
    const place = this.participant.room(joined.room);
    place.cursor = afterJoined(place.cursor, joined);
    this.invites.delete(joined.room);
    this.on.entered(joined.room);
    this.#roster(connection, joined);
  }

  /** @param {Connection} connection @param {Message} message */
  #message(connection, message) {
    const place = this.participant.room(message.room);
    const verdict = judge(place.cursor ?? message.prev, message);
    if (verdict === "duplicate") return;
    if (verdict === "broken") {
      this.on.broken(message, String(place.cursor));
      connection.close();
      return this.#closed(connection, BROKEN);
    }
    place.cursor = message.id;
    const own = this.participant.sent(message);
    if (own) place.outbox.own(message, connection.welcome?.features?.includes("edit") ?? false);
    this.on.message(message);
    if (own) this.sending.flush();
  }

  /** @param {Connection} connection @param {string} room */
  #live(connection, room) {
    connection.rooms.set(room, true);
    this.#served(connection);
    this.sending.flush();
  }

  /** @param {Connection} connection */
  #served(connection) {
    if (!connection.isLive) return;
    this.attempt = 0;
    if (connection !== this.current) this.#adopt(connection);
    this.on.serving(/** @type {Welcome} */ (connection.welcome));
  }

  /** @param {any} gap */
  #gap(gap) {
    const place = this.participant.room(gap.room);
    const resumed = afterGap(place.cursor ?? gap.after, gap);
    if (resumed === null) return;
    place.cursor = resumed;
    place.outbox.gap(gap.reason);
    this.on.gap(gap);
  }

  /** @param {Connection} connection @param {any} goaway */
  #goaway(connection, { in_ms, reason }) {
    const isolated = reason === "isolated";
    // A replica that cannot deliver may be drained as well, and then does close at a deadline.
    if (connection.leaveAt !== null && (isolated || !connection.isolated)) return;
    connection.leaveAt = this.clock.now() + in_ms;
    connection.isolated = isolated;
    if (connection === this.current && !this.next) this.#openIn(in_ms);
  }

  /** @param {Connection} connection @param {string} log */
  #status(connection, log) {
    connection.logAway = log === "away";
    if (!connection.logAway && connection.isolated) this.#stay(connection);
    if (connection !== this.current) return;
    this.on.log(connection.logAway);
    this.sending.flush();
  }

  /** Its replica delivers again: there is no reason to move any more. @param {Connection} connection */
  #stay(connection) {
    connection.leaveAt = null;
    connection.isolated = false;
    if (connection !== this.current) return;
    this.#unplan();
    this.next?.close();
    this.next = null;
    this.attempt = 0;
  }

  /**
   * A room that cannot be entered: for now, or for good.
   *
   * @param {Connection} connection
   * @param {any} error
   */
  #error(connection, { code, room, detail }) {
    if (code === "bad_token") return this.#signedOut(connection, detail);
    const entering = connection.rooms.get(room) === false;
    if (room === undefined || (!entering && !THROWN_OUT.has(code))) return;
    // To be put out counts on each connection, so that is no reason against a move.
    const failedMove = connection !== this.current && this.current?.rosters.has(room) && !THROWN_OUT.has(code);
    if (code === "unavailable" || failedMove) {
      connection.close();
      this.#closed(connection, BROKEN);
    } else {
      connection.rooms.delete(room);
      connection.rosters.delete(room);
      // While one moves, both connections say so.
      const isKnown = this.participant.room(room).refused;
      this.#drop(room, detail);
      if (!isKnown) this.on.shut(room, detail);
      this.#served(connection);
      if (this.next) this.#served(this.next);
    }
  }

  /**
   * Its close follows. A guest's connection is refused so, too, while the browser still has the cookie of a session
   * that has just ended: the answer that takes it away may come after the end.
   *
   * @param {Connection} connection
   * @param {string} detail
   */
  #signedOut(connection, detail) {
    const { isSigned } = this.participant;
    // The answer to a signing out may come before its end of our connection, too.
    if (!isSigned && connection.welcome && !connection.welcome.account) return;
    connection.signedOut = true;
    if (isSigned) this.participant.changesHands();
    this.participant.token = null;
    this.participant.isSigned = false;
    this.on.signedOut(detail, isSigned);
  }

  /** Not a room of ours any more, on any connection that still has it; the numbers stay.
   * @param {string} room @param {string} why */
  #drop(room, why) {
    this.participant.room(room).refused = true;
    this.invites.delete(room);
    this.on.changed();
    this.sending.giveUp(room, why);
    for (const connection of [this.current, this.next]) {
      if (!connection?.rooms.delete(room)) continue;
      connection.rosters.delete(room);
      if (connection.welcome) connection.send(frames.leave(room));
    }
  }

  // Presence

  /** @param {Connection} connection @param {any} told */
  #roster(connection, told) {
    connection.rosters.set(told.room, new Roster(told));
    this.#people(connection, told.room, () => {});
  }

  /**
   * @param {Connection} connection
   * @param {string} room
   * @param {(roster: Roster) => void} change
   */
  #people(connection, room, change) {
    const roster = connection.rosters.get(room);
    if (!roster) return;
    change(roster);
    if (connection === this.current) this.on.people(room, roster);
  }
}
