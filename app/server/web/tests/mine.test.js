import assert from "node:assert/strict";
import test from "node:test";
import { Mine } from "../rooms/mine.js";
import { FakeClock } from "./fake_clock.js";

globalThis.document ??= /** @type {any} */ ({ hidden: false });

/** A page that knows these rooms, and an account that is in those of `pages`. @param {string[]} known @param {string[][]} pages */
function house(known, pages, most = 64) {
  const byName = new Map(known.map((name) => [name, { name, place: { read: null } }]));
  const asked = [];
  const told = { entered: [], gone: [] };
  const answer = (path) => {
    const number = Math.max(0, pages.findIndex((names) => path.includes(`after=${names.at(-1)}`)) + 1);
    const rooms = pages[number].map((name) => ({ name, archived: false, read: "2-0" }));
    return { ok: true, detail: "", data: { rooms, next: number + 1 < pages.length ? pages[number].at(-1) : undefined } };
  };
  const own = {
    asked, told, pages, byName,
    api: { call: async (method, path) => (asked.push(`${method} ${path}`), method === "GET" ? answer(path) : own.other(method)) },
    other: () => ({ ok: true, detail: "" }),
    clock: new FakeClock(), rooms: { byName, get: (name) => byName.get(name) },
    isSigned: () => true, isFull: () => byName.size >= most, show: () => {},
    enter: (name) => (told.entered.push(name), byName.set(name, { name, place: { read: null } })),
    gone: (room) => (told.gone.push(room.name), byName.delete(room.name)),
  };
  return own;
}

test("all rooms of an account are entered, page by page, as many as a connection takes", async () => {
  const own = house(["hall"], [["a", "b"], ["c", "d"]], 4);
  await new Mine(own).look();
  assert.deepEqual(own.told.entered, ["a", "b", "c"]);
  assert.equal(own.byName.get("c").place.read, "2-0");
});

test("a room that was left on another device is left here, and one that was never entered stays", async () => {
  const own = house(["hall"], [["a", "b"]]);
  const mine = new Mine(own);
  await mine.look();
  own.pages[0] = ["b"];
  await mine.look();
  assert.deepEqual([own.told.gone, [...own.byName.keys()]], [["a"], ["hall", "b"]]);
});

test("a room that one was sent out of stays, and says why", async () => {
  const own = house([], [["a", "b"]]);
  const mine = new Mine(own);
  await mine.look();
  own.byName.get("a").shut = "Ada banned you";
  own.pages[0] = ["b"];
  await mine.look();
  assert.deepEqual([own.told.gone, [...own.byName.keys()]], [[], ["a", "b"]]);
});

test("an answer from before one left does not bring the room back", async () => {
  const own = house(["a"], [["a"]]);
  const mine = new Mine(own);
  const { call } = own.api;
  let answer = () => {};
  own.api.call = (method, path) => (method === "GET" ? new Promise((done) => (answer = () => done(call(method, path)))) : call(method, path));
  const looked = mine.look();
  await mine.leave("a");
  own.byName.delete("a");
  answer();
  await looked;
  assert.deepEqual(own.told.entered, []);
});

test("why one could not leave is told", async () => {
  const own = house(["a"], [["a"]]);
  own.other = () => ({ ok: false, detail: "There is no connection now." });
  assert.equal(await new Mine(own).leave("a"), "There is no connection now.");
});
