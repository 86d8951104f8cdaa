// @ts-check

/** A WebSocket whose other end is the test. */
export class FakeSocket {
  constructor() {
    /** @type {any[]} frames that the client sent and the test has not taken */
    this.sent = [];
    /** What the client closed it with. @type {number | null | undefined} */
    this.closedWith = null;
    this.onopen = this.onmessage = this.onclose = /** @type {any} */ (null);
  }

  /** @param {string} text */
  send(text) {
    this.sent.push(JSON.parse(text));
  }

  /** @param {number} [code] */
  close(code) {
    this.closedWith = code;
  }

  get isClosed() {
    return this.closedWith !== null;
  }

  // The other end

  open() {
    this.onopen?.();
    return this.take();
  }

  /** @param {any} frame */
  deliver(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** @param {number} code */
  drop(code) {
    this.closedWith = code;
    this.onclose?.({ code });
  }

  take() {
    return this.sent.splice(0);
  }
}
