import assert from "node:assert/strict";
import test from "node:test";
import { Past } from "../talk/past.js";

/** Answers in this order. @param {any[]} answers */
function answering(answers) {
  const asked = [];
  const api = {
    call: async (method, path) => {
      asked.push(path);
      return answers.shift() ?? { ok: false, status: 0, data: null };
    },
  };
  return { asked, past: new Past(api, "the van") };
}

const message = (id, prev) => ({ id, prev, text: "x" });
const page = (messages, head = "9-0") => ({ ok: true, status: 200, data: { messages, head } });

test("P10: it pages back, and with a cursor up to that one itself", async () => {
  const { asked, past } = answering([page([]), page([])]);
  await past.before("5-0");
  await past.upTo("5-0");
  assert.deepEqual(asked, [
    "rooms/the%20van/messages?limit=50&before=5-0",
    "rooms/the%20van/messages?limit=50&before=5-1",
  ]);
});

test("an answer that is none, or is odd, is null", async () => {
  const { past } = answering([{ ok: false, status: 503 }, page([], "latest")]);
  assert.equal(await past.before("5-0"), null);
  assert.equal(await past.before("5-0"), null);
});

test("what follows a message is taken only if it does: a release before answers with the newest", async () => {
  const newest = [message("8-0", "7-0")];
  const following = [message("6-0", "5-0"), message("7-0", "6-0")];
  const { past } = answering([page(newest), page(following), page([], "5-0"), page([], "9-0")]);
  assert.equal(await past.after("5-0"), null);
  assert.equal((await past.after("5-0"))?.messages.length, 2);
  assert.equal((await past.after("5-0"))?.messages.length, 0);
  assert.equal(await past.after("5-0"), null);
});

test("a message is found also where a server does not know around", async () => {
  const { asked, past } = answering([{ ok: false, status: 400 }, page([message("4-0", "3-0"), message("5-0", "4-0")])]);
  assert.equal((await past.around("5-0"))?.messages.length, 2);
  assert.match(asked[1], /before=5-1/);
});
