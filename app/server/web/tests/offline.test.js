import assert from "node:assert/strict";
import test from "node:test";

/** The service worker, once, in a browser that is made of these. */
const world = /** @type {any} */ (globalThis);
const heard = new Map();
world.addEventListener = (name, hear) => heard.set(name, hear);
world.location = { origin: "http://chat.example" };
await import("../offline.js");

/** What it answers to `/`. @param {any} caches @param {any} fetch */
async function answer(caches, fetch) {
  Object.assign(world, { caches, fetch });
  let answered = null;
  heard.get("fetch")({ request: { url: "http://chat.example/", method: "GET" }, respondWith: (it) => (answered = it) });
  return answered;
}
const page = (text, status = 200) => ({ text, status, ok: status < 400, clone: () => page(text, status) });
const cache = (kept, put = async () => {}) => ({ open: async () => ({ match: async () => kept, put }) });
const full = async () => {
  throw new Error("QuotaExceededError");
};

test("whoever can have the new page is given it, on a full disk, too", async () => {
  console.warn = () => {};
  const fresh = async () => page("new");
  assert.equal((await answer(cache(page("old")), fresh)).text, "new");
  assert.equal((await answer(cache(page("old"), full), fresh)).text, "new");
  assert.equal((await answer(cache(undefined, full), fresh)).text, "new");
  assert.equal((await answer({ open: full }, fresh)).text, "new");
});

test("without a network, or a server that serves, there is the old page", async () => {
  assert.equal((await answer(cache(page("old")), full)).text, "old");
  assert.equal((await answer(cache(page("old")), async () => page("none", 503))).text, "old");
  await assert.rejects(answer({ open: full }, full));
});
