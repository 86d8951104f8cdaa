import assert from "node:assert/strict";
import test from "node:test";
import { hashOf, invitationOf, parse } from "../address.js";

test("an address is a room, one message of it, or an invitation", () => {
  assert.deepEqual(parse("#vault"), { room: "vault", id: null, invite: null });
  assert.deepEqual(parse("#vault/17-3"), { room: "vault", id: "17-3", invite: null });
  assert.deepEqual(parse("#vault?invite=a-b_c"), { room: "vault", id: null, invite: "a-b_c" });
  assert.deepEqual(parse(""), { room: "lobby", id: null, invite: null });
  assert.equal(parse("#vault/nonsense").id, null);
});

test("what is made is understood, whatever the room is called", () => {
  for (const room of ["vault", "a/b", "what?", "50 %", "café ☕", "#1"]) {
    assert.equal(parse(hashOf(room)).room, room);
    assert.deepEqual(parse(hashOf(room, "5-6")), { room, id: "5-6", invite: null });
    assert.deepEqual(parse(invitationOf(room, "t/&=?")), { room, id: null, invite: "t/&=?" });
  }
});
