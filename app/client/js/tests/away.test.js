import assert from "node:assert/strict";
import test from "node:test";
import { RollcallClient } from "../index.js";

/** As that of Node 20: it tells that a handshake has failed, and never that it is closed. */
class Refused {
  static opened = 0;

  constructor() {
    Refused.opened += 1;
    this.readyState = 3;
    setTimeout(() => this.onerror?.({}), 1);
  }

  close() {}
}

test("a server that refuses is tried again soon", async (t) => {
  const client = new RollcallClient({ url: "http://127.0.0.1:9", name: "Ada", rooms: ["lobby"], WebSocket: Refused });
  t.after(() => client.close());
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  assert.ok(Refused.opened >= 3, `${Refused.opened} tries`);
  assert.ok(Refused.opened < 20, "and not in a hot loop");
});
