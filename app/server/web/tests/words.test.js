import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { hueOf } from "../people/colour.js";
import { isComposing } from "../compose/composer.js";
import {
  bytesOf, cleanName, cleanText, ending, interruptedLine, keptLine, roomOf, ROOMS, typingLine, waitingLine, wellFormed,
} from "../words.js";

const NAMES = JSON.parse(readFileSync(new URL("../../../protocol/fixtures/names.json", import.meta.url), "utf8"));

/** Characters of ranges as they stand in the fixture. @param {string[]} ranges */
function characters(ranges) {
  return ranges.flatMap((range) => {
    const [from, to = from] = range.split("-").map((hex) => Number.parseInt(hex, 16));
    return Array.from({ length: to - from + 1 }, (_, i) => String.fromCodePoint(from + i));
  });
}

test("P17: names are the server's: what it accepts stays, what it refuses is changed", () => {
  for (const name of NAMES.names.accepted) assert.equal(cleanName(name), name);
  for (const name of NAMES.names.refused) assert.notEqual(cleanName(name) || null, name, JSON.stringify(name));
  for (const { typed, becomes } of NAMES.typed_names) assert.equal(cleanName(typed), becomes);
  for (const hidden of characters(NAMES.hidden)) assert.equal(cleanName(`A${hidden}da`), "Ada");
  for (const joining of characters(NAMES.joining)) assert.equal(cleanName(joining), "");
});

test("P17: texts are the server's, too", () => {
  for (const text of NAMES.texts.accepted) assert.equal(cleanText(text), text);
  for (const text of NAMES.texts.refused) assert.notEqual(cleanText(text) || null, text, JSON.stringify(text));
  const unseen = [...characters(NAMES.hidden), ...characters(NAMES.joining)];
  assert.deepEqual(unseen.filter((text) => cleanText(text) !== ""), []);
});

test("P17: rooms are the server's, too", () => {
  for (const room of NAMES.rooms.accepted) assert.equal(roomOf(`#${encodeURIComponent(room)}`), room);
  for (const room of NAMES.rooms.refused) {
    assert.notEqual(roomOf(`#${encodeURIComponent(room)}`), room, JSON.stringify(room));
  }
});

test("P6: half a character is replaced, a whole one is not", () => {
  assert.equal(wellFormed("a\ud83d b\ude00"), "a\ufffd b\ufffd");
  assert.equal(wellFormed("\u{1f600}"), "\u{1f600}");
  assert.equal(cleanText("\ud83d"), "\ufffd");
  assert.equal(cleanName("A\ud83dda"), "A\ufffdda");
});

test("P15: Enter that ends a composition is the input method's", () => {
  assert.ok(isComposing({ isComposing: true, keyCode: 13 }));
  assert.ok(isComposing({ isComposing: false, keyCode: 229 }));
  assert.ok(!isComposing({ isComposing: false, keyCode: 13 }));
});

test("P4, P5: what one waits for is a sentence", () => {
  assert.match(keptLine(0), /what you write is kept/);
  assert.match(keptLine(1), /1 message is kept and goes out/);
  assert.match(interruptedLine(2), /No connection: 2 messages are kept/);
  assert.match(keptLine(7), /7 messages are kept and go out when it is back/);
  assert.deepEqual([null, 0, 4].map(waitingLine), ["connecting…", "connecting…", "next try in 4 s"]);
});

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
  for (const code of [1000, 1003, 1007, 1008, 1009, 4400, 4401, 4403, 4408, 4499]) {
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
