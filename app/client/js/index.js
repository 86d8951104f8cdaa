// @ts-check
import { Client } from "../../server/web/client.js";
import { BROKEN } from "../../server/web/close.js";
import { newKey, Participant } from "../../server/web/participant.js";

/**
 * @typedef {import("../../server/web/listener.js").Listener} Listener
 * @typedef {import("../../server/web/frame.js").Message} Message
 * @typedef {import("../../server/web/frame.js").Welcome} Welcome
 * @typedef {{ url: string, name: string, rooms: string[], token?: string, saved?: unknown,
 *   on?: Partial<Listener>, WebSocket?: typeof WebSocket }} Options `url`: of the server, such as
 *   `https://chat.example.org`; `token`: of a session or a bot; `saved`: what `JSON.stringify(client)`
 *   made before, as an object, to go on from there; `on`: what to be told of; `WebSocket`: for a Node
 *   that has none of its own
 */

/** One participant, over as many connections as it takes. The modules that do it are the page's own. */
export class RollcallClient {
  /** @param {Options} options */
  constructor({ url, name, rooms, token, saved, on = {}, WebSocket: Socket = globalThis.WebSocket }) {
    if (!Socket) throw new TypeError("There is no WebSocket here: use Node 22, or pass one");
    const address = new URL("/api/v1/ws", url);
    address.protocol = address.protocol.replace("http", "ws");
    this.participant = saved ? Participant.from(saved) : new Participant(newKey(), name);
    this.participant.token = token ?? null;
    this.participant.isSigned = token !== undefined;
    for (const room of rooms) this.participant.room(room);
    /** The newest one. @type {Welcome | null} */
    this.welcome = null;
    this.client = new Client({
      participant: this.participant, clock, random: Math.random, open: () => opening(Socket, address),
      on: this.#listener(on),
    });
    this.client.start(saved ? "resume" : "fresh");
  }

  /** @param {Partial<Listener>} on @returns {Listener} */
  #listener(on) {
    const told = {
      ...on,
      serving: (/** @type {Welcome} */ welcome) => {
        this.welcome = welcome;
        on.serving?.(welcome);
      },
      // A program that has a token is never a guest by accident.
      signedOut: (/** @type {string} */ detail, /** @type {boolean} */ wasSigned) => {
        this.client.stop();
        on.signedOut?.(detail, wasSigned);
        on.ended?.(4401, detail);
      },
    };
    const quiet = () => {};
    return /** @type {Listener} */ (new Proxy(told, { get: (all, event) => Reflect.get(all, event) ?? quiet }));
  }

  /**
   * Says something: it is in the room's log exactly once, `acked` tells when.
   *
   * @param {string} room
   * @param {string} text
   * @returns {import("../../server/web/outbox.js").Item | null} null: a hundred are waiting there, or
   *   the room cannot be written to
   */
  say(room, text) {
    return this.client.send(room, text);
  }

  /** Gives a message of one's own another text. @param {string} room @param {string} id @param {string} text */
  edit(room, id, text) {
    return this.#can("edit") ? this.client.send(room, text, { edit: id }) : null;
  }

  /** @param {string} room @param {string} id */
  remove(room, id) {
    return this.#can("edit") ? this.client.send(room, "", { remove: id }) : null;
  }

  /** @param {string} room */
  typing(room) {
    this.client.typing(room);
  }

  /** The person has read up to there. @param {string} room @param {string} id */
  read(room, id) {
    this.client.read(room, id);
  }

  /** @param {string} room @param {string} [invite] the token of a private room's invitation */
  join(room, invite) {
    this.participant.room(room).refused = false;
    if (invite !== undefined) this.client.invites.set(room, invite);
    this.client.join(room);
  }

  /** @param {string} room */
  leave(room) {
    this.client.quit(room);
  }

  /** Whether a message is this client's own. @param {Message} message */
  isOwn(message) {
    return this.participant.sent(message);
  }

  /** Ends it; others see at once that this participant has left. */
  close() {
    this.client.leave();
  }

  /** Key, cursors and what is not acknowledged yet: keep it as a secret. */
  toJSON() {
    return this.participant.toJSON();
  }

  /** During a roll the next connection may be to the release before. @param {string} feature */
  #can(feature) {
    return this.welcome?.features?.includes(feature) ?? false;
  }
}

/**
 * The WebSocket of Node 20 tells that a handshake has failed, and never that it is closed.
 *
 * @param {typeof WebSocket} Socket
 * @param {URL} address
 */
function opening(Socket, address) {
  const socket = new Socket(address);
  socket.onerror = () => {
    if (socket.readyState !== 1) socket.onclose?.(/** @type {any} */ ({ code: BROKEN }));
  };
  return socket;
}

/** @type {import("../../server/web/connection.js").Clock} */
const clock = {
  now: () => performance.now(),
  after(ms, run) {
    const timer = setTimeout(run, ms);
    return () => clearTimeout(timer);
  },
};
