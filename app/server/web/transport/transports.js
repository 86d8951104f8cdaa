// @ts-check
import { PlainSocket } from "./plain_socket.js";

/**
 * @typedef {import("../connection.js").Socket} Socket
 * @typedef {{ participant: import("../participant.js").Participant, clock: import("../connection.js").Clock,
 *   api: import("../api.js").Api, current(): string, open?: () => Socket }} House `current`: the room on
 *   the screen; `open`: a WebSocket
 */

/** So many WebSockets in a row that did not say a word while a request did: something on the way does not let them through. */
const TRIES = 2;
/** How long to do without before one is tried again. */
const AGAIN_MS = 120_000;

/**
 * Which way to the server. A WebSocket if it comes through; else requests that everything lets
 * through, and from time to time a WebSocket again, as a move: what serves goes on until it does.
 */
export class Transports {
  /** @param {House} house */
  constructor(house) {
    this.house = house;
    this.silent = 0;
    /** Since when requests have come through, as far as was asked. @type {number | null} */
    this.answersSince = null;
    this.streams = true;
    this.isPlain = false;
    this.cancelAgain = () => {};
  }

  /** @returns {Socket} */
  open() {
    return this.isPlain ? this.#plain() : this.#webSocket();
  }

  /** A WebSocket that is watched: whether it ever says anything. */
  #webSocket() {
    const socket = (this.house.open ?? openSocket)();
    const openedAt = this.house.clock.now();
    let heard = false;
    let over = false;
    const failed = () => {
      if (!heard && !over) void this.#wasSilent(openedAt);
      over = true;
    };
    /** @type {Socket} */
    const watched = {
      send: (text) => socket.send(text),
      close: (code) => {
        failed();
        socket.close(code);
      },
      onopen: null, onmessage: null, onclose: null,
    };
    socket.onopen = () => watched.onopen?.();
    socket.onmessage = (/** @type {any} */ event) => {
      heard = true;
      this.silent = 0;
      watched.onmessage?.(event);
    };
    socket.onclose = (/** @type {any} */ event) => {
      failed();
      watched.onclose?.(event);
    };
    return watched;
  }

  /**
   * Unless requests do not come through either, or did not when it was opened: then nobody was there, and that says
   * nothing of WebSockets. A server that is started again within a second is there by the time that it is asked.
   *
   * @param {number} openedAt
   */
  async #wasSilent(openedAt) {
    const { ok, status } = await this.house.api.call("GET", "");
    const answers = ok || status === 404;
    const didAnswer = this.answersSince !== null && this.answersSince <= openedAt;
    this.answersSince = answers ? (this.answersSince ?? this.house.clock.now()) : null;
    if (!answers || !didAnswer) return;
    this.silent += 1;
    if (this.silent >= TRIES) this.isPlain = true;
  }

  #plain() {
    const socket = new PlainSocket({
      api: this.house.api, clock: this.house.clock, current: this.house.current,
      streams: () => this.streams,
      buffered: () => (this.streams = false),
      worked: () => this.#later(socket),
      failed: () => {
        this.answersSince = null;
        this.#webSocketAgain();
      },
    });
    return socket;
  }

  /** @param {PlainSocket} socket */
  #later(socket) {
    this.cancelAgain();
    this.cancelAgain = this.house.clock.after(AGAIN_MS, () => {
      if (socket.isClosed) return;
      this.#webSocketAgain();
      socket.tell({ type: "goaway", in_ms: 0, deadline_ms: 0, reason: "rebalance" });
    });
  }

  /** One try. */
  #webSocketAgain() {
    this.isPlain = false;
    this.silent = TRIES - 1;
  }
}

function openSocket() {
  const address = new URL("/api/v1/ws", location.href);
  address.protocol = address.protocol.replace("http", "ws");
  return new WebSocket(address);
}
