// @ts-check

/** Events of a `text/event-stream`, as its pieces come. */
export class Events {
  /** @param {(type: string, data: string) => void} tell */
  constructor(tell) {
    this.tell = tell;
    this.decoder = new TextDecoder();
    this.rest = "";
    this.type = "";
    /** @type {string[]} */
    this.data = [];
  }

  /** @param {Uint8Array} bytes */
  push(bytes) {
    const text = this.rest + this.decoder.decode(bytes, { stream: true });
    // Perhaps the other half of a line's end is still to come.
    const whole = text.endsWith("\r") ? text.slice(0, -1) : text;
    const lines = whole.split(/\r\n|\n|\r/u);
    this.rest = (lines.pop() ?? "") + text.slice(whole.length);
    for (const line of lines) this.#line(line);
  }

  /** @param {string} line */
  #line(line) {
    if (line === "") {
      if (this.data.length > 0) this.tell(this.type || "message", this.data.join("\n"));
      this.type = "";
      this.data = [];
      return;
    }
    const [, name, value] = /^([^:]*):? ?(.*)$/su.exec(line) ?? [];
    if (name === "event") this.type = value;
    else if (name === "data") this.data.push(value);
  }
}
