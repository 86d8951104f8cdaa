import assert from "node:assert/strict";
import test from "node:test";
import { callBefore, calls, meant } from "../mention.js";
import { tokensOf } from "../talk/rich_text.js";
import { seeded } from "./random.js";

const source = (tokens) => tokens.map(({ open = "", text, close = "" }) => open + text + close).join("");
const kinds = (text, names = ["Ada Lovelace", "Ada", "Grace"], me = "Grace") =>
  tokensOf(text, names, me).filter(({ type }) => type !== "text").map(({ type, text: it }) => [type, it]);

test("links are http or https, without what belongs to the sentence", () => {
  assert.deepEqual(kinds("See https://example.org/a_(b)?c=d#e."), [["link", "https://example.org/a_(b)?c=d#e"]]);
  assert.deepEqual(kinds("(https://example.org/x)"), [["link", "https://example.org/x"]]);
  assert.deepEqual(kinds("http://a.b, http://c.d!"), [["link", "http://a.b"], ["link", "http://c.d"]]);
  for (const none of ["javascript:alert(1)", "ftp://a.b", "https://", "http://?", "data:text/html,x", "xhttps://a"]) {
    assert.deepEqual(kinds(none).filter(([, text]) => !text.startsWith("https://a")), [], none);
  }
  assert.deepEqual(kinds("https://a.b/<script>"), [["link", "https://a.b/"]]);
});

test("code is what stands between backticks, and nothing in it is anything else", () => {
  assert.deepEqual(kinds("a `b @Ada https://x.y` c"), [["code", "b @Ada https://x.y"]]);
  assert.deepEqual(kinds("```js\nlet a;\n```"), [["block", "let a;"]]);
  assert.deepEqual(kinds("```one```"), [["block", "one"]]);
});

test("people are called by the longest name that fits, not in the middle of a word", () => {
  assert.deepEqual(kinds("@Ada Lovelace, @ada: hi"), [["mention", "@Ada Lovelace"], ["mention", "@ada"]]);
  assert.deepEqual(kinds("mail@Ada and @Adam"), []);
  assert.deepEqual(tokensOf("@grace", [], "Grace")[0], { type: "mention", text: "@grace", isMe: true });
  assert.ok(calls("well, @GRACE?", "Grace") && calls("@all", "Grace") && !calls("@Gracee Grace", "Grace"));
});

test("all parts together are the text, letter for letter, whatever it is", (t) => {
  const random = seeded(t);
  const parts = ["`", "```", "@Ada", "@", "https://x.y/", " ", "\n", "a", ")", ".", "<b>", "🦀", "'", "@Grace", "js\n"];
  for (let round = 0; round < 3_000; round += 1) {
    const text = Array.from({ length: 12 }, () => parts[random(parts.length)]).join("");
    assert.equal(source(tokensOf(text, ["Ada"], "Grace")), text);
  }
});

test("what is being typed behind an @ is completed", () => {
  assert.deepEqual(callBefore("hi @Ad", 6), { from: 3, typed: "Ad" });
  assert.equal(callBefore("mail@Ad", 7), null);
  assert.equal(callBefore("@a\nb", 4), null);
  assert.deepEqual(meant("l", ["Grace", "Ada Lovelace", "Lea"]), ["Lea", "Ada Lovelace"]);
  assert.equal(meant("", Array.from({ length: 20 }, (_, i) => `n${i}`)).length, 6);
});
