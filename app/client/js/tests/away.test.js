import assert from "node:assert/strict";
import test from "node:test";
import { RollcallClient } from "../index.js";

test("a server that refuses is tried again soon", { timeout: 5_000 }, async (t) => {
  t.mock.method(Math, "random", () => 0.5);
  let tries = 0;
  let third = () => {};
  const tried = new Promise((resolve) => (third = resolve));
  /** As that of Node 20: it tells that a handshake has failed, and never that it is closed. */
  class Refused {
    readyState = 3;

    constructor() {
      if ((tries += 1) === 3) third();
      setImmediate(() => this.onerror?.({}));
    }

    close() {}
  }
  const began = performance.now();
  const client = new RollcallClient({ url: "http://127.0.0.1:9", name: "Ada", rooms: ["lobby"], WebSocket: Refused });
  t.after(() => client.close());
  await tried;
  // Half of 200 ms, and half of 400.
  assert.ok(performance.now() - began >= 295, "and not in a hot loop");
});
