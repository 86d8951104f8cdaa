import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import * as frames from "../frame.js";

const FOLDER = new URL("../../../protocol/fixtures/", import.meta.url);

/** @param {string} side */
function fixtures(side, folder = FOLDER) {
  const names = readdirSync(folder).filter((name) => name.startsWith(side));
  return names.map((name) => [name, JSON.parse(readFileSync(new URL(name, folder), "utf8"))]);
}

const TYPES = [
  "ack", "error", "gap", "goaway", "joined", "live", "members", "message", "pong", "presence",
  "read", "reject", "room", "status", "typing", "welcome",
];

test("every golden server frame is understood as it stands", () => {
  const golden = fixtures("server_");
  for (const [name, value] of golden) {
    assert.deepEqual(frames.decode(JSON.stringify(value)), value, name);
  }
  assert.deepEqual([...new Set(golden.map(([, { type }]) => type))].sort(), TYPES);
});

test("every server frame of an older release is still understood, also with a field more", () => {
  const releases = readdirSync(FOLDER).filter((name) => name.startsWith("release-"));
  assert.notEqual(releases.length, 0);
  for (const release of releases) {
    const golden = fixtures("server_", new URL(`${release}/`, FOLDER));
    assert.notEqual(golden.length, 0, release);
    for (const [name, value] of golden) {
      const frame = frames.decode(JSON.stringify({ ...value, colour: { of: ["another", "release"] } }));
      const known = Object.fromEntries(Object.keys(value).map((field) => [field, frame?.[field]]));
      assert.deepEqual(known, value, `${release}/${name}`);
    }
  }
});

/** How this client makes each frame, from the values in the fixture. */
const MAKE = {
  hello: ({ client, name, why, rooms, token }) =>
    frames.hello(client, name, why, rooms.map(({ room, after }) => [room, after ?? null]), token),
  join: ({ room, after, invite }) => frames.join(room, after ?? null, invite),
  leave: ({ room }) => frames.leave(room),
  read: ({ room, id }) => frames.read(room, id),
  send: ({ room, n, text, edit, remove }) => frames.send(room, n, text, { edit, remove }),
  typing: ({ room }) => frames.typing(room),
  ping: ({ t }) => frames.ping(t),
  bye: () => frames.bye(),
};

test("every golden client frame is what this client makes", () => {
  const golden = fixtures("client_");
  for (const [name, value] of golden) assert.deepEqual(MAKE[value.type](value), value, name);
  assert.deepEqual([...new Set(golden.map(([, { type }]) => type))].sort(), Object.keys(MAKE).sort());
});

test("a required field that is missing or of another type is refused", () => {
  for (const [name, value] of fixtures("server_")) {
    for (const field of Object.keys(value)) {
      const wrong = JSON.stringify({ ...value, [field]: { not: "this" } });
      assert.throws(() => frames.decode(wrong), TypeError, `${name}: ${field}`);
    }
  }
  const { id, ...without } = JSON.parse(readFileSync(new URL("server_live.json", FOLDER), "utf8"));
  assert.throws(() => frames.decode(JSON.stringify(without)), TypeError, `live without ${id}`);
});

test("unknown fields are let through and unknown types are told apart from broken frames", () => {
  assert.deepEqual(frames.decode('{"type":"pong","t":1,"colour":"red"}')?.t, 1);
  assert.equal(frames.decode('{"type":"teleported","to":[1,2]}'), null);
  assert.equal(frames.decode('{"type":"toString"}'), null);
  for (const text of ["", "null", "[]", "{}", '{"type":7}', "{", '{"type":"pong","t":-1}']) {
    assert.throws(() => frames.decode(text), TypeError, text);
  }
});
