import assert from "node:assert/strict";
import test from "node:test";
import { hueOf } from "../colour.js";
import { bytesOf, cleanName, cleanText, ending, roomOf, ROOMS, typingLine } from "../words.js";

test("a name is what the protocol takes", () => {
  assert.equal(cleanName("  Ada\u0000 \u202eLovelace\n"), "Ada Lovelace");
  assert.equal(cleanName("e\u0301"), "\u00e9", "NFC");
  assert.equal(Array.from(cleanName("🦀".repeat(40))).length, 32);
  assert.equal(cleanName(" \u2066 "), "");
});

test("the room stands behind the hash, and nonsense is the lobby", () => {
  assert.equal(roomOf("#vault"), "vault");
  assert.equal(roomOf("#caf%C3%A9"), "café");
  const nonsense = ["", "#", "#%", "#%20", "#.", "#.."];
  assert.deepEqual(nonsense.filter((hash) => roomOf(hash) !== ROOMS[0]), []);
  assert.equal(roomOf(`#${"x".repeat(99)}`).length, 64);
});

test("a message keeps its lines and loses what cannot be shown", () => {
  assert.equal(cleanText(" a\n\tb\r\u0007 "), "a\n\tb");
});

test("text is measured as the server measures it", () => {
  assert.equal(bytesOf("é€🦀"), 2 + 3 + 4);
});

test("every ending is one plain sentence", () => {
  for (const code of [1000, 1003, 1007, 1008, 1009, 4400, 4401, 4408, 4499]) {
    assert.match(ending(code, ""), /^[A-Z][^.]*\.$/);
  }
  assert.equal(ending(4401, "too long"), "The server did not let you in: too long.");
  assert.equal(ending(1000, "stale"), "You have left.");
});

test("who is typing fits on a line", () => {
  assert.equal(typingLine([]), "");
  assert.equal(typingLine(["Plum"]), "Plum is typing…");
  assert.equal(typingLine(["Plum", "Moss"]), "Plum and Moss are typing…");
  assert.equal(typingLine(["a", "b", "c"]), "Several people are typing…");
});

test("a colour is the person's own and stays", () => {
  assert.equal(hueOf("a1b2", "Teal"), hueOf("ffff", "teal"));
  assert.equal(hueOf("a1b2", "Robin"), hueOf("a1b2", "Renamed"));
  const hues = new Set(Array.from({ length: 50 }, (_, i) => hueOf(`member${i}`, "x")));
  assert.ok(hues.size > 25, `${hues.size} different hues`);
});
